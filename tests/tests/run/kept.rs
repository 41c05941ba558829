//! What a job leaves in files: results and the job log, and what it does with those of an earlier run.

use evenkeel_tests::Scratch;

#[test]
fn results_of_an_earlier_run_are_not_overwritten() {
    let scratch = Scratch::new();
    let job = |options: &[&str], word: &str| {
        scratch.call([&["run", "--results", "out"], options, &["echo", "{}", ":::", word]].concat())
    };
    job(&[], "first").with(0);
    let refused = job(&[], "second").with(2);
    assert!(refused.stderr.contains("out holds results of an earlier run, such as 0.out"), "{}", refused.stderr);
    assert!(refused.stdout.is_empty());
    assert_eq!(scratch.read("out/0.out"), "first\n");
    // Also where nothing records what is done, as from a directory of another kind.
    std::fs::remove_file(scratch.path().join("out/.resume")).expect("the record is there");
    job(&[], "second").with(2);
    job(&["--resume"], "second").with(0);
    assert_eq!(scratch.read("out/0.out"), "second\n");
}

#[test]
fn results_that_get_other_numbers_leave_nothing_behind() {
    let scratch = Scratch::new();
    let job = |words: &[&str]| {
        scratch.call([&["run", "--resume", "--results", "out", "echo", "{}", ":::"], words].concat()).with(0).stderr
    };
    let before = scratch.path().join("out/.before");
    job(&["a", "b"]);
    job(&["new", "b", "a"]);
    assert!(!before.exists(), "every result is in its place");
    let said = job(&["a", "new"]);
    assert!(said.contains("the results of 1 document that is not in this input were put into out/.before"), "{said}");
    assert_eq!((scratch.read("out/0.out"), scratch.read("out/.before/1.out")), ("a\n".to_owned(), "b\n".to_owned()));
}

#[test]
fn a_job_log_that_cannot_be_written_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let job = |log: &str| scratch.call(["run", "--joblog", log, "--results", "out", "echo", "{}", ":::", "a"]);
    job("-").with(2);
    job("/dev/null").with(2);
    let said = job("no/log").with(1).stderr;
    assert!(said.contains("cannot open the job log no/log: "), "{said}");
    let names: Vec<_> = scratch.path().read_dir().expect("a directory").map(|entry| entry.expect("a name")).collect();
    assert_eq!(names.len(), 1, "only the directory for temporary files is there: {names:?}");

    // A results directory that is refused does not cost the log of the run that filled it.
    job("log").with(0);
    let log = scratch.read("log");
    job("log").with(2);
    assert_eq!(scratch.read("log"), log);
}
