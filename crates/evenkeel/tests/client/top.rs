//! `top`, in a real terminal.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use evenkeel_core::ids::NodeId;
use evenkeel_node::api::types::{Event, NodeState};
use rustix::process::Signal;

use crate::doctor::{Host, Node};
use crate::fake::{Behaviour, FINISHED, RETRIED, RUNNING, Served};
use crate::pty::Terminal;
use crate::{program, run};

/// The command, in a locale that shows everything.
fn top(url: &str) -> Command {
    let mut command = program(&["top", "--http", url]);
    command.env_remove("LC_ALL").env_remove("LC_CTYPE").env("LANG", "C.UTF-8");
    command
}

fn start(served: &Served) -> Terminal {
    Terminal::start(top(&served.url()), 80, 24)
}

#[test]
fn the_cluster_is_shown_and_the_terminal_is_given_back() {
    let served = Served::new();
    for key in ["q", "\x03"] {
        let mut terminal = start(&served);
        let text = terminal.shows("14d2pf2dbsqqh running");
        for words in ["here at http://", "2 live, 1 dead", "there        live", "lost         dead", "regret 112.5"] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
        assert!(terminal.is_taken());
        terminal.type_in(key);
        assert_eq!(terminal.end().code(), Some(0));
        terminal.until("the terminal is as it was", |_| terminal.is_as_before());
    }
}

#[test]
fn a_real_node_is_watched_at_work_until_it_dies() {
    let host = Host::new();
    let mut node = Node::start(&host, &["--name", "runner"]);
    let url = format!("http://{}", host.http);
    let mut terminal = Terminal::start(top(&url), 80, 24);
    terminal.shows(">runner");
    terminal.shows("there are no batches");
    let submitted = [
        "submit",
        "--http",
        &url,
        "--",
        "sh",
        "-c",
        "test {} != 2 || exit 7; test {} != 3 || sleep 600",
        ":::",
        "1",
        "2",
        "3",
    ];
    let submitted = crate::Ended::from(program(&submitted).output().unwrap());
    let batch = submitted.stdout.trim();
    terminal.shows(&format!("batch {batch} accepted: 3 documents"));
    terminal.until("two of three have ended", |text| text.contains("66%") && text.contains("running"));
    terminal.shows("1 FAILED on runner");
    terminal.type_in("2\r");
    terminal.shows("1 failed: exit status 7, on runner");
    terminal.type_in("\r");
    terminal.shows("exit status 7, at attempt 1");
    terminal.type_in("\x1b");
    terminal.until("the batch is back", |text| text.contains("THOSE THAT FAILED"));
    terminal.type_in("cy");
    terminal.shows(&format!("batch {batch} is cancelled: 1 done before, 1 failed"));
    terminal.shows("1 cancelled, 0 pending");
    node.kill();
    terminal.shows("RECONNECTING");
    terminal.shows(&format!("{url}: "));
    terminal.type_in("q");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn what_happens_is_shown_as_it_happens() {
    let served = Served::new();
    let mut terminal = start(&served);
    // An event that came before the program listens would not be heard: it is told again until it is.
    terminal.until("it shows what has happened", |text| {
        let moved = Event::DocumentsMoved { from: NodeId([0x11; 16]), to: NodeId([0x22; 16]), documents: 40 };
        served.events.publish(moved);
        text.contains("40 documents moved from here to there")
    });
    served.events.publish(Event::NodeChanged { node: NodeId([0x33; 16]), name: "lost".into(), state: NodeState::Live });
    terminal.shows("node lost is live");
    terminal.type_in("3/lost is\r");
    terminal.until("what does not match is gone", |text| {
        !text.contains("40 documents moved") && text.contains("node lost is live")
    });
}

#[test]
fn keys_lead_to_a_document_and_its_output_and_back() {
    let served = Served::new();
    let mut terminal = start(&served);
    terminal.shows("BATCHES (3)");
    terminal.type_in("2jj");
    terminal.shows(&format!(">{FINISHED}"));
    terminal.type_in("kk");
    terminal.shows(&format!(">{RETRIED}"));
    terminal.type_in(&format!("/{FINISHED}\r\r"));
    terminal.shows(&format!("BATCH {FINISHED}"));
    terminal.shows("3 failed: not started: no such program");
    terminal.type_in("\r");
    let text = terminal.shows("half of");
    for words in [&format!("DOCUMENT {FINISHED}/1"), "both of its attempts failed", "exit status 7"] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    terminal.type_in("\x1b");
    terminal.until("the batch is back", |text| !text.contains("half of") && text.contains("FAILED, AND"));
    terminal.type_in("g3\r");
    terminal.shows(&format!("DOCUMENT {FINISHED}/3"));
    terminal.type_in("?");
    terminal.shows("quit; the cluster goes on");
}

#[test]
fn a_batch_is_cancelled_behind_a_confirmation() {
    let served = Served::new();
    let mut terminal = start(&served);
    terminal.shows(&RUNNING.to_string());
    terminal.type_in("2c");
    terminal.until("it asks about the chosen batch", |text| {
        text.contains("cancel batch") || text.contains("nothing to cancel")
    });
    terminal.type_in("n");
    terminal.type_in(&format!("/{RUNNING}\rc"));
    terminal.shows(&format!("cancel batch {RUNNING}? 15,000 documents will not run any more (y/n)"));
    terminal.type_in("n");
    terminal.shows("nothing was done");
    assert!(served.memory.cancelled.lock().unwrap().is_empty());
    terminal.type_in("c");
    terminal.shows("(y/n)");
    terminal.type_in("y");
    terminal.shows(&format!("batch {RUNNING} is cancelled: 5,000 done before"));
    assert_eq!(*served.memory.cancelled.lock().unwrap(), [RUNNING]);
}

#[test]
fn a_node_is_drained_behind_a_confirmation_but_never_the_last_one() {
    let served = Served::new();
    let mut terminal = start(&served);
    terminal.shows(">here");
    terminal.type_in("/there\rd");
    terminal.shows("drain node there? It gives 34,000 documents away and leaves (y/n)");
    assert_eq!(*served.memory.drained.lock().unwrap(), None);
    served.memory.looks.store(0, SeqCst);
    terminal.type_in("y");
    terminal.shows("node there finishes what it runs, gives everything else away, and leaves");
    assert_eq!(*served.memory.drained.lock().unwrap(), Some(NodeId([0x22; 16])));

    let served = Served::new();
    served.memory.alone.store(true, SeqCst);
    let mut terminal = start(&served);
    terminal.shows(">here");
    terminal.type_in("d");
    terminal.shows("here is the last live node");
    assert_eq!(*served.memory.drained.lock().unwrap(), None);
}

#[test]
fn when_its_node_dies_it_says_so_and_goes_on_with_another() {
    let mut served = Served::new();
    let other = Served::with(Behaviour { memory: Arc::clone(&served.memory), ..Behaviour::default() });
    let mut terminal = start(&served);
    terminal.shows("BATCHES (3)");
    served.kill();
    let gone = served.url();
    let text = terminal.shows("RECONNECTING");
    assert!(text.contains("14d2pf2dbsqqh"), "what was known is still there:\n{text}");
    terminal.shows(&format!("{gone}: "));
    terminal.shows("connection refused; trying");
    terminal.type_in("2c");
    terminal.shows("nothing can be done");
    // It had not told of the other node: nobody answers, until one does at the old address.
    let mut again =
        Served::at(served.address, Behaviour { memory: Arc::clone(&served.memory), ..Behaviour::default() });
    *served.memory.other.lock().unwrap() = Some(other.address);
    terminal.shows(&format!("here at {gone}"));
    terminal.until("it has looked at the nodes since", |text| !text.contains("RECONNECTING"));
    terminal.type_in("1/there\r\r");
    terminal.shows(&format!("http://{}", other.address));
    again.kill();
    terminal.shows(&format!("at {}", other.url()));
    terminal.type_in("q");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn another_size_is_another_picture() {
    let served = Served::new();
    let terminal = start(&served);
    terminal.shows("COMMAND");
    terminal.resize(40, 10);
    terminal.until("one list is left", |text| !text.contains("BATCHES") && text.contains("NODES (3)"));
    terminal.resize(120, 40);
    terminal.until("all of it is back", |text| text.contains("sha256sum") && text.contains("pending, 4/8 running"));
    terminal.resize(10, 3);
    terminal.shows("too small");
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() {
    let served = Served::new();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut terminal = start(&served);
        terminal.shows("BATCHES (3)");
        terminal.signal(signal);
        assert_eq!(terminal.end().code(), Some(130));
        terminal.until("the terminal is as it was", |_| terminal.is_as_before());
    }
}

#[test]
fn it_stops_and_goes_on_as_shells_want_it() {
    let served = Served::new();
    let mut shell = Command::new("sh");
    // A program can only be stopped where a shell with job control is there to let it go on.
    shell.args(["-c", "set -m; \"$@\"; echo it has stopped; read line; fg; echo it has ended with $?", "sh"]);
    shell.arg(env!("CARGO_BIN_EXE_evenkeel")).args(["top", "--http", &served.url()]).env("LANG", "C.UTF-8");
    let mut terminal = Terminal::start(shell, 80, 24);
    terminal.shows("BATCHES (3)");
    terminal.type_in("\x1a");
    terminal.shows("it has stopped");
    assert!(terminal.is_as_before());
    terminal.type_in("\n");
    terminal.until("it is taken again", |text| terminal.is_taken() && text.contains("BATCHES (3)"));
    terminal.type_in("q");
    terminal.shows("it has ended with 0");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn without_utf8_and_colours_there_are_neither() {
    let served = Served::new();
    let mut command = top(&served.url());
    command.env("LANG", "C");
    let terminal = Terminal::start(command, 80, 24);
    let text = terminal.shows("BATCHES (3)v");
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn without_a_terminal_or_a_node_it_says_so_and_leaves_the_screen_alone() {
    let served = Served::new();
    run(&served, &["top"]).refused(2, &["top draws on a terminal", "evenkeel nodes --output json"]);

    let mut served = served;
    served.kill();
    let mut terminal = start(&served);
    assert_eq!(terminal.end().code(), Some(5));
    terminal.shows("no node answers at");
    assert!(!terminal.is_taken());

    let served = Served::new();
    let mut command = top(&served.url());
    command.args(["--token-file", "/nowhere"]);
    let mut terminal = Terminal::start(command, 80, 24);
    assert_eq!(terminal.end().code(), Some(2));
    terminal.shows("cannot read the token file /nowhere");
}
