//! Scenarios: files in `simulations/`, each a world, the seeds to run it with, and what must come of it beyond the
//! promises, which are always watched.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::run::Outcome;
use crate::swarm;

/// A scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it shows, for people.
    pub why: String,
    /// With which seeds.
    pub seeds: Seeds,
    /// The world. Without one, each seed draws its own: a swarm.
    pub world: Option<Options>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expectations,
}

/// Seeds, written `17` or `0..200`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Seeds(pub Range<u64>);

/// Text that names no seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seeds are written like 17, or 0..200 for the first two hundred, not {0:?}")]
pub struct InvalidSeeds(String);

impl std::str::FromStr for Seeds {
    type Err = InvalidSeeds;

    fn from_str(text: &str) -> Result<Seeds, InvalidSeeds> {
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| InvalidSeeds(text.to_owned()));
        match text.split_once("..") {
            Some((from, to)) => Ok(Seeds(number(from)?..number(to)?)),
            None => number(text).map(|seed| Seeds(seed..seed.saturating_add(1))),
        }
        .and_then(|seeds| if seeds.0.is_empty() { Err(InvalidSeeds(text.to_owned())) } else { Ok(seeds) })
    }
}

impl TryFrom<String> for Seeds {
    type Error = InvalidSeeds;

    fn try_from(text: String) -> Result<Seeds, InvalidSeeds> {
        text.parse()
    }
}

impl From<Seeds> for String {
    fn from(Seeds(range): Seeds) -> String {
        format!("{}..{}", range.start, range.end)
    }
}

/// What must come of a scenario, in each run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectations {
    /// The makespan is at most so many times what no schedule can beat: all work over all capacity, or the longest document.
    pub makespan: Option<f64>,
    /// A document is moved at most so often, on average.
    pub moves: Option<f64>,
    /// Processes killed, or results dropped, because a document had two owners.
    pub duplicates: Option<u64>,
    /// What must have been counted at least so often, by the names of the summary: it proves that a fault was there.
    pub at_least: BTreeMap<String, u64>,
}

/// A file that is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidScenario(String);

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// If the text is not TOML, says something that a scenario does not, or describes a world that cannot be.
    pub fn parse(text: &str) -> Result<Scenario, InvalidScenario> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| InvalidScenario(error.to_string()))?;
        if let Some(world) = &scenario.world {
            world.check().map_err(InvalidScenario)?;
        }
        Ok(scenario)
    }

    /// A swarm over these seeds.
    pub fn swarm(seeds: Seeds) -> Scenario {
        Scenario { why: "whatever the seed draws".to_owned(), seeds, world: None, expect: Expectations::default() }
    }

    /// The world of a seed.
    pub fn options(&self, seed: u64) -> Options {
        self.world.clone().unwrap_or_else(|| swarm::draw(seed))
    }

    /// What of the expectations a run has not met.
    pub fn unmet(&self, outcome: &Outcome) -> Vec<String> {
        let mut unmet = Vec::new();
        let Expectations { makespan, moves, duplicates, at_least } = &self.expect;
        if let (Some(most), Some(ratio)) = (makespan, outcome.makespan_ratio())
            && ratio > *most
        {
            unmet.push(format!("the makespan is {ratio:.3} times the bound, and {most} is the most"));
        }
        let moved = outcome.counts.moved as f64 / outcome.counts.documents.max(1) as f64;
        if let Some(most) = moves
            && moved > *most
        {
            unmet.push(format!("a document is moved {moved:.2} times, and {most} is the most"));
        }
        if let Some(most) = duplicates
            && outcome.counts.duplicates > *most
        {
            unmet.push(format!("{} duplicates, and {most} are the most", outcome.counts.duplicates));
        }
        for (name, least) in at_least {
            let counted = outcome.counts.of(name);
            if counted.is_none_or(|counted| counted < *least) {
                unmet.push(match counted {
                    Some(counted) => format!("{name} was counted {counted} times, and {least} is the least"),
                    None => format!("nothing is counted that is called {name}"),
                });
            }
        }
        unmet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!("17".parse(), Ok(Seeds(17..18)));
        assert_eq!("3..5".parse(), Ok(Seeds(3..5)));
        for text in ["", "x", "5..3", "1..", "-1"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_scenario_is_refused_with_the_reason() {
        let refused = |text: &str| Scenario::parse(text).unwrap_err().to_string();
        assert!(refused("why = 'x'\nseeds = '0..1'\nsurprise = 1").contains("surprise"));
        assert!(refused("why = 'x'\nseeds = '5..2'").contains("0..200"));
        assert!(refused("why = 'x'\nseeds = '1'\n[world.cluster]\nnodes = 0").contains("nodes"));
        assert!(refused("why = 'x'\nseeds = '1'\n[world.faults]\nloss = '3/2'").contains("1/100"));
    }
}
