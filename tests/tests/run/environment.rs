//! What a document's process sees in its environment.

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
