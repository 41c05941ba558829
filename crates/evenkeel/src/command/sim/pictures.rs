//! Pictures of a run, as files.

use std::path::Path;

use evenkeel_sim::plot::{Heading, pictures};
use evenkeel_sim::run::Outcome;

use crate::input::printable;
use crate::output::exit::{ExitStatus, Failure};
use crate::output::tell;

/// Sees to it that pictures can be written to a directory, before a simulation is run for nothing.
pub(super) fn prepare(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| cannot("make the directory", directory, &error))
}

/// Writes the pictures of an outcome, named for its scenario and seed.
pub(super) fn write(directory: &Path, scenario: &str, outcome: &Outcome) -> Result<(), Failure> {
    // A scenario is named by its file, wherever that is, and by its own name there.
    let (file, own) = scenario.rsplit_once('#').map_or((scenario, None), |(file, own)| (file, Some(own)));
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let stem = own.map_or(stem.to_string(), |own| format!("{stem}-{own}"));
    let heading = Heading { scenario: &stem, seed: outcome.seed };
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
