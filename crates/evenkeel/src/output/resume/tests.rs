use std::fs;

use proptest::prelude::*;

use super::super::sample;
use super::*;

fn keys() -> Keys {
    Keys::of_command(["sha256sum", "{}"])
}

/// Runs a job over `input`: asks for every document, settles, "runs" what is not done; returns the numbers that ran.
fn run(directory: &Path, input: &[&str], resumed: bool) -> Vec<u32> {
    let path = location(Some(directory), None).unwrap();
    let results = match resumed {
        true => ResultsDir::resume(directory).unwrap(),
        false => ResultsDir::create(directory).unwrap(),
    };
    let mut resume = if resumed { Resume::read(&path) } else { Resume::create(&path) }.unwrap();
    let numbered = || input.iter().enumerate().map(|(number, payload)| (DocNumber(number as u32), *payload));
    let mut left = Vec::new();
    for (number, payload) in numbered() {
        if !resume.is_done(keys().key(payload.as_bytes()), number) {
            left.push((number, payload));
        }
    }
    resume.settle(input.len() as u64, Some(&results)).unwrap();
    for (number, payload) in &left {
        results.add(sample::finished(&sample::record(number.0, payload, ""))).unwrap();
        resume.record(keys().key(payload.as_bytes()), *number).unwrap();
    }
    left.iter().map(|(number, _)| number.0).collect()
}

/// Every document's result is in its file.
fn check(directory: &Path, input: &[&str]) {
    for (number, payload) in input.iter().enumerate() {
        let found = fs::read_to_string(directory.join(format!("{number}.out"))).unwrap();
        assert_eq!(found, *payload, "document {number}");
    }
}

#[test]
fn what_is_done_does_not_run_again_wherever_it_stands() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), &["a", "b", "c"], false), [0, 1, 2]);
    assert_eq!(run(root.path(), &["a", "b", "c"], true), [0; 0]);
    assert_eq!(run(root.path(), &["c", "new", "a"], true), [1]);
    check(root.path(), &["c", "new", "a"]);
    assert_eq!(run(root.path(), &["new", "b", "c", "a"], true), [1], "b gave way, so it runs again");
    check(root.path(), &["new", "b", "c", "a"]);
}

#[test]
fn identical_documents_count_as_often_as_they_were_done() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), &["a", "a", "b"], false), [0, 1, 2]);
    assert_eq!(run(root.path(), &["a", "b", "a", "a"], true).len(), 1);
    check(root.path(), &["a", "b", "a", "a"]);
}

#[test]
fn another_command_makes_other_documents() {
    let other = Keys::of_command(["sha256sum", "{", "}"]);
    assert_ne!(keys().key(b"a"), other.key(b"a"));
    assert_ne!(keys().key(b"a"), keys().key(b"b"));
    assert_eq!(keys().key(b"a"), keys().key(b"a"));
}

#[test]
fn a_torn_line_is_forgotten_and_written_over() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log.resume");
    assert_eq!(location(None, Some(&root.path().join("log"))), Some(path.clone()));
    let mut resume = Resume::create(&path).unwrap();
    resume.record(keys().key(b"a"), DocNumber(0)).unwrap();
    resume.record(keys().key(b"b"), DocNumber(1)).unwrap();
    drop(resume);
    let whole = fs::read(&path).unwrap();
    let first = HEADER.len() + 1 + line(keys().key(b"a"), DocNumber(0)).len();
    for cut in HEADER.len() + 1..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut resume = Resume::read(&path).unwrap();
        assert!(!resume.is_done(keys().key(b"b"), DocNumber(1)), "cut at {cut}");
        assert_eq!(resume.is_done(keys().key(b"a"), DocNumber(0)), cut >= first, "cut at {cut}");
        resume.record(keys().key(b"b"), DocNumber(1)).unwrap();
        drop(resume);
        assert!(Resume::read(&path).unwrap().is_done(keys().key(b"b"), DocNumber(1)), "cut at {cut}");
    }
    for cut in 0..=HEADER.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(Resume::read(&path).is_ok(), "cut at {cut}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEADER}\n"));
    }
}

#[test]
fn damaged_lines_are_skipped_and_the_rest_is_believed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(RESUME_FILE);
    let good = line(keys().key(b"a"), DocNumber(4));
    let long = "x".repeat(1_000);
    fs::write(&path, format!("{HEADER}\n{long}\n{}\nzz 1\n\n{good}", "\0".repeat(40))).unwrap();
    let mut resume = Resume::read(&path).unwrap();
    assert_eq!(resume.earlier.len(), 1);
    assert!(resume.is_done(keys().key(b"a"), DocNumber(0)));
}

#[test]
fn another_file_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(RESUME_FILE);
    for text in ["Dear all,\n".to_owned(), "x".repeat(1_000), format!("{HEADER} and more\n")] {
        fs::write(&path, &text).unwrap();
        let error = Resume::read(&path).unwrap_err().to_string();
        assert!(error.contains("is not a record of done documents"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_job_log_without_its_record_cannot_be_resumed() {
    let root = tempfile::tempdir().unwrap();
    let joblog = root.path().join("log");
    let path = location(None, Some(&joblog)).unwrap();
    assert!(Resume::read(&path).is_ok(), "nothing was done yet");
    fs::remove_file(&path).unwrap();
    fs::write(&joblog, "Seq\n").unwrap();
    let error = Resume::read(&path).unwrap_err().to_string();
    assert!(error.contains("log.resume, which says what is done, is missing"), "{error}");
}

#[test]
fn two_runs_do_not_share_a_record() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(RESUME_FILE);
    let _running = Resume::create(&path).unwrap();
    let error = Resume::read(&path).unwrap_err().to_string();
    assert!(error.starts_with("another run is writing"), "{error}");
    assert!(Resume::create(&path).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_refused(bytes: Vec<u8>, header: bool) {
        let text = [if header { format!("{HEADER}\n").into_bytes() } else { Vec::new() }, bytes].concat();
        let _ = parse(&mut &text[..]);
    }

    #[test]
    fn entries_survive_writing_and_reading(payload: Vec<u8>, number: u32) {
        let (key, number) = (keys().key(&payload), DocNumber(number));
        let text = line(key, number);
        prop_assert!(text.len() as u64 <= LONGEST_LINE);
        prop_assert_eq!(entry(text.trim_end().as_bytes()), Some((key, number)));
    }

    #[test]
    fn after_any_changes_of_the_input_every_result_is_in_its_place(
        inputs in prop::collection::vec(prop::collection::vec("[a-e]", 1..6), 1..5),
    ) {
        let root = tempfile::tempdir().unwrap();
        for (round, input) in inputs.iter().enumerate() {
            let input: Vec<&str> = input.iter().map(String::as_str).collect();
            run(root.path(), &input, round > 0);
            check(root.path(), &input);
        }
    }
}
