//! What a document's process is given by its node.

use std::process::Command;

use evenkeel_tests::Scratch;

#[test]
fn a_document_sees_what_it_is_and_no_secret() {
    let scratch = Scratch::new();
    let mut call = scratch.command(["run", "--", "env", ":::", "a"]);
    call.env("EVENKEEL_SECRET", "not-for-you")
        .env("EVENKEEL_TOKEN", "nor-this-one")
        .env("EVENKEEL_TOKEN_FILE", "or-this");
    let ended =
        evenkeel_tests::Ended::of(call.env("FOR_DOCUMENTS", "this-is").output().expect("it can be started")).with(0);
    let text = ended.text();
    assert!(text.contains("EVENKEEL_DOCUMENT=0\n") && text.contains("FOR_DOCUMENTS=this-is\n"), "{text}");
    for secret in ["SECRET", "TOKEN", "not-for-you", "nor-this-one", "or-this"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_soft_limit_of_open_files_does_not_bound_how_many_documents_run() {
    let scratch = Scratch::new();
    // Forty documents take more than eighty pipes.
    let program = evenkeel_tests::path();
    let mut call = Command::new("sh");
    call.args(["-c", "ulimit -Sn 80; exec \"$0\" \"$@\""]).arg(program).current_dir(scratch.path());
    let script = "echo {} >> started; while [ $(wc -l < started) -lt 40 ]; do sleep 0.05; done";
    call.args(["run", "-j", "40", "--length", "1", "--", "sh", "-c", script, ":::"])
        .args((0..40).map(|n| n.to_string()));
    evenkeel_tests::Ended::of(call.output().expect("it can be started")).with(0);
}
