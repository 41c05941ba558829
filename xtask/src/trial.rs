//! One trial: the tree as it stands is built, and run until something fails, or all is over, or the time is.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;

/// The example of evenkeel-sim that is run.
const RUNNER: &str = "first_failure";

/// Lines of the compiler that are told where it refuses.
const COMPLAINTS: usize = 12;

/// What came of a trial.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Something failed.
    Caught {
        /// What.
        found: Found,
        /// Simulations until then.
        simulations: u64,
    },
    /// Nothing failed.
    Survived {
        /// Of so many simulations.
        simulations: u64,
    },
    /// It cannot be built, so that nothing was tried.
    Unbuildable(String),
    /// It did not come to an end.
    Hung {
        /// What ran last.
        at: String,
    },
    /// It died, or said what nobody understands.
    Died(String),
}

/// The first thing that failed, as the runner tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// In which scenario.
    pub(crate) scenario: String,
    /// With which seed.
    pub(crate) seed: u64,
    /// Which promise, or that it was an expectation.
    pub(crate) kind: String,
    /// How.
    pub(crate) what: String,
}

/// What the runner says at its end.
#[derive(Debug, Deserialize)]
struct Report {
    simulations: u64,
    failure: Option<Found>,
}

/// A trial and how long it took.
#[derive(Debug)]
pub(crate) struct Trial {
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// Time for the build.
    pub(crate) building: Duration,
    /// Time for the simulations.
    pub(crate) running: Duration,
}

/// Builds what is in the tree, and runs it.
pub(crate) fn run(tree: &Path, target: &Path, jobs: usize, patience: Duration) -> anyhow::Result<Trial> {
    let begun = Instant::now();
    let built = build(tree, target)?;
    let building = begun.elapsed();
    let begun = Instant::now();
    let verdict = match built {
        Ok(runner) => simulate(&runner, tree, jobs, patience)?,
        Err(complaints) => Verdict::Unbuildable(complaints),
    };
    Ok(Trial { verdict, building, running: begun.elapsed() })
}

/// As it is released, but incrementally: a change of one function is built in a few seconds. What the compiler complains of
/// if it refuses.
fn build(tree: &Path, target: &Path) -> anyhow::Result<Result<PathBuf, String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked", "--package", "evenkeel-sim", "--example", RUNNER])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true")
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    if output.status.success() {
        return Ok(Ok(target.join("release/examples").join(RUNNER)));
    }
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    // Warnings come first: a defect leaves things unused.
    let errors = complaints.lines().skip_while(|line| !line.starts_with("error")).take(COMPLAINTS);
    Ok(Err(errors.collect::<Vec<_>>().join("\n")))
}

fn simulate(runner: &Path, tree: &Path, jobs: usize, patience: Duration) -> anyhow::Result<Verdict> {
    let mut child = Command::new(runner)
        .arg(tree.join("simulations"))
        .arg(jobs.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", runner.display()))?;
    let mut stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let (sender, ended) = mpsc::channel();
    let told = std::thread::spawn(move || last_line(BufReader::new(stderr)));
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more if it took too long.
        let _ = sender.send(());
        read
    });
    let in_time = ended.recv_timeout(patience) != Err(RecvTimeoutError::Timeout);
    if !in_time {
        child.kill().context("cannot end a simulation that hangs")?;
    }
    let status = child.wait().context("cannot wait for the simulations")?;
    let told = told.join().expect("reading does not panic");
    let said = said.join().expect("reading does not panic").context("cannot read what came of the simulations")?;
    if !in_time {
        return Ok(Verdict::Hung { at: told });
    }
    Ok(match toml::from_str::<Report>(&said) {
        Ok(Report { simulations, failure }) if status.success() => match failure {
            Some(found) => Verdict::Caught { found, simulations },
            None => Verdict::Survived { simulations },
        },
        _ => Verdict::Died(format!("{status}, after: {told}")),
    })
}

fn last_line(lines: impl BufRead) -> String {
    lines.lines().map_while(Result::ok).last().unwrap_or_default()
}
