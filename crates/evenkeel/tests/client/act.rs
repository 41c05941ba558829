//! `cancel`, `retry`, `drain` and `config check`.

use std::sync::atomic::Ordering::SeqCst;

use crate::fake::{FINISHED, Memory, RETRIED, RUNNING, Served};
use crate::{end, program, run, start, until};
use evenkeel_core::ids::NodeId;

#[test]
fn a_batch_is_cancelled() {
    let served = Served::new();
    let ended = run(&served, &["cancel", &RUNNING.to_string()]);
    let said = format!(
        "evenkeel: batch {RUNNING} is cancelled: 5,000 done before, 0 failed, 8 running ones are being stopped\n"
    );
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr), (Some(0), "", said));
    let ended = run(&served, &["cancel", &FINISHED.to_string()]);
    assert!(ended.stderr.contains("had ended before: there is nothing to cancel"), "{ended:?}");
}

#[test]
fn a_batch_that_has_ended_is_removed() {
    let served = Served::new();
    let ended = run(&served, &["batch", "rm", &FINISHED.to_string(), &RETRIED.to_string()]);
    let said: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!((ended.status, ended.stdout.as_str(), said.len()), (Some(0), "", 2), "{ended:?}");
    assert!(said[0].starts_with(&format!("evenkeel: batch {FINISHED} is removed: ")), "{said:?}");

    let open = format!("batch {RUNNING} has");
    run(&served, &["batch", "rm", &RUNNING.to_string()]).refused(1, &[&open]);
    let none = run(&served, &["batch", "rm"]);
    assert!(none.status == Some(2) && none.stderr.contains("<BATCH>"), "{none:?}");
}

#[test]
fn failed_documents_are_submitted_again() {
    let served = Served::new();
    let ended = run(&served, &["retry", &FINISHED.to_string()]);
    let said = format!("evenkeel: batch {} accepted: 2 documents, stored on 2 nodes\n", ended.stdout.trim());
    assert_eq!((ended.status, ended.stderr), (Some(0), said));

    let ended = run(&served, &["retry", &FINISHED.to_string(), "--wait", "--output", "json"]);
    let status = ended.json();
    assert_eq!((&status["retry_of"], &status["done"]), (&FINISHED.to_string().into(), &2.into()));
    assert!(ended.stderr.contains("ended: 2 done\n"), "{ended:?}");

    let none = format!("no document of batch {RETRIED} has failed");
    run(&served, &["retry", &RETRIED.to_string()]).refused(1, &[&none]);
}

#[test]
fn another_node_is_drained_until_it_is_gone() {
    let served = Served::new();
    let ended = run(&served, &["drain", "there", "--wait"]);
    insta::assert_snapshot!("drain", ended.transcript(&served));
    assert_eq!(*served.memory.drained.lock().unwrap(), Some(NodeId([0x22; 16])));
}

#[test]
fn the_node_that_is_talked_to_is_drained_until_it_answers_no_more() {
    let mut served = Served::new();
    let child = start(&served, &["drain", "--wait"]).spawn().unwrap();
    // Before it is told that the node has nothing left, an end of it could be a loss.
    until("it is asked, and looked at", || drained(&served.memory) && served.memory.looks.load(SeqCst) > 0);
    // The answer that was being written then still comes: the node leaves in good order.
    served.leave();
    let ended = end(child);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.ends_with(" is gone\n"), "{ended:?}");
}

#[test]
fn a_node_that_dies_while_it_drains_is_no_success() {
    let served = Served::new();
    served.memory.deadly.store(true, SeqCst);
    let ended = run(&served, &["drain", "there", "--wait"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let said = "was lost before it had handed everything over: it had 34,000 documents, which the others take over";
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn the_last_node_is_not_drained_while_it_has_documents_unless_that_is_forced() {
    let served = Served::new();
    served.memory.alone.store(true, SeqCst);
    for call in [&["drain"][..], &["drain", "here"], &["drain", "1111", "--wait"]] {
        let said =
            ["node here is the last one that is live, and 68,000 documents have not ended", "10.0.0.1:7116", "--force"];
        run(&served, call).refused(1, &said);
        assert!(!drained(&served.memory), "{call:?}");
    }
    assert_eq!(run(&served, &["drain", "--force"]).status, Some(0));
    assert!(drained(&served.memory));
}

fn drained(memory: &Memory) -> bool {
    memory.drained.lock().unwrap().is_some()
}

#[test]
fn a_configuration_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    let check = || crate::Ended::from(program(&["config", "check", file.to_str().unwrap()]).output().unwrap());
    std::fs::write(&file, "[node]\nmax_process = 8\n").unwrap();
    let good = check();
    assert_eq!((good.status, good.stdout.as_str()), (Some(0), ""), "{good:?}");
    assert!(good.stderr.ends_with("node.toml is good\n"), "{good:?}");

    std::fs::write(&file, "[node]\nmax_proces = 8\n\n[gossip]\ndetection = \"soon\"\n").unwrap();
    let bad = check();
    bad.refused(
        2,
        &[
            "2 problems:\n",
            "node.toml:2: node.max_proces: unknown key; did you mean node.max_process?",
            "node.toml:5: gossip.detection: ",
        ],
    );
    std::fs::remove_file(&file).unwrap();
    check().refused(2, &["node.toml", "cannot be read"]);
}
