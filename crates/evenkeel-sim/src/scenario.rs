//! Scenarios: each a world, the seeds to run it with, and what must come of it beyond the promises, which are always
//! watched. Files of them are the business of [`crate::suite`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::marks::Mark;
use crate::options::Options;
use crate::record::{Passage, Pending, Seen, Wanted};
use crate::run::Outcome;
use crate::seed::Seeds;
use crate::span::Span;
use crate::swarm::{self, Always};

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
    /// What goes wrong in each world of a swarm, instead of in some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub always: Vec<Always>,
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
    /// Pending counts that the machines pass through.
    pub pending: Vec<Pending>,
}

impl Expectations {
    /// Whether pending counts can be as they are expected to be.
    fn check_pending(&self, world: Option<&Options>) -> Result<(), String> {
        let Some(world) = world else {
            let swarm =
                "expect.pending: a swarm draws its machines; only of a [world] their pending counts can be told";
            return if self.pending.is_empty() { Ok(()) } else { Err(swarm.to_owned()) };
        };
        let machines = world.cluster.nodes;
        let documents: f64 = world.work.iter().map(|work| f64::from(work.documents) * f64::from(work.times)).sum();
        let longest = world.phases.faults.0 + world.phases.liveness.0.times(1 + documents as u64);
        let mut before = None;
        for (place, Pending { are, within, at, .. }) in self.pending.iter().enumerate() {
            let wrong = |what: String| Err(format!("expect.pending {place}: {what}"));
            if are.len() != machines {
                return wrong(format!("{} counts, but the world has {machines} machines", are.len()));
            }
            if let Some(count) = are.iter().chain([within]).find(|count| !(0.0..=1e9).contains(*count)) {
                return wrong(format!("a count of documents is from 0 to 1000000000, not {count}"));
            }
            let least: f64 = are.iter().map(|count| (count - within).max(0.0).ceil()).sum();
            if least > documents {
                return wrong(format!("that is {least} documents at least, and the world has {documents}"));
            }
            let Some(at) = at else { continue };
            if at.0 > longest {
                return wrong(format!("at {at} the world has ended; it lasts no longer than {}", Span(longest)));
            }
            if let Some(before) = before.filter(|before| at < before) {
                return wrong(format!("{at} is before {before}, the time of the one above it"));
            }
            before = Some(*at);
        }
        Ok(())
    }
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
    fn check(&self, world: Option<&Options>) -> Result<(), String> {
        self.check_pending(world)?;
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
            always: Vec::new(),
            expect: Expectations::default(),
        }
    }

    /// Whether there can be such a world, and what is expected can come of it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        self.world.as_ref().map_or(Ok(()), Options::check)?;
        if self.world.is_some() && !self.always.is_empty() {
            return Err(
                "always: a [world] says in its faults what goes wrong; this is for swarms, which draw it".to_owned()
            );
        }
        self.expect.check(self.world.as_ref())
    }

    /// The world of a seed.
    pub fn options(&self, seed: u64) -> Options {
        self.world.clone().unwrap_or_else(|| swarm::draw_with(seed, &self.always))
    }

    /// What must be recorded of a run to judge it, and to make pictures of it if there are to be any.
    pub fn wanted(&self, pictures: bool) -> Wanted {
        Wanted { pending: self.expect.pending.clone(), pictures }
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
        if let Some(passage) = &outcome.recording.passage {
            unmet.extend(
                expect.pending.iter().zip(&passage.seen).filter_map(|(wanted, seen)| missed(wanted, seen, passage)),
            );
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

/// What was seen instead of the pending counts that were expected.
fn missed(wanted: &Pending, seen: &Seen, passage: &Passage) -> Option<String> {
    let counts = wanted.told();
    let within = if wanted.within > 0.0 { format!(" within {}", wanted.within) } else { String::new() };
    match (seen, wanted.at) {
        (Seen::Met(_), _) => None,
        (Seen::Missed(Some(state)), Some(at)) => {
            Some(format!("at {at} the pending counts are {}, not {counts}{within}", state.told()))
        }
        (Seen::Missed(None), Some(at)) => {
            Some(format!("the pending counts at {at} are not known: the world ended at {}", passage.end))
        }
        (Seen::Missed(Some(state)), None) => Some(format!(
            "the pending counts never are {counts}{within}; they came nearest at {}: {}",
            state.at,
            state.told()
        )),
        (Seen::Missed(None), None) => Some(format!(
            "the pending counts are not {counts}{within} after those expected before, which were not passed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::suite;

    #[test]
    fn pending_counts_that_cannot_be_are_refused_with_the_place_and_the_reason() {
        let refused = |pending: &str| {
            let world = "[world.cluster]\nnodes = 2\n[[world.work]]\ndocuments = 10\n[world.phases]\nliveness = '1m'";
            let text = format!("why = 'x'\nseeds = '1'\n{world}\n{pending}");
            suite::parse(&text).expect_err(pending).to_string()
        };
        let one = |rest: &str| refused(&format!("[[expect.pending]]\n{rest}"));
        assert!(one("are = [1, 2, 3]").contains("expect.pending 0: 3 counts, but the world has 2 machines"));
        assert!(one("are = [-1, 2]").contains("not -1"));
        assert!(one("are = [nan, 2]").contains("not NaN"));
        assert!(one("are = [1, inf]").contains("not inf"));
        assert!(one("are = [1, 2]\nwithin = -0.5").contains("not -0.5"));
        assert!(one("are = [8, 8]").contains("16 documents at least, and the world has 10"));
        assert!(one("are = [1, 2]\nat = '3h'").contains("at 3h the world has ended"));
        assert!(one("are = [1, 2]\nat = 'soon'").contains("soon"));
        assert!(one("are = ['x', 2]").contains("expected f64"), "{}", one("are = ['x', 2]"));
        assert!(one("are = [1, 2]\nsurprise = 1").contains("surprise"));
        let back = refused("[[expect.pending]]\nare = [1, 2]\nat = '9s'\n[[expect.pending]]\nare = [1, 2]\nat = '8s'");
        assert!(back.contains("expect.pending 1: 8s is before 9s"), "{back}");
        let swarm = suite::parse("why = 'x'\nseeds = '1'\n[[expect.pending]]\nare = [1]").unwrap_err();
        assert!(swarm.to_string().contains("swarm"), "{swarm}");
    }
}
