//! Whole daemons in simulated worlds: QUIC, gossip, streams, stores and the daemon's loop as they ship, on hosts, a network
//! and a clock that are turmoil's. Each world is a process, so that all of it follows from its seed: see
//! `src/bin/full-stack`, which plays one by hand as well.

use std::ops::Range;
use std::process::{Command, Output};

/// More seeds than the few that every test plays, as `FIRST..END`.
const SEEDS: &str = "EVENKEEL_SEEDS";

fn played(story: &str, seed: u64) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_full-stack"));
    program.args([story, &seed.to_string()]).env("RUST_BACKTRACE", "0");
    program.output().expect("the program is beside its tests")
}

fn seeds(few: Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var(SEEDS) else { return few };
    let range = wanted.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.unwrap_or_else(|| panic!("{SEEDS} is FIRST..END, not {wanted}"))
}

/// Plays a story with each of these seeds; all must end well. Returns what was told of each: its schedule is in it.
fn ends_well(story: &str, few: Range<u64>) -> Vec<String> {
    let mut told = Vec::new();
    for seed in seeds(few) {
        let output = played(story, seed);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`full-stack {story} {seed}` does not end well: {why}");
        told.push(String::from_utf8(output.stdout).expect("it tells text"));
    }
    told
}

#[test]
fn without_faults_every_document_runs_once() {
    ends_well("quiet", 0..4);
}

#[test]
fn a_crashed_hosts_documents_are_taken_over() {
    ends_well("crash", 0..4);
}

#[test]
fn after_a_partition_all_are_alike_and_duplicates_are_counted() {
    ends_well("partition", 0..4);
}

#[test]
fn a_host_that_comes_back_takes_part() {
    ends_well("bounce", 0..4);
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    ends_well("leave", 0..4);
}

#[test]
fn what_nobody_took_a_copy_of_gets_one_later() {
    ends_well("mute", 0..4);
}

#[test]
fn whatever_goes_wrong_nothing_is_lost() {
    ends_well("storm", 0..3);
}

/// With a crash in it: time, place and size of every datagram, and every start and end.
#[test]
fn a_seed_is_a_schedule() {
    for story in ["quiet", "bounce"] {
        let first = ends_well(story, 1..3);
        assert_eq!(first, ends_well(story, 1..3), "the same seeds");
        let schedule = |told: &String| told.rsplit_once(' ').map(|(_, hash)| hash.to_owned());
        assert_ne!(schedule(&first[0]), schedule(&first[1]), "another seed is another schedule");
    }
}

#[test]
fn a_panic_in_a_task_that_nobody_waits_for_fails_the_run() {
    let output = played("defect", 1);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("after ") && last.ends_with("as a defect would"), "{told}");
}
