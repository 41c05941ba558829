//! `submit`: what arrives at the node, what is printed, and what is refused.

use std::path::Path;
use std::time::Duration;

use evenkeel_core::batch::Allocate;
use evenkeel_core::units::Length;
use evenkeel_node::api::Document;
use evenkeel_node::api::types::NewBatch;

use crate::fake::Served;
use crate::{Ended, run, run_with_input, start};

/// The last upload.
fn uploaded(served: &Served) -> (NewBatch, Vec<Document>) {
    served.memory.uploads.lock().unwrap().pop().expect("an upload")
}

fn payloads(documents: &[Document]) -> Vec<&[u8]> {
    documents.iter().map(|document| &document.payload[..]).collect()
}

/// Nothing of it was accepted.
fn nothing_uploaded(served: &Served) {
    assert!(served.memory.uploads.lock().unwrap().is_empty());
}

#[test]
fn a_batch_and_its_options_arrive() {
    let served = Served::new();
    let options =
        ["--retries", "2", "--timeout", "90s", "--backoff", "250ms", "--allocate", "pareto", "--capture", "1K"];
    let ended = run(&served, &[&["submit"], &options[..], &["--", "wc", "{}", ":::", "a", "b\u{e4}"]].concat());
    let id = ended.stdout.trim();
    let said = format!("evenkeel: batch {id} accepted: 2 documents, stored on 2 nodes\n");
    assert_eq!((ended.status, id.len(), ended.stderr.as_str()), (Some(0), 13, said.as_str()));
    let (header, documents) = uploaded(&served);
    assert_eq!(header.command, ["wc", "{}"]);
    assert_eq!((header.options.retries, header.options.allocate), (2, Allocate::Pareto));
    assert_eq!(header.options.timeout, Some(Duration::from_secs(90)));
    assert_eq!((header.options.backoff, header.options.capture), (Some(Duration::from_millis(250)), Some(1_024)));
    assert_eq!(payloads(&documents), [&b"a"[..], "b\u{e4}".as_bytes()]);
    assert_eq!(documents[1].length, Length(3));

    run(&served, &["submit", "wc", ":::", "a"]);
    let options = uploaded(&served).0.options;
    assert_eq!((options.backoff, options.timeout, options.capture), (None, None, None), "left to the node");
}

#[test]
fn any_bytes_arrive_from_standard_input_and_a_warning_comes_back() {
    let served = Served::new();
    let ended = run_with_input(&served, &["submit", "--output", "json", "wc"], b"\xff\x00 {\"\n");
    assert_eq!((&ended.json()["documents"], &ended.json()["copies"]), (&1.into(), &1.into()));
    assert!(ended.stderr.contains("evenkeel: warning: only one copy, since there is only one node\n"), "{ended:?}");
    assert_eq!(payloads(&uploaded(&served).1), [b"\xff\x00 {\""]);
}

#[test]
fn lengths_are_taken_from_fields() {
    let served = Served::new();
    let input = b"{\"id\": 1, \"pages\": 30}\n\n{\"id\": 2, \"pages\": 4}\n";
    let ended =
        run_with_input(&served, &["submit", "--jsonl", "-", "--length-field", "pages", "--", "echo", "{.id}"], input);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lengths: Vec<u64> = uploaded(&served).1.iter().map(|document| document.length.0).collect();
    assert_eq!(lengths, [30, 4]);
}

#[test]
fn names_of_files_become_absolute() {
    let served = Served::new();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("in")).unwrap();
    for (name, text) in [("one", "1"), ("two", "22")] {
        std::fs::write(root.join("in").join(name), text).unwrap();
    }
    let absolute = root.join("in/on*");
    for pattern in ["in/on*", "./in/on*", absolute.to_str().unwrap()] {
        let arguments = ["submit", "--files", pattern, "--", "wc", "{}"];
        let ended = Ended::from(start(&served, &arguments).current_dir(&root).output().unwrap());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let (_, documents) = uploaded(&served);
        assert_eq!(documents[0].payload, root.join("in/one").to_str().unwrap());
        assert_eq!((documents.len(), documents[0].length), (1, Length(1)));
    }
}

#[test]
fn waiting_ends_with_the_status_of_the_job() {
    let served = Served::new();
    let ended = run(&served, &["submit", "--wait", "wc", ":::", "a", "b", "c"]);
    let id = ended.stdout.trim();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.ends_with(&format!("evenkeel: batch {id} ended: 3 done\n")), "{ended:?}");

    let ended = run(&served, &["submit", "--wait", "--output", "jsonl", "wc", ":::", "a", "fail", "fail"]);
    let lines = ended.json_lines();
    assert_eq!((ended.status, lines.len()), (Some(3), 2), "{ended:?}");
    assert_eq!(
        (&lines[0]["documents"], &lines[1]["failed"], &lines[1]["state"]),
        (&3.into(), &2.into(), &"finished".into())
    );
    let hint = format!(
        "ended: 1 done, 2 failed; `evenkeel results {} --failed` tells why\n",
        lines[0]["batch"].as_str().unwrap()
    );
    assert!(ended.stderr.ends_with(&hint), "{ended:?}");
}

#[test]
fn bad_input_is_named_and_nothing_is_submitted() {
    let served = Served::new();
    let many = b"{\"n\": 1}\n".repeat(60_000);
    for (arguments, input, words) in [
        (
            &["submit", "--jsonl", "-", "wc"][..],
            [&many[..], b"{\"n\": \n"].concat(),
            "standard input, line 60001, column",
        ),
        (&["submit", "--jsonl", "-", "wc"], b"".to_vec(), "standard input holds no documents"),
        (&["submit", "--csv", "-", "wc"], b"a,b\n1,2\n3\n".to_vec(), "standard input, line 3 (row 2): 1 field"),
        (
            &["submit", "--document-limit", "10", "wc"],
            b"short\nmuch too long\n".to_vec(),
            "standard input, line 2: longer",
        ),
    ] {
        run_with_input(&served, arguments, &input).refused(2, &[words, "nothing was submitted"]);
        nothing_uploaded(&served);
    }
    let missing = Path::new("no/such/file");
    run(&served, &["submit", "-a", missing.to_str().unwrap(), "wc"]).refused(2, &["cannot open no/such/file"]);
    run(&served, &["submit", "--token-file", "-", "-a", "-", "wc"]).refused(2, &["cannot hold both the token and"]);
}

#[test]
fn what_the_node_refuses_is_named_by_its_place_in_the_input() {
    let served = Served::new();
    let long = "x".repeat(1_001);
    let many = format!("{}{long}\n{}", "short\n".repeat(50_000), "short\n".repeat(500_000));
    let ended = run_with_input(&served, &["submit", "wc"], many.as_bytes());
    ended.refused(
        2,
        &["standard input, line 50001: ", "1001 bytes", "put the data into a file", "nothing was submitted"],
    );
    let ended = run_with_input(&served, &["submit", "wc", ":::", "short", &long], b"");
    ended.refused(2, &["document 1, counted from 0: "]);
    run(&served, &["submit", "wc", "{nothing}", ":::", "a"])
        .refused(2, &["unknown placeholder {nothing} (there are {} and {n}); nothing was submitted"]);
    run(&served, &["submit", "--capture", "2M", "wc", ":::", "a"]).refused(2, &["bytes to capture", "capture_max"]);
    nothing_uploaded(&served);
}
