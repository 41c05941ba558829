//! The text as Prometheus reads it, and the page that explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use evenkeel_core::ids::NodeId;

use super::*;
use crate::api::types::NodeState;
use crate::histogram::OF_DOCUMENTS;

/// A snapshot that has something to tell in every family.
pub(crate) fn whole() -> Snapshot {
    let measured = Measured { regret: Duration::from_millis(20), backlog: Duration::from_secs(90), desired_nodes: 3 };
    let balance = Balance {
        moved: vec![("averaging", 3), ("dry", 2), ("drain", 1)],
        measured: Some(measured),
        ..Balance::default()
    };
    let peers = [(1, NodeState::Live), (2, NodeState::Dead)];
    let peers = peers.map(|(id, state)| (NodeId([id; 16]), format!("n{id}"), state)).to_vec();
    let core = Core { balance, peers: Peers { peers, ..Peers::default() }, ..Core::default() };
    Snapshot {
        version: "0.1.0".to_owned(),
        core: Some(core),
        store: Store { disk: Some((100, 40)), ..Store::default() },
        process: Process::read(),
        ..Snapshot::default()
    }
}

fn told(snapshot: &Snapshot) -> String {
    let requests = Requests::default();
    requests.answered(Some("/v1/nodes"), 200);
    snapshot.to_prometheus(&requests, 2)
}

/// Name and type of each family.
pub(crate) fn families(text: &str) -> BTreeMap<String, String> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    declared.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn a_histogram_is_cumulative_and_complete() {
    let mut durations = Histogram::new(OF_DOCUMENTS);
    [1, 4, 30, 7_200_000].into_iter().for_each(|millis| durations.observe(Duration::from_millis(millis)));
    let documents = Documents { durations, ..Documents::default() };
    let text = told(&Snapshot { core: Some(Core { documents, ..Core::default() }), ..Snapshot::default() });
    for line in [
        "evenkeel_document_duration_seconds_bucket{le=\"0.005\"} 2",
        "evenkeel_document_duration_seconds_bucket{le=\"0.05\"} 3",
        "evenkeel_document_duration_seconds_bucket{le=\"3600\"} 3",
        "evenkeel_document_duration_seconds_bucket{le=\"+Inf\"} 4",
        "evenkeel_document_duration_seconds_count 4",
        "evenkeel_document_duration_seconds_sum 7200.035",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn every_family_is_declared_once_before_its_samples_and_no_sample_is_there_twice() {
    let mut snapshot = whole();
    let name = "a \"quoted\\\nname".to_owned();
    let peers = [1, 2].map(|id| (NodeId([id; 16]), name.clone(), NodeState::Suspect)).to_vec();
    snapshot.core.as_mut().expect("it is there").peers.peers = peers;
    let text = told(&snapshot);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples: Vec<&str> = lines.map(|line| line.rsplit_once(' ').expect("a value").0).collect();
    samples.sort_unstable();
    assert!(samples.windows(2).all(|pair| pair[0] != pair[1]), "a sample twice in\n{text}");
    let mut declared: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, _) = family.split_once(' ').expect("a name and a type");
            assert!(!declared.contains(&name), "{name} twice");
            declared.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert!(declared.last().is_some_and(|family| name.starts_with(family)), "{line}");
        }
    }
    assert!(text.contains(r#",peer="a \"quoted\\\nname",state="suspect"} 1"#), "{text}");
    assert!(text.contains(r#"evenkeel_documents_moved_total{reason="dry"} 2"#), "{text}");
}

#[test]
fn what_the_loop_does_not_answer_is_left_out_and_the_rest_is_told() {
    let all = families(&told(&whole()));
    let rest = families(&told(&Snapshot { core: None, ..whole() }));
    assert!(rest.len() < all.len());
    for name in ["evenkeel_live", "evenkeel_event_loop_lag_seconds", "evenkeel_store_failing", "process_open_fds"] {
        assert!(rest.contains_key(name), "{name}");
    }
    assert!(!rest.contains_key("evenkeel_documents"), "a figure of long ago would be taken for one of now");
}

#[test]
fn seconds_that_nobody_could_know_are_not_told() {
    let mut snapshot = whole();
    snapshot.core.as_mut().expect("it is there").balance.measured = None;
    let found = families(&told(&snapshot));
    for name in ["evenkeel_backlog_seconds", "evenkeel_regret_seconds", "evenkeel_autoscale_desired_nodes"] {
        assert!(!found.contains_key(name), "{name}");
    }
}

/// Label values of clients and batches would make series without end: what may be a label is here.
#[test]
fn labels_are_bounded() {
    let allowed = BTreeSet::from([
        "version",
        "commit",
        "state",
        "outcome",
        "reason",
        "node",
        "peer",
        "direction",
        "kind",
        "route",
        "status",
        "le",
    ]);
    let text = told(&whole());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        for label in labels.split('}').next().expect("an end").split("\",") {
            let (name, _) = label.split_once('=').expect("a label");
            assert!(allowed.contains(name), "{line}");
        }
    }
}

/// The page names each family with its type, in a table row that begins with both.
#[test]
fn the_page_explains_exactly_what_is_told() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    let page = std::fs::read_to_string(&path).expect("docs/monitoring.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.splitn(3, '|');
        let name = cells.next()?.trim().trim_matches('`').to_owned();
        let is_metric = name.starts_with("evenkeel_") || name.starts_with("process_");
        is_metric.then(|| (name, cells.next().unwrap_or_default().trim().to_owned()))
    };
    let explained: BTreeMap<String, String> = page.lines().filter_map(row).collect();
    assert_eq!(explained, families(&told(&whole())), "docs/monitoring.md on the left");
}
