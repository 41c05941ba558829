//! The scenarios in `simulations/` can be read, and what comes of a seed is the same each time.

use std::path::Path;

use evenkeel_sim::check::Checkers;
use evenkeel_sim::fleet;
use evenkeel_sim::record::Wanted;
use evenkeel_sim::run::{record, simulate};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Seeds;
use evenkeel_sim::suite;
use evenkeel_sim::swarm;
use evenkeel_sim::trace::Subject;

#[test]
fn every_scenario_can_be_read() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../simulations");
    let files = std::fs::read_dir(&directory).expect("there are scenarios");
    let mut read = 0;
    for file in files {
        let path = file.expect("a directory can be read").path();
        read += suite::read(&path).unwrap_or_else(|error| panic!("{error}")).len();
    }
    assert!(read > 5, "only {read} in {}", directory.display());
}

#[test]
fn a_seed_gives_the_same_trace_each_time_in_any_number_of_threads() {
    let scenario = Scenario::swarm(Seeds(0..4));
    let traces = |jobs| {
        let mut traces = Vec::new();
        fleet::run(&scenario, jobs, |outcome| traces.push((outcome.seed, outcome.hash, outcome.counts.events)));
        traces.sort_unstable();
        traces
    };
    assert_eq!(traces(1), traces(2));
}

#[test]
fn another_seed_gives_another_trace_and_telling_a_story_changes_nothing() {
    let hash = |seed, subject| simulate(&swarm::draw(0), seed, subject, Checkers::all()).hash;
    assert_ne!(hash(0, Subject::Nothing), hash(1, Subject::Nothing));
    assert_eq!(hash(0, Subject::Nothing), hash(0, Subject::Everything));
}

/// A checker that cannot fail is none: here something is broken, and it must be said.
#[test]
fn what_is_not_done_in_time_is_found() {
    let text = "why = 'x'\nseeds = '0'\n[world.cluster]\nnodes = 2\n[[world.work]]\ndocuments = 3\n\
                hanging = '1/1'\ntimeout = '15m'\n[world.phases]\nliveness = '10s'";
    let scenario = suite::parse(text).expect("a scenario");
    let outcome = simulate(&scenario.options(0), 0, Subject::Nothing, Checkers::all());
    let failure = outcome.failure.expect("what hangs for a quarter of an hour does not end within ten seconds");
    assert!(failure.kind().starts_with("S1"), "{failure}");
}

#[test]
fn recording_changes_nothing() {
    for (options, seed) in [(swarm::draw(3), 3), (swarm::draw(12), 12)] {
        let wanted = Wanted { pending: Vec::new(), pictures: true };
        let recorded = record(&options, seed, Subject::Nothing, Checkers::all(), &wanted);
        let plain = simulate(&options, seed, Subject::Nothing, Checkers::all());
        assert!(recorded.recording.film.is_some() && plain.recording.film.is_none());
        assert_eq!((recorded.hash, recorded.counts), (plain.hash, plain.counts), "seed {seed}");
    }
}

/// The white paper's world with expectations that it does not meet: each must be said.
#[test]
fn pending_counts_that_do_not_come_are_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../simulations/white-paper.toml");
    let text = std::fs::read_to_string(path).expect("it is there");
    let spoilt =
        text.replace("[100, 150, 175, 200]", "[100, 150, 175, 201]").replace("[150, 162.5, ", "[150, 162.5, 99, ");
    let spoilt = spoilt.replace("99, 162.5, 150]", "99, 150]");
    let scenario = suite::parse(&spoilt).expect("a scenario");
    let seed = scenario.seeds.0.start;
    let outcome = record(&scenario.options(seed), seed, Subject::Nothing, Checkers::all(), &scenario.wanted(false));
    let unmet = scenario.unmet(&outcome);
    assert_eq!(unmet.len(), 2, "{unmet:?}");
    assert_eq!(unmet[0], "at 12m the pending counts are 100 150 175 200, not 100 150 175 201");
    assert!(
        unmet[1].starts_with("the pending counts never are 150 162.5 99 150 within 0.5; they came nearest"),
        "{unmet:?}"
    );
}
