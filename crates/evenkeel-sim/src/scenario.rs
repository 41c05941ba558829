//! Scenarios: each a world, the seeds to run it with, and what must come of it beyond the promises, which are always
//! watched. Files of them are the business of [`crate::suite`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::marks::Mark;
use crate::options::Options;
use crate::run::Outcome;
use crate::seed::Seeds;
use crate::swarm;

/// A scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// Its name, where a file has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it shows, for people.
    pub why: String,
    /// With which seeds.
    pub seeds: Seeds,
    /// The world. Without one, each seed draws its own: a swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<Options>,
    /// What must come of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Expectations,
}

/// What must come of a scenario: bounds hold in each run, and what must happen at least, happens in all of them together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectations {
    /// The makespan is at most so many times what no schedule can beat: all work over all capacity, or the longest document.
    pub makespan: Option<f64>,
    /// The makespan is at most so many times that of a central queue that gives each free slot the longest document.
    pub over_central: Option<f64>,
    /// A document is moved at most so often, on average.
    pub moves: Option<f64>,
    /// Processes killed, or results dropped, because a document had two owners.
    pub duplicates: Option<u64>,
    /// What must have been counted at least so often, by the names of the summary: it proves that a fault was there.
    pub at_least: BTreeMap<String, u64>,
    /// Marks that must be hit by one of the runs: see [`crate::marks`].
    pub marks: Vec<String>,
    /// Every mark that there is must be hit by one of the runs.
    pub all_marks: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A scenario as a file.
pub fn to_toml(scenario: &Scenario) -> String {
    toml::to_string(scenario).expect("a scenario can be written as TOML")
}

impl Expectations {
    /// Whether it can be met at all.
    fn check(&self) -> Result<(), String> {
        for (name, factor) in [("makespan", self.makespan), ("over-central", self.over_central)] {
            if factor.is_some_and(|factor| !(0.5..=1e6).contains(&factor)) {
                return Err(format!("expect.{name}: a factor from 0.5 to 1000000, as nothing is done in no time"));
            }
        }
        if self.moves.is_some_and(|moves| !(0.0..=1e6).contains(&moves)) {
            return Err("expect.moves: from 0 to 1000000".to_owned());
        }
        if let Some(name) = self.at_least.keys().find(|name| Counts::default().of(name).is_none()) {
            return Err(format!("expect.at-least: nothing is counted that is called {name}"));
        }
        if let Some(name) = self.marks.iter().find(|name| Mark::of(name).is_none()) {
            let known: Vec<&str> = Mark::ALL.iter().map(|mark| mark.name()).collect();
            return Err(format!("expect.marks: there is no mark {name}; there are {}", known.join(", ")));
        }
        Ok(())
    }
}

impl Scenario {
    /// A swarm over these seeds.
    pub fn swarm(seeds: Seeds) -> Scenario {
        Scenario {
            name: None,
            why: "whatever the seed draws".to_owned(),
            seeds,
            world: None,
            expect: Expectations::default(),
        }
    }

    /// Whether there can be such a world, and what is expected can come of it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        self.world.as_ref().map_or(Ok(()), Options::check)?;
        self.expect.check()
    }

    /// The world of a seed.
    pub fn options(&self, seed: u64) -> Options {
        self.world.clone().unwrap_or_else(|| swarm::draw(seed))
    }

    /// What of the expectations a run has not met.
    pub fn unmet(&self, outcome: &Outcome) -> Vec<String> {
        let mut unmet = Vec::new();
        let expect = &self.expect;
        let mut at_most = |what: &str, found: Option<f64>, most: Option<f64>| {
            if let (Some(found), Some(most)) = (found, most)
                && found > most
            {
                unmet.push(format!("{what} {found:.3}, and {most} is the most"));
            }
        };
        let moved = outcome.counts.moved as f64 / outcome.counts.documents.max(1) as f64;
        at_most("the makespan over the bound is", outcome.makespan_ratio(), expect.makespan);
        at_most("the makespan over that of a central queue is", outcome.central_ratio(), expect.over_central);
        at_most("moves of a document are", Some(moved), expect.moves);
        let duplicates = outcome.counts.duplicates as f64;
        at_most("duplicates are", Some(duplicates), expect.duplicates.map(|most| most as f64));
        if expect.over_central.is_some() && outcome.central_ratio().is_none() {
            unmet.push("this world cannot be compared with a central queue: something goes wrong in it".to_owned());
        }
        unmet
    }

    /// What none of the runs has brought, by what was counted in all of them.
    pub fn unmet_by_all(&self, counts: &Counts) -> Vec<String> {
        let wanted = |mark: &&Mark| self.expect.all_marks || self.expect.marks.iter().any(|name| *name == mark.name());
        let missed = Mark::ALL.iter().filter(wanted).filter(|mark| !counts.marks.contains_key(mark.name()));
        let missed = missed.map(|mark| format!("the mark {} was not hit by any of the runs", mark.name()));
        let few = self.expect.at_least.iter().filter_map(|(name, least)| {
            let counted = counts.of(name).unwrap_or(0);
            (counted < *least).then(|| format!("{name} was counted {counted} times, and {least} is the least"))
        });
        missed.chain(few).collect()
    }
}
