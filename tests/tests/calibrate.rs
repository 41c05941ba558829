//! `evenkeel calibrate` on real processes: what it recommends, and what it says where there is nothing to recommend.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use evenkeel_tests::command;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn calibrate(arguments: &[&str]) -> Output {
    command([&["calibrate"], arguments].concat()).output().expect("the program can be started")
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn documents_that_sleep_are_recommended_the_most() {
    let output =
        calibrate(&["--seconds", "0.5", "--max", "8", "--output", "json", "--", "sleep", "0.1", ":::", "a", "b", "c"]);
    let report = report(&output);
    assert_eq!((&report["schema"], &report["reason"]), (&1.into(), &"growing".into()), "{report}");
    assert!(report["max_process"].as_u64().is_some_and(|number| number >= 7), "{report}");
    assert!(report["why"].as_str().is_some_and(|why| why.contains("--max")), "{report}");
    let said = said(&output);
    assert!(said.contains("of 3 of 3 documents") && said.contains("documents run more than once"), "{said}");
    assert!(said.contains("at most 27s in all"), "what it takes is said first: {said}");
}

#[test]
fn documents_that_wait_for_each_other_are_not_piled_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let lock = directory.path().join("lock");
    let lock = lock.to_str().expect("a plain name");
    let output = calibrate(&[
        "--seconds",
        "0.8",
        "--max",
        "32",
        "--output",
        "json",
        "--",
        "flock",
        lock,
        "sleep",
        "0.1",
        ":::",
        "a",
    ]);
    let report = report(&output);
    assert!(report["max_process"].as_u64().is_some_and(|number| number <= 2), "{report}");
    assert!(report["reason"] == "flat" || report["reason"] == "falling", "{report}");
    let levels = report["levels"].as_array().expect("levels");
    assert!(levels.iter().all(|level| level["max_process"].as_u64() < Some(32)), "it stops climbing: {report}");
}

/// A machine of which so much memory is said to be left.
fn machine(root: &Path, total_megabytes: u64, left_megabytes: u64) {
    fs::create_dir_all(root.join("proc")).expect("a directory can be made");
    let text = format!("MemTotal: {} kB\nMemAvailable: {} kB\n", total_megabytes * 1_000, left_megabytes * 1_000);
    fs::write(root.join("proc/meminfo"), text).expect("a file can be written");
}

#[test]
fn no_more_are_run_at_once_than_fit_into_memory() {
    let root = tempfile::tempdir().expect("a temporary directory");
    // 1,024 MB less a tenth in reserve leave room for three documents of 100 MB.
    machine(root.path(), 1_000, 440);
    let script = "head -c 100000000 /dev/zero | tail -c 100000000 > /dev/null; sleep 0.2";
    let mut call = command([
        "calibrate",
        "--seconds",
        "0.5",
        "--max",
        "64",
        "--output",
        "json",
        "--",
        "sh",
        "-c",
        script,
        ":::",
        "a",
    ]);
    let output = call.env("EVENKEEL_MACHINE_ROOT", root.path()).output().expect("the program can be started");
    let report = report(&output);
    let levels = report["levels"].as_array().expect("levels");
    let tried: Vec<u64> = levels.iter().filter_map(|level| level["max_process"].as_u64()).collect();
    assert!(tried.iter().all(|number| *number <= 3), "{report}");
    assert!(tried.contains(&2), "{report}");
    let memory = levels[0]["memory_bytes"].as_u64();
    assert!(memory.is_some_and(|bytes| (95_000_000..130_000_000).contains(&bytes)), "{report}");
}

#[test]
fn a_command_that_always_fails_is_said_to() {
    let output = calibrate(&["--seconds", "0.3", "--", "sh", "-c", "echo out of order >&2; exit 3", ":::", "a"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("every document failed; the first was document 0: exit status 3:\n  out of order"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn where_some_fail_there_is_an_answer_and_a_warning() {
    let script = "sleep 0.05; test \"$1\" != b || { echo no b >&2; exit 4; }";
    let output = calibrate(&["--seconds", "0.4", "--max", "2", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("max_process = "), "{said}");
    assert!(said.contains("the first was document 1: exit status 4:\n  no b"), "{said}");
}

#[test]
fn documents_that_take_longer_than_is_waited_are_stopped() {
    let begun = Instant::now();
    let output = calibrate(&["--seconds", "0.2", "--", "sleep", "1000", ":::", "a"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("no document ended within 1 s: give a --seconds of several times"),
        "{}",
        said(&output)
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_is_wrong_with_the_call_is_said_before_anything_runs() {
    let output = calibrate(&["--sample", "3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no command"), "{}", said(&output));
    let output = calibrate(&["-a", "/nonexistent", "--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("/nonexistent"), "{}", said(&output));
}

#[test]
fn when_interrupted_it_says_what_it_knows() {
    let mut call = command(["calibrate", "--seconds", "0.5", "--max", "64", "--", "sleep", "0.1", ":::", "a"]);
    let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    lines.find(|line| line.contains("4 at once: ")).expect("it says how far it is");
    kill_process(Pid::from_child(&child), Signal::INT).expect("a child can be signalled");
    let rest: Vec<String> = lines.collect();
    let mut printed = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut printed).expect("text");
    assert_eq!(child.wait().expect("a child can be waited for").code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("interrupted: this is what was known by then")), "{rest:?}");
    assert!(printed.contains("got most done of what was tried so far"), "{printed}");
}
