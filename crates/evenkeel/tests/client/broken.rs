//! Nobody there, no right to ask, and nodes and readers that go away in the middle.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use evenkeel_node::api::types::{ErrorCode, Problem};

use crate::fake::{Behaviour, Served, TOKEN};
use crate::{Ended, end, program, run, run_with_input, start, until};

const ID: &str = "14d2pf2dbsqqg";

/// Every command that talks to a node.
const COMMANDS: [&[&str]; 8] = [
    &["submit", "wc", ":::", "a"],
    &["status"],
    &["nodes"],
    &["results", ID],
    &["explain", "14d2pf2dbsqqg/0"],
    &["cancel", ID],
    &["retry", ID],
    &["drain"],
];

#[test]
fn without_a_node_it_is_said_where_one_was_looked_for() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for arguments in COMMANDS {
        let ended = Ended::from(program(arguments).env("EVENKEEL_HTTP", format!("http://{free}")).output().unwrap());
        let place = format!("no node answers at http://{free}/: connection refused; ");
        ended.refused(5, &[&place, "start one with `evenkeel node`, or name another with --http"]);
    }
}

#[test]
fn a_token_is_asked_for_and_taken() {
    let served = Served::with(Behaviour { token: true, ..Behaviour::default() });
    for arguments in COMMANDS {
        run(&served, arguments)
            .refused(7, &["this node asks for a token: give it with --token-file FILE, or in EVENKEEL_TOKEN"]);
        let wrong = Ended::from(start(&served, arguments).env("EVENKEEL_TOKEN", "fedcba9876543210").output().unwrap());
        wrong.refused(7, &["this is not the token of this node"]);
        assert!(!wrong.stderr.contains("fedcba"), "{wrong:?}");
    }
    let big = "x\n".repeat(2_000_000);
    run_with_input(&served, &["submit", "wc"], big.as_bytes()).refused(7, &["asks for a token"]);
    let right = Ended::from(start(&served, &["nodes"]).env("EVENKEEL_TOKEN", TOKEN).output().unwrap());
    assert_eq!(right.status, Some(0), "{right:?}");
    let piped = run_with_input(&served, &["status", "--token-file", "-"], TOKEN.as_bytes());
    assert_eq!(piped.status, Some(0), "{piped:?}");
}

#[test]
fn something_else_that_answers_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = std::thread::spawn(move || {
        for status in ["200 OK", "502 Bad Gateway", "403 Forbidden"] {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).lines().take_while(|line| !line.as_ref().unwrap().is_empty()).for_each(drop);
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>").unwrap();
        }
    });
    for (status, words) in [(1, "expected value"), (1, "502 Bad Gateway"), (7, "403 Forbidden")] {
        let ended = Ended::from(program(&["nodes", "--http", &format!("http://{address}/")]).output().unwrap());
        ended.refused(status, &["is no Evenkeel node, or one of another version", words]);
    }
    answers.join().unwrap();
}

#[test]
fn a_node_that_dies_during_an_upload_has_accepted_nothing() {
    let mut served = Served::with(Behaviour { room: 10_000, ..Behaviour::default() });
    let mut child = start(&served, &["submit", "wc"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let lines = "a line of input\n".repeat(1_000);
        while stdin.write_all(lines.as_bytes()).is_ok() {}
    });
    until("the upload stands still", || served.memory.pushed.load(SeqCst) > 10_000);
    served.kill();
    let ended = end(child);
    ended.refused(
        5,
        &[
            "broke off after ",
            " documents had been sent: ",
            "nothing was submitted, a batch being accepted as a whole",
            "--http",
        ],
    );
    writer.join().unwrap();
}

#[test]
fn a_node_that_dies_before_its_answer_may_have_accepted_all() {
    let mut served = Served::with(Behaviour { room: 0, ..Behaviour::default() });
    let child = start(&served, &["submit", "wc", ":::", "a", "b"]).spawn().unwrap();
    until("the upload has arrived", || served.memory.pushed.load(SeqCst) == 2);
    served.kill();
    end(child).refused(5, &["All 2 documents had been sent, and whether they were accepted is not known", "--resume"]);
}

#[test]
fn a_node_that_dies_while_results_come_leaves_what_came() {
    for (output, part) in [("text", "zero\n"), ("jsonl", "\"zero\\n\""), ("table", "done"), ("json", "\"zero\\n\"")] {
        let mut served = Served::new();
        served.memory.silent.store(true, SeqCst);
        let child = start(&served, &["results", ID, "--follow", "--output", output]).spawn().unwrap();
        until("all results are sent", || served.memory.silences.load(SeqCst) > 0);
        served.kill();
        let ended = end(child);
        assert_eq!(ended.status, Some(5), "{ended:?}");
        assert!(ended.stdout.contains(part), "{ended:?}");
        assert!(ended.stderr.contains("broke off: "), "{ended:?}");
        assert!(ended.stderr.contains("Only 4 results were received, and the rest is missing"), "{ended:?}");
    }
}

#[test]
fn a_problem_in_the_midst_of_results_is_told_after_those_that_came() {
    let served = Served::new();
    let problem = Problem::new(ErrorCode::Unavailable, "no node has the result of document 1").hint("ask again later");
    served.memory.results.lock().unwrap()[3] = Err(problem);
    let ended = run(&served, &["results", ID]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "two\nzero\n"), "{ended:?}");
    let said = "evenkeel: no node has the result of document 1 (ask again later). Only 3 results were received, and the rest is missing\n";
    assert!(ended.stderr.ends_with(said), "{ended:?}");
}

#[test]
fn a_reader_that_goes_away_is_not_complained_of() {
    let served = Served::new();
    let gone = |arguments: &[&str], lines: usize| {
        let (reader, writer) = std::io::pipe().unwrap();
        // A reader that reads nothing has gone before the program begins, which could be done sooner than it can go.
        let reader = (lines > 0).then(|| BufReader::new(reader));
        let child = start(&served, arguments).stdout(writer).spawn().unwrap();
        if let Some(mut reader) = reader {
            for _ in 0..lines {
                reader.read_line(&mut String::new()).unwrap();
            }
        }
        let ended = end(child);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(141), ""), "{arguments:?}");
    };
    for arguments in [&["status"][..], &["nodes"], &["explain", "14d2pf2dbsqqg/0"]] {
        gone(arguments, 0);
    }
    let result = served.memory.results.lock().unwrap()[0].clone();
    *served.memory.results.lock().unwrap() = vec![result; 50_000];
    for (output, lines) in [("text", 1), ("jsonl", 1), ("json", 0), ("table", 1)] {
        gone(&["results", ID, "--output", output], lines);
    }
}

#[test]
fn waiting_goes_on_at_another_node_when_the_one_that_was_asked_dies() {
    let mut first = Served::new();
    let second = Served::with(Behaviour { memory: Arc::clone(&first.memory), ..Behaviour::default() });
    *first.memory.other.lock().unwrap() = Some(second.address);
    let documents = ["x"; 8];
    let child = start(&first, &[&["submit", "--wait", "wc", ":::"], &documents[..]].concat()).spawn().unwrap();
    until("it waits", || first.memory.looks.load(SeqCst) > 2);
    first.kill();
    let ended = end(child);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let said = format!("evenkeel: http://{}/ does not answer any more; asking the other nodes\n", first.address);
    assert!(ended.stderr.contains(&said) && ended.stderr.ends_with("ended: 8 done\n"), "{ended:?}");
}

#[test]
fn waiting_gives_up_when_no_node_answers() {
    let mut served = Served::new();
    let documents = ["x"; 30];
    let child = start(&served, &[&["submit", "--wait", "wc", ":::"], &documents[..]].concat()).spawn().unwrap();
    until("it waits", || served.memory.looks.load(SeqCst) > 2);
    served.kill();
    let ended = end(child);
    assert_eq!((ended.status, ended.stdout.trim().len()), (Some(5), 13), "{ended:?}");
    assert!(
        ended.stderr.contains("asking it again\n") && ended.stderr.contains("the batch goes on all the same"),
        "{ended:?}"
    );
}
