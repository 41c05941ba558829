//! `cancel`, `retry`, `drain` and `config check`.

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
    until("it is asked", || drained(&served.memory));
    served.leave();
    let ended = end(child);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.ends_with(" is gone\n"), "{ended:?}");
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
