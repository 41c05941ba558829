//! Files in `simulations/`: one scenario each, or a suite, which has several of its own and names files of others.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::scenario::Scenario;

/// How deep suites may name each other.
const DEPTH: usize = 8;

/// A file that has several scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Suite {
    /// What they are for, for people.
    #[expect(dead_code, reason = "it is for people, and must be there")]
    why: String,
    /// Other files, seen from this one.
    #[serde(default)]
    include: Vec<PathBuf>,
    /// Scenarios of its own, each with a name.
    #[serde(default)]
    scenario: Vec<Scenario>,
}

/// A scenario, and what it is called: the name of its file, and after `#` its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// What it can be asked for with.
    pub name: String,
    /// What it is.
    pub scenario: Scenario,
}

/// A file that has no scenarios.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSuite {
    /// It cannot be read.
    #[error("cannot read the scenario {}: {error}", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It says something that no scenario says, or describes what cannot be.
    #[error("{}: {what}", .file.display())]
    Invalid {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// The scenarios of a file; of one of them, if its name stands after a `#`.
///
/// # Errors
/// If it, or a file that it names, cannot be read, is no TOML, says something that a scenario does not, or describes a world
/// that cannot be.
pub fn read(name: &Path) -> Result<Vec<Named>, InvalidSuite> {
    let text = name.to_string_lossy();
    // Names of files and of scenarios may have a # in them too: the file is what is there.
    let there = text.match_indices('#').find(|(place, _)| Path::new(&text[..*place]).is_file());
    let parts = there.map(|(place, _)| (&text[..place], &text[place + 1..]));
    match parts.or_else(|| text.rsplit_once('#')) {
        Some((file, own)) if !name.exists() => {
            let named = read_file(Path::new(file), 0)?;
            let found: Vec<Named> =
                named.into_iter().filter(|named| named.scenario.name.as_deref() == Some(own)).collect();
            if found.is_empty() {
                return Err(invalid(Path::new(file), format!("there is no scenario {own} in it")));
            }
            Ok(found)
        }
        _ => read_file(name, 0),
    }
}

/// Reads the text of a file of one scenario.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Scenario, String> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
    scenario.check()?;
    Ok(scenario)
}

fn invalid(file: &Path, what: String) -> InvalidSuite {
    InvalidSuite::Invalid { file: file.to_owned(), what }
}

fn read_file(file: &Path, depth: usize) -> Result<Vec<Named>, InvalidSuite> {
    if depth > DEPTH {
        return Err(invalid(file, format!("more than {DEPTH} files name each other")));
    }
    let text =
        std::fs::read_to_string(file).map_err(|error| InvalidSuite::Unreadable { file: file.to_owned(), error })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| invalid(file, error.to_string()))?;
    if !table.contains_key("include") && !table.contains_key("scenario") {
        let scenario = parse(&text).map_err(|what| invalid(file, what))?;
        return Ok(vec![Named { name: file.display().to_string(), scenario }]);
    }
    let suite: Suite = toml::from_str(&text).map_err(|error| invalid(file, error.to_string()))?;
    let mut named = Vec::new();
    for other in &suite.include {
        let other = file.parent().unwrap_or(Path::new("")).join(other);
        named.extend(read_file(&other, depth + 1)?);
    }
    for scenario in suite.scenario {
        let Some(own) = scenario.name.clone() else {
            return Err(invalid(file, format!("a scenario has no name: the one that says {:?}", scenario.why)));
        };
        if named.iter().any(|other| other.scenario.name.as_ref() == Some(&own)) {
            return Err(invalid(file, format!("two scenarios are called {own}")));
        }
        scenario.check().map_err(|what| invalid(file, format!("{own}: {what}")))?;
        named.push(Named { name: format!("{}#{own}", file.display()), scenario });
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_scenario_is_refused_with_the_reason() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("why = 'x'\nseeds = '0..1'\nsurprise = 1").contains("surprise"));
        assert!(refused("why = 'x'\nseeds = '5..2'").contains("0..200"));
        assert!(refused("why = 'x'\nseeds = '1'\n[world.cluster]\nnodes = 0").contains("nodes"));
        assert!(refused("why = 'x'\nseeds = '1'\n[world.faults]\nloss = '3/2'").contains("1/100"));
        assert!(refused("why = 'x'\nseeds = '1'\nalways = ['rain']").contains("outage"));
        assert!(refused("why = 'x'\nseeds = '1'\nalways = ['disk']\n[world.cluster]\nnodes = 2").contains("swarms"));
    }

    #[test]
    fn what_cannot_come_true_is_refused() {
        let refused = |expect: &str| parse(&format!("why = 'x'\nseeds = '0'\n[expect]\n{expect}")).unwrap_err();
        assert!(refused("makespan = 0.0").contains("expect.makespan"));
        assert!(refused("over-central = nan").contains("expect.over-central"));
        assert!(refused("moves = -1.0").contains("expect.moves"));
        assert!(refused("at-least = { surprises = 1 }").contains("surprises"));
        assert!(refused("marks = ['surprise']").contains("refuted-death"));
    }
}
