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
