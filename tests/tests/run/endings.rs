//! How documents and the whole job end: failures, retries, time-outs, the job log, and a reader that goes away.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use evenkeel_tests::{Ended, Scratch};

#[test]
fn a_failed_document_fails_the_job_and_stops_no_other() {
    let scratch = Scratch::new();
    let ended = scratch.call(["run", "-k", "sh", "-c", "echo {}; exit {}", ":::", "0", "7", "0"]).with(3);
    assert_eq!(ended.text(), "0\n7\n0\n");
    assert!(ended.stderr.contains("evenkeel: document 1 (7) failed: exit status 7\n3 documents: 2 done, 1 failed"));
}

#[test]
fn what_a_document_says_is_not_glued_to_what_we_say() {
    let scratch = Scratch::new();
    let job = |status: &str| scratch.call(["run", "sh", "-c", "printf trouble >&2; exit {}", ":::", status]).stderr;
    assert!(
        job("1").starts_with("trouble\nevenkeel: document 0 (1) failed: exit status 1\n1 document: "),
        "{}",
        job("1")
    );
    assert!(job("0").starts_with("trouble\n1 document: 1 done"), "{}", job("0"));
}

#[test]
fn failures_that_are_printed_as_lines_are_not_told_twice() {
    let scratch = Scratch::new();
    let ended = scratch.call(["run", "--output", "jsonl", "sh", "-c", "exit 1", ":::", "a"]).with(3);
    assert!(ended.text().contains("\"exit\":{\"status\":1}") && ended.stderr.starts_with("1 document: "));
}

#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let scratch = Scratch::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
    let mut call = scratch.command(["run", "echo", ":::", "a"]);
    let ended = Ended::of(call.stdout(full).output().expect("the program can be started")).with(1);
    assert_eq!(ended.stderr, "evenkeel: cannot write to standard output: no space left on device\n");
}

#[test]
fn a_command_that_does_not_exist_is_refused_before_anything_runs() {
    let scratch = Scratch::new();
    for program in ["no-such-program", "./no-such-program"] {
        let said = scratch.call(["run", program, "{}", ":::", "a", "b"]).with(2).stderr;
        assert!(said.contains(&format!("no such program: `{program}`")) && said.contains("nothing has run"), "{said}");
    }
    let said = scratch.call(["run", "-a", "lines", "--", "no such program"]).with(2).stderr;
    assert!(said.contains("not run by a shell"), "{said}");
    // Each document has its own.
    let said = scratch.call(["run", "{}", ":::", "no-such-program", "true"]).with(3).stderr;
    assert!(said.contains("document 0 (no-such-program) failed: not started: no such program"), "{said}");
    assert!(said.contains("1 done, 1 failed"), "{said}");
}

#[test]
fn too_many_failures_are_counted_and_not_named() {
    let scratch = Scratch::new();
    scratch.file("lines", "x\n".repeat(300));
    let said = scratch.call(["run", "-a", "lines", "--joblog", "log", "--", "false"]).with(3).stderr;
    assert!(
        said.contains("failed: exit status 1\nevenkeel: further failures are only counted; log lists them all\n300 ")
    );
    let said = scratch.call(["run", "-a", "lines", "--", "sh", "-c", "exit 4"]).with(3).stderr;
    assert!(said.lines().count() < 20 && said.contains("--joblog FILE") && said.contains("300 failed"), "{said}");
}

#[test]
fn a_document_is_tried_again_and_only_its_last_attempt_is_seen() {
    let scratch = Scratch::new();
    let script = "echo {} $EVENKEEL_ATTEMPT; test $EVENKEEL_ATTEMPT -ge {}";
    let call = ["run", "-k", "--retries", "2", "--backoff", "10ms", "sh", "-c", script, ":::", "1", "3", "4"];
    let ended = scratch.call(call).with(3);
    assert_eq!(ended.text(), "1 1\n3 3\n4 3\n");
    assert!(ended.stderr.contains("2 done, 1 failed"), "{}", ended.stderr);
}

#[test]
fn a_document_that_takes_too_long_is_killed_with_its_children() {
    let scratch = Scratch::new();
    let begun = Instant::now();
    let script = "echo begun; sh -c 'sleep {}; touch late'; touch late";
    let ended = scratch.call(["run", "-k", "--timeout", "500ms", "sh", "-c", script, ":::", "3", "0"]).with(3);
    assert!(begun.elapsed() < Duration::from_secs(3), "it waited for what it should have killed");
    assert_eq!(ended.text(), "begun\nbegun\n");
    assert!(ended.stderr.contains("document 0 (3) failed: its time ran out"), "{}", ended.stderr);
    std::fs::remove_file(scratch.path().join("late")).expect("the other document was done");
    std::thread::sleep(Duration::from_secs(3).saturating_sub(begun.elapsed()));
    assert!(!scratch.path().join("late").exists(), "a grandchild outlived its document");
}

#[test]
fn the_job_log_is_that_of_gnu_parallel() {
    let scratch = Scratch::new();
    let call = ["run", "--joblog", "log", "sh", "-c", "exit {}", ":::", "0", "5"];
    scratch.call(call).with(3);
    let log = scratch.read("log");
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some("Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"));
    let mut rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    rows.sort_unstable();
    assert_eq!(rows.len(), 2, "{log}");
    assert_eq!((rows[0][0], rows[0][6], rows[0][8]), ("1", "0", "sh -c 'exit 0'"));
    assert_eq!((rows[1][0], rows[1][6], rows[1][8]), ("2", "5", "sh -c 'exit 5'"));
    assert!(rows.iter().all(|row| row.len() == 9 && row[2].parse::<f64>().is_ok()), "{log}");
}

#[test]
fn a_large_output_is_cut_and_the_cut_is_told() {
    let scratch = Scratch::new();
    let ended = scratch.call(["run", "--capture", "1000", "head", "-c", "{}", "/dev/zero", ":::", "5000"]).with(0);
    assert_eq!(ended.stdout.len(), 1000);
    assert!(ended.stderr.contains("4,000 bytes dropped"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_job() {
    let scratch = Scratch::new();
    scratch.file("lines", "x\n".repeat(100_000));
    let mut call = scratch.command(["run", "-a", "lines", "--", "echo", "{}"]);
    let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line comes");
    drop(reader);
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!((line.as_str(), output.status.code()), ("x\n", Some(141)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "it is no reason to complain");
    assert_eq!(scratch.left_behind(), [] as [PathBuf; 0]);
}
