//! Runs the budget of a pull request, and stops at the first promise that is broken or bound that is not kept (a mark that is
//! missed is no find: a rare thing may stay away for any reason): what `cargo xtask mutants` runs once for
//! each planted defect. It is an example, and no part of the program, so that it is rebuilt quickly.
//!
//! `first_failure DIRECTORY [JOBS]` takes the scenarios of that directory. On standard output it says at the end what came
//! of it, as TOML; on standard error, what it is about to run, so that whoever ends it knows where it hung.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use evenkeel_sim::check::Checkers;
use evenkeel_sim::options::Options;
use evenkeel_sim::run::{keep_panics, simulate};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::suite;
use evenkeel_sim::trace::Subject;
use serde::Serialize;

/// What a pull request must pass.
const SUITE: &str = "pull-request.toml";

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    /// Simulations that were run, the failed one included.
    simulations: u64,
    failure: Option<Found>,
}

/// The first thing that failed.
#[derive(Debug, Serialize)]
struct Found {
    scenario: String,
    seed: u64,
    /// The promise that was broken, or that an expectation was not met.
    kind: String,
    what: String,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map_or_else(|| PathBuf::from("simulations"), PathBuf::from);
    let jobs = arguments.next().and_then(|jobs| jobs.to_str()?.parse().ok()).unwrap_or(1);
    keep_panics();
    let report = match scenarios(&directory) {
        Ok(scenarios) => first_failure(&scenarios, jobs),
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match toml::to_string(&report) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// The scenarios of the budget, the quickest first: most of what is wrong shows in a small world. The seeds that have found
/// something once come last: each is one world, and seldom the one that finds the next.
fn scenarios(directory: &Path) -> Result<Vec<(String, Scenario)>, String> {
    let suite = suite::read(&directory.join(SUITE)).map_err(|why| why.to_string())?;
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
    let mut scenarios: Vec<(String, Scenario)> =
        suite.into_iter().map(|named| (short(&named.name), named.scenario)).collect();
    scenarios.sort_by_cached_key(|(name, scenario)| (name.starts_with("regression"), cost(scenario), name.clone()));
    Ok(scenarios)
}

/// What a scenario costs, about: a node has something to do for each document that there is.
fn cost(scenario: &Scenario) -> u64 {
    scenario.seeds.0.clone().map(|seed| cost_of_world(&scenario.options(seed))).fold(0, u64::saturating_add)
}

fn cost_of_world(options: &Options) -> u64 {
    let documents = options.work.iter().map(|work| u64::from(work.documents) * u64::from(work.times));
    documents.sum::<u64>().saturating_mul(options.cluster.nodes as u64)
}

fn first_failure(scenarios: &[(String, Scenario)], jobs: u64) -> Report {
    let mut simulations = 0;
    for (name, scenario) in scenarios {
        let range = &scenario.seeds.0;
        let mut next = range.start;
        while next < range.end {
            // All of these are waited for, so that which is the first does not depend on how fast each is.
            let until = next.saturating_add(jobs.max(1)).min(range.end);
            eprintln!("{name}, seeds {next}..{until}");
            let found: Vec<Option<Found>> = std::thread::scope(|scope| {
                let runs: Vec<_> = (next..until).map(|seed| scope.spawn(move || run(name, scenario, seed))).collect();
                runs.into_iter().map(|run| run.join().expect("a simulation catches its panics")).collect()
            });
            for found in found {
                simulations += 1;
                if found.is_some() {
                    return Report { simulations, failure: found };
                }
            }
            next = until;
        }
    }
    Report { simulations, failure: None }
}

fn run(name: &str, scenario: &Scenario, seed: u64) -> Option<Found> {
    let outcome = simulate(&scenario.options(seed), seed, Subject::Nothing, Checkers::all());
    let found = match &outcome.failure {
        // The node's own look at itself panics, and names the document: what it looks for is conservation and slots.
        Some(failure) if failure.to_string().contains("node/check.rs") => {
            Some(("S5, S6 (Node::check)".to_owned(), failure.to_string()))
        }
        Some(failure) => Some((failure.kind().to_owned(), failure.to_string())),
        None => scenario.unmet(&outcome).into_iter().next().map(|what| ("expectation".to_owned(), what)),
    };
    found.map(|(kind, what)| Found { scenario: name.to_owned(), seed, kind, what })
}
