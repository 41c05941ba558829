//! Bad input: each with a message that says what, where and what to do, and exit status 2 before anything runs.

use evenkeel_tests::Scratch;

/// Calls `run` in a directory with these files, expects it to refuse, and to say all of this.
#[track_caller]
fn refused(files: &[(&str, &str)], arguments: &[&str], said: &[&str]) {
    let scratch = Scratch::new();
    for (name, text) in files {
        scratch.file(name, text);
    }
    let ended = scratch.call([&["run"], arguments].concat()).with(2);
    assert!(ended.stdout.is_empty(), "something ran: {:?}", ended.text());
    for part in said {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
    assert!(scratch.left_behind().is_empty());
}

const ECHO: [&str; 3] = ["--", "echo", "{}"];

#[test]
fn files_that_are_missing_or_hold_nothing() {
    refused(&[], &[&["-a", "no/such"], &ECHO[..]].concat(), &["cannot open no/such: no such file or directory"]);
    refused(&[], &[&["-a", "."], &ECHO[..]].concat(), &["cannot open", "--files 'DIR/**'"]);
    refused(&[("empty", "")], &[&["-a", "empty"], &ECHO[..]].concat(), &["empty holds no documents"]);
    refused(&[("empty", "\n\n")], &[&["--jsonl", "empty"], &ECHO[..]].concat(), &["empty holds no documents"]);
    refused(&[("head", "a,b\n")], &[&["--csv", "head"], &ECHO[..]].concat(), &["head holds no documents"]);
    refused(&[], &ECHO, &["standard input holds no documents"]);
    refused(&[], &[&["--files", "no/**"], &ECHO[..]].concat(), &["no/**", "no file matches", "quote it"]);
}

#[test]
fn lines_that_are_not_what_they_should_be() {
    let json = [("in", "{\"a\": 1}\n{\"a\": }\n")];
    refused(&json, &["--jsonl", "in", "--", "echo", "{.a}"], &["in, line 2, column 7", "not JSON"]);
    let ragged = [("in", "a,b\n1,2\n3\n")];
    refused(&ragged, &["--csv", "in", "--", "echo", "{.a}"], &["in, line 3 (row 2)", "1 field where the header has 2"]);
    let rows = [("in", "id,name\n1,a\n")];
    refused(&rows, &["--csv", "in", "--", "echo", "{.id}{.nmae}"], &["no column `nmae`", "{.nmae}", "it has id, name"]);
    let array = [("in", "[1]\n")];
    refused(&array, &["--jsonl", "in", "--", "echo", "{.a}"], &["in, line 1", "a JSON object is needed"]);
}

#[test]
fn lengths_that_are_none() {
    for (length, reason) in [
        ("-1", "negative"),
        ("\"NaN\"", "not a number"),
        ("18446744073709551616", "more than a length may be"),
        ("1.5", "not a whole number"),
        ("null", "not a number"),
    ] {
        let text = format!("{{\"a\": 1}}\n{{\"a\": {length}}}\n");
        refused(
            &[("in", &text)],
            &["--jsonl", "in", "--length-field", "a", "--", "true"],
            &["in, line 2", "`a`", reason],
        );
    }
    let rows = [("in", "id,size\n1,\n")];
    refused(&rows, &["--csv", "in", "--length-field", "size", "--", "true"], &["in, line 2", "`size`", "empty"]);
    refused(&rows, &["--csv", "in", "--length-field", "pages", "--", "true"], &["no column `pages`", "id, size"]);
    let objects = [("in", "{\"b\": 1}\n")];
    refused(&objects, &["--jsonl", "in", "--length-field", "a", "--", "true"], &["in, line 1", "no field `a`"]);
}

#[test]
fn commands_that_make_no_sense() {
    refused(&[], &["--", "echo", "{what}", ":::", "a"], &["{what}", "perhaps {.what} is meant"]);
    refused(
        &[],
        &["--", "echo", "{ }", ":::", "a"],
        &["unknown placeholder `{ }`", "perhaps {} is meant", r"write \{ }"],
    );
    refused(
        &[],
        &["--", "echo", "{.a}", ":::", "a"],
        &["the arguments after `:::`: these documents have no fields", "--jsonl or --csv"],
    );
    refused(&[], &[], &["no command"]);
    refused(&[], &["--resume", "--", "echo", "{}", ":::", "a"], &["--resume needs --joblog FILE or --results DIR"]);
    refused(&[], &["--nodes", "0", "--", "echo", ":::", "a"], &["--nodes"]);
    refused(&[], &["-j", "4,5", "--nodes", "3", "--", "echo", ":::", "a"], &["-j has 2 numbers for 3 nodes"]);
}

#[test]
fn documents_that_are_too_long() {
    let line = "x".repeat(5_000);
    let files = [("in", &*format!("short\n{line}\n"))];
    let arguments = ["-a", "in", "--document-limit", "4K", "--", "true"];
    refused(&files, &arguments, &["in, line 2", "longer than a document may be", "--document-limit"]);
}
