//! One trial: the tree as it stands is built, and run until something fails, or all is over, or the time is.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
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
    /// Unit tests were run, of which this one failed first, if any did.
    Tested {
        /// Which.
        failed: Option<String>,
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

/// Builds the unit tests of a crate that is in the tree, and runs those with this in their names.
pub(crate) fn test(
    tree: &Path,
    target: &Path,
    package: &str,
    filter: &str,
    patience: Duration,
) -> anyhow::Result<Trial> {
    let begun = Instant::now();
    let built = cargo(tree, target)
        .args(["test", "--quiet", "--locked", "--package", package, "--lib", "--no-run", "--message-format", "json"])
        .output()
        .context("cannot run cargo")?;
    let building = begun.elapsed();
    let begun = Instant::now();
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let verdict = match messages.lines().rev().find_map(executable) {
        Some(program) if built.status.success() => {
            try_tests(&program, &tree.join("crates").join(package), filter, patience)?
        }
        _ => Verdict::Unbuildable(messages.lines().filter_map(rendered).take(COMPLAINTS).collect()),
    };
    Ok(Trial { verdict, building, running: begun.elapsed() })
}

/// The program that a message of cargo's tells of, if it does.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    message["executable"].as_str().map(PathBuf::from)
}

/// An error of the compiler that a message of cargo's tells of, if it does.
fn rendered(message: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    (message["message"]["level"] == "error").then(|| message["message"]["rendered"].as_str().map(str::to_owned))?
}

fn try_tests(program: &Path, directory: &Path, filter: &str, patience: Duration) -> anyhow::Result<Verdict> {
    let mut command = Command::new(program);
    command.arg(filter).current_dir(directory);
    let Ended { in_time, status, said, .. } = run_for(command, patience)?;
    let tests = said.lines().filter_map(|line| line.strip_prefix("test "));
    let failed = tests.clone().find_map(|line| line.strip_suffix(" ... FAILED"));
    // One that stands still has been waited for by its test, and for longer than that.
    let still = || tests.clone().find_map(|line| line.strip_suffix(" has been running for over 60 seconds"));
    Ok(match (in_time, failed.or_else(still)) {
        (_, Some(test)) => Verdict::Tested { failed: Some(test.to_owned()) },
        (false, None) => Verdict::Hung { at: filter.to_owned() },
        (true, None) if status.success() => Verdict::Tested { failed: None },
        (true, None) => Verdict::Died(status.to_string()),
    })
}

/// Cargo in the tree, with a target directory of its own.
fn cargo(tree: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(tree).env("CARGO_TARGET_DIR", target).stdin(Stdio::null());
    command
}

/// As it is released, but incrementally: a change of one function is built in a few seconds. What the compiler complains of
/// if it refuses.
fn build(tree: &Path, target: &Path) -> anyhow::Result<Result<PathBuf, String>> {
    let output = cargo(tree, target)
        .args(["build", "--quiet", "--release", "--locked", "--package", "evenkeel-sim", "--example", RUNNER])
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true")
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
    let mut command = Command::new(runner);
    command.arg(tree.join("simulations")).arg(jobs.to_string());
    let Ended { in_time, status, said, told } = run_for(command, patience)?;
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

/// What a program left.
struct Ended {
    in_time: bool,
    status: ExitStatus,
    /// All of its standard output.
    said: String,
    /// The last line of its standard error.
    told: String,
}

/// Runs a program, for so long at most.
fn run_for(mut command: Command, patience: Duration) -> anyhow::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
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
        child.kill().context("cannot end what hangs")?;
    }
    let status = child.wait().context("cannot wait for what was run")?;
    let told = told.join().expect("reading does not panic");
    let said = said.join().expect("reading does not panic").context("cannot read what came of it")?;
    Ok(Ended { in_time, status, said, told })
}

fn last_line(lines: impl BufRead) -> String {
    lines.lines().map_while(Result::ok).last().unwrap_or_default()
}
