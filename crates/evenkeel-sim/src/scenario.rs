//! Scenarios: files in `simulations/`, each a world, the seeds to run it with, and what must come of it beyond the
//! promises, which are always watched.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::record::{Passage, Pending, Seen, Wanted};
use crate::run::Outcome;
use crate::span::Span;
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
    /// Pending counts that the machines pass through.
    pub pending: Vec<Pending>,
}

impl Expectations {
    /// Whether pending counts can be as they are expected to be.
    fn check(&self, world: Option<&Options>) -> Result<(), String> {
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
        scenario.expect.check(scenario.world.as_ref()).map_err(InvalidScenario)?;
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

    /// What must be recorded of a run to judge it, and to make pictures of it if there are to be any.
    pub fn wanted(&self, pictures: bool) -> Wanted {
        Wanted { pending: self.expect.pending.clone(), pictures }
    }

    /// What of the expectations a run has not met.
    pub fn unmet(&self, outcome: &Outcome) -> Vec<String> {
        let mut unmet = Vec::new();
        let Expectations { makespan, moves, duplicates, at_least, pending } = &self.expect;
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
        if let Some(passage) = &outcome.recording.passage {
            unmet.extend(pending.iter().zip(&passage.seen).filter_map(|(wanted, seen)| missed(wanted, seen, passage)));
        }
        unmet
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

    #[test]
    fn pending_counts_that_cannot_be_are_refused_with_the_place_and_the_reason() {
        let refused = |pending: &str| {
            let world = "[world.cluster]\nnodes = 2\n[[world.work]]\ndocuments = 10\n[world.phases]\nliveness = '1m'";
            let text = format!("why = 'x'\nseeds = '1'\n{world}\n{pending}");
            Scenario::parse(&text).expect_err(pending).to_string()
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
        let swarm = Scenario::parse("why = 'x'\nseeds = '1'\n[[expect.pending]]\nare = [1]").unwrap_err();
        assert!(swarm.to_string().contains("swarm"), "{swarm}");
    }
}
