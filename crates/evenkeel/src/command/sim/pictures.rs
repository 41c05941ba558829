//! Pictures of a run, as files.

use std::path::Path;

use evenkeel_sim::plot::{Heading, pictures};
use evenkeel_sim::run::Outcome;
use evenkeel_sim::suite::Named;

use crate::input::printable;
use crate::output::exit::{ExitStatus, Failure};
use crate::output::tell;

/// Sees to it that pictures can be written to a directory, before a simulation is run for nothing.
pub(super) fn prepare(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| cannot("make the directory", directory, &error))
}

/// Letters of a scenario's name that are part of a file's name: those of all systems have room for so many.
const LETTERS: usize = 80;

/// What the files of each scenario's pictures begin with; where two would begin alike, the later ones are numbered.
pub(super) fn stems(scenarios: &[Named]) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for named in scenarios {
        let stem = stem(named);
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|stem| !stems.contains(stem));
        stems.extend(free);
    }
    stems
}

/// What the files of a scenario's pictures begin with: the name of its own file, wherever that is, and its name there. What
/// a file's name cannot hold becomes a dash.
pub(super) fn stem(Named { name, scenario }: &Named) -> String {
    // Either part may have any letter in it, so that the name alone does not tell where one ends.
    let own = scenario.name.as_deref().filter(|own| name.ends_with(&format!("#{own}")));
    let file = own.map_or(name.as_str(), |own| &name[..name.len() - own.len() - 1]);
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let whole = own.map_or(stem.to_string(), |own| format!("{stem}-{own}"));
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    whole.chars().take(LETTERS).map(|letter| if plain(letter) { letter } else { '-' }).collect()
}

/// Writes the pictures of an outcome, in files that begin with this and its seed.
pub(super) fn write(directory: &Path, stem: &str, outcome: &Outcome) -> Result<(), Failure> {
    let heading = Heading { scenario: stem, seed: outcome.seed };
    for picture in pictures(heading, &outcome.recording) {
        let path = directory.join(format!("{stem}-{}-{}.svg", outcome.seed, picture.name));
        std::fs::write(&path, picture.svg).map_err(|error| cannot("write the picture", &path, &error))?;
        tell(format_args!("{}", printable(path.as_os_str())));
    }
    Ok(())
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::says(ExitStatus::Failure, format!("cannot {what} {}: {error}", printable(path.as_os_str())))
}

#[cfg(test)]
mod tests {
    use evenkeel_sim::scenario::Scenario;
    use evenkeel_sim::seed::Seeds;

    use super::*;

    fn named(name: &str, own: Option<&str>) -> Named {
        let scenario = Scenario { name: own.map(str::to_owned), ..Scenario::swarm(Seeds(0..1)) };
        Named { name: name.to_owned(), scenario }
    }

    #[test]
    fn no_name_of_a_scenario_leads_out_of_the_directory() {
        let stems = stems(&[
            named("swarm", None),
            named("simulations/one-lost.toml", None),
            named("simulations/knobs.toml#crash", Some("crash")),
            named("a#b/x.toml", None),
            named("a#b/s.toml#c/d#e", Some("c/d#e")),
            named("s.toml#../../up", Some("../../up")),
        ]);
        assert_eq!(stems, ["swarm", "one-lost", "knobs-crash", "x", "s-c-d-e", "s-..-..-up"]);
        assert_eq!(stem(&named(&"ä".repeat(300), None)), "ä".repeat(LETTERS));
    }

    #[test]
    fn two_scenarios_never_write_into_the_same_files() {
        let stems = stems(&[named("a/x.toml", None), named("b/x.toml", None), named("x.toml", None)]);
        assert_eq!(stems, ["x", "x-2", "x-3"]);
    }
}
