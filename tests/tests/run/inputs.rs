//! Every kind of input, and the orders in which output comes.

use std::fs::File;

use evenkeel_tests::{Ended, Scratch};
use serde_json::Value;

#[test]
fn lines_are_documents() {
    let scratch = Scratch::new();
    let file = scratch.file("lines", "one\n two  words\r\n\n'quoted'\nlast");
    let expected = "0 one.\n1  two  words.\n2 .\n3 'quoted'.\n4 last.\n";
    let ended = scratch.call(["run", "-k", "-a", "lines", "--", "echo", "{n} {}."]).with(0);
    assert_eq!(ended.text(), expected);
    let mut piped = scratch.command(["run", "-k", "--", "echo", "{n} {}."]);
    piped.stdin(File::open(&file).expect("an own file"));
    assert_eq!(Ended::of(piped.output().expect("the program can be started")).with(0).text(), expected);
}

#[test]
fn arguments_are_documents() {
    let scratch = Scratch::new();
    let ended = scratch.call(["run", "-k", "--nodes", "2", "echo", "<{}>", ":::", "a b", "", "-c"]).with(0);
    assert_eq!(ended.text(), "<a b>\n<>\n<-c>\n");
}

#[test]
fn a_command_without_placeholder_reads_its_document() {
    let scratch = Scratch::new();
    let long = "y".repeat(300_000);
    scratch.file("lines", format!("abc\n{long}\n"));
    let ended = scratch.call(["run", "-k", "-a", "lines", "--", "wc", "-c"]).with(0);
    assert_eq!(ended.text(), "3\n300000\n");
}

#[test]
fn fields_of_json_lines_are_words() {
    let scratch = Scratch::new();
    scratch.file(
        "in.jsonl",
        "{\"id\": 7, \"name\": \"Zoë \\\"Z\\\"\", \"size\": 10}\n\n{\"id\": 8, \"name\": \"b\", \"size\": 20}\n",
    );
    let call = ["run", "-j1", "--jsonl", "in.jsonl", "--length-field", "size", "--", "echo", "{.id}: {.name}"];
    assert_eq!(scratch.call(call).with(0).text(), "8: b\n7: Zoë \"Z\"\n");
}

#[test]
fn rows_of_csv_are_documents() {
    let scratch = Scratch::new();
    scratch.file("in.csv", "id,pages,title\n1,5,\"a, b\"\n2,50,\"two\nlines\"\n");
    let call = ["run", "-j1", "--csv", "in.csv", "--length-field", "pages", "--", "echo", "{.id} {.title}"];
    assert_eq!(scratch.call(call).with(0).text(), "2 two\nlines\n1 a, b\n");
}

#[test]
fn order_is_kept_if_asked_for() {
    let scratch = Scratch::new();
    let numbers: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    scratch.file("lines", numbers.join("\n"));
    // The first ones take longest.
    let script = "sleep 0.$((60 - {n})); echo {}; echo {} >&2";
    let ended =
        scratch.call(["run", "-k", "--nodes", "3", "-j", "20", "-a", "lines", "--", "sh", "-c", script]).with(0);
    assert_eq!(ended.text(), numbers.join("\n") + "\n");
}

#[test]
fn lines_of_json_keep_the_order_too() {
    let scratch = Scratch::new();
    let numbers = |options: &[&str]| {
        let call = [&["run", "-j1", "--output", "jsonl"], options, &["echo", "{}", ":::", "a", "bbb", "cc"]].concat();
        let ended = scratch.call(call).with(0);
        let lines = ended.text().lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        let named = lines.inspect(|line| assert_eq!(line["node_name"], "node-1"));
        named.map(|line| (line["document"].clone(), line["stdout"].clone())).collect::<Vec<_>>()
    };
    let [a, b, c] = [(0, "a\n"), (1, "bbb\n"), (2, "cc\n")].map(|(number, text)| (number.into(), text.into()));
    assert_eq!(numbers(&["-k"]), [a.clone(), b.clone(), c.clone()]);
    assert_eq!(numbers(&[]), [b, c, a]);
}

#[test]
fn the_environment_tells_a_process_what_it_is() {
    let scratch = Scratch::new();
    let script = "echo $EVENKEEL_DOCUMENT $EVENKEEL_ATTEMPT $EVENKEEL_EPOCH $EVENKEEL_NODE ${#EVENKEEL_BATCH}";
    let ended = scratch.call(["run", "-k", "sh", "-c", script, "{}", ":::", "a", "b"]).with(0);
    let lines: Vec<Vec<&str>> = ended.text().lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines[0][..4], ["0", "1", "1", "node-1"]);
    assert_eq!(lines[1][..4], ["1", "1", "1", "node-1"]);
    assert_ne!(lines[0][4], "0");
}

#[test]
fn braces_of_other_programs_arrive_as_they_are() {
    let scratch = Scratch::new();
    let echo = |word: &str| scratch.call(["run", "printf", "%s", word, ":::", "x"]).with(0).text().to_owned();
    for word in ["%{http_code}", "{print $1}", "{a,b}", "[0-9]{4}", "{{.Name}}", "${HOME}"] {
        assert_eq!(echo(word), word);
    }
    assert_eq!(echo(r#"print(f"\{x}")"#), r#"print(f"{x}")"#);
    assert_eq!(echo(r"/a/\{p}"), "/a/{p}");
}
