//! `status`, `nodes`, `results` and `explain`.

use std::sync::atomic::Ordering::SeqCst;

use crate::fake::{FINISHED, Served};
use crate::run;

const ID: &str = "14d2pf2dbsqqg";

#[test]
fn people_get_tables() {
    let served = Served::new();
    assert_eq!(FINISHED.to_string(), ID);
    for (name, arguments) in [
        ("status", &["status"][..]),
        ("status_of_one", &["status", ID]),
        ("status_of_a_retry", &["status", "f"]),
        ("nodes", &["nodes"]),
        ("results_text", &["results", ID]),
        ("results_in_order", &["results", ID, "--keep-order"]),
        ("results_failed", &["results", ID, "--failed"]),
        ("results_table", &["results", ID, "--output", "table"]),
        ("results_table_in_order", &["results", ID, "-k", "--output", "table"]),
        ("explain", &["explain", &format!("{ID}/1")]),
    ] {
        insta::assert_snapshot!(name, run(&served, arguments).transcript(&served));
    }
}

#[test]
fn programs_get_json_with_its_version_once() {
    let served = Served::new();
    for (arguments, list, count) in [
        (&["status"][..], "batches", 3),
        (&["nodes"], "nodes", 3),
        (&["results", ID], "results", 4),
        (&["results", ID, "-k"], "results", 4),
    ] {
        let json = run(&served, &[arguments, &["--output", "json"]].concat());
        let document = json.json();
        assert_eq!((&document["schema"], document[list].as_array().unwrap().len()), (&1.into(), count));
        let lines = run(&served, &[arguments, &["--output", "jsonl"]].concat());
        assert_eq!(lines.json_lines().len(), count);
        for line in lines.stdout.lines() {
            assert_eq!(line.matches("\"schema\"").count(), 1, "{line}");
            assert!(line.starts_with("{\"schema\":1,"), "{line}");
        }
    }
    let nodes = run(&served, &["nodes", "--output", "json"]).json();
    assert_eq!(nodes["equilibrium"]["in_equilibrium"], false);
    for arguments in [&["status", ID][..], &["explain", &format!("{ID}/1")]] {
        let ended = run(&served, &[arguments, &["--output", "json"]].concat());
        assert_eq!(ended.json()["schema"], 1);
        assert_eq!(ended.stdout.lines().count(), 1);
    }
}

#[test]
fn result_lines_are_passed_through_and_can_be_put_in_order() {
    let served = Served::new();
    let numbers = |arguments: &[&str]| {
        let ended = run(&served, &[&["results", ID, "--output", "jsonl"], arguments].concat());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        ended.json_lines().iter().map(|line| line["document"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&[]), [2, 0, 3, 1]);
    assert_eq!(numbers(&["-k"]), [0, 1, 2, 3]);
    assert_eq!(numbers(&["-k", "--failed"]), [1, 3]);
    let names = |format: &str| run(&served, &["results", ID, "-k", "--output", format]).stdout;
    for format in ["json", "jsonl"] {
        assert_eq!(names(format).matches("\"node_name\":\"here\"").count(), 3, "{format}: the fourth is forgotten");
    }
}

#[test]
fn following_ends_with_the_status_of_a_job() {
    let served = Served::new();
    assert_eq!(run(&served, &["results", ID, "--follow"]).status, Some(3));
    served.memory.results.lock().unwrap().truncate(2);
    assert_eq!(run(&served, &["results", ID, "--follow"]).status, Some(0));
}

#[test]
fn what_is_still_to_come_is_told() {
    let served = Served::new();
    let ended = run(&served, &["results", "14d2pf2dbsqqh"]);
    assert_eq!(
        ended.stderr.lines().last().unwrap(),
        "evenkeel: 15,000 of 20,000 documents have not ended yet; --follow waits for them"
    );
    assert!(served.memory.looks.load(SeqCst) > 0);
}

#[test]
fn an_empty_cluster_says_so_to_people() {
    let served = Served::new();
    served.memory.batches.lock().unwrap().clear();
    let ended = run(&served, &["status"]);
    assert_eq!(
        (ended.status, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(0), "", "evenkeel: there are no batches\n")
    );
    assert_eq!(run(&served, &["status", "--output", "json"]).stdout, "{\"schema\":1,\"batches\":[]}\n");
}

#[test]
fn what_is_not_there_is_named() {
    let served = Served::new();
    for arguments in [
        &["status", "01g3zq8v5m2ka"][..],
        &["results", "01g3zq8v5m2ka"],
        &["explain", "01g3zq8v5m2ka/0"],
        &["cancel", "01g3zq8v5m2ka"],
        &["retry", "01g3zq8v5m2ka"],
    ] {
        run(&served, arguments).refused(4, &["there is no batch 01g3zq8v5m2ka", "`evenkeel status` lists"]);
    }
    for (beginning, call) in [("00", "status"), ("zzz", "status"), ("zzz", "results"), ("00", "cancel"), ("g", "retry")]
    {
        let said = format!("there is no batch that begins with {beginning} (`evenkeel status` lists");
        run(&served, &[call, beginning]).refused(4, &[&said]);
    }
    run(&served, &["explain", "zzz/3"]).refused(4, &["there is no batch that begins with zzz"]);
    let document = format!("there is no document {ID}/4: batch {ID} has 4, numbered from 0");
    run(&served, &["explain", "14d2pf2dbsqqg/4"]).refused(4, &[&document]);
    run(&served, &["drain", "nobody"]).refused(4, &["there is no node \"nobody\"", "`evenkeel nodes` lists"]);
}

#[test]
fn the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
    let served = Served::new();
    assert_eq!(run(&served, &["status", "F", "--output", "json"]).json()["retry_of"], ID);
    run(&served, &["status", "14d"]).refused(2, &["more than one batch begins with \"14d\"", "write more of the id"]);
    run(&served, &["explain", "14d/1"]).refused(2, &["more than one batch"]);
}
