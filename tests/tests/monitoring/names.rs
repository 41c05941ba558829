//! Names of metrics: those that a node tells, and those that others rely on.

use std::collections::BTreeSet;
use std::path::Path;

use evenkeel_node::api::types::{DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, until};

use crate::dashboard;

/// A file of the project.
pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of metrics in an expression, or in anything.
pub(crate) fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_metric = |word: &&str| word.starts_with("evenkeel_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// What a node tells, samples of histograms included.
async fn told() -> BTreeSet<String> {
    let cluster = Cluster::start(&[2], &[]).await;
    let api = cluster["n1"].api();
    // Some are known only when a document has ended.
    let batch = NewBatch::new(vec!["true".to_owned()]);
    api.submit(&batch, &[DocumentLine::new(b"x", Some(1))]).await.expect("a batch is accepted");
    until("the node to know how fast it is", std::time::Duration::from_secs(60), async || {
        let text = api.metrics().await.ok()?;
        text.contains("evenkeel_backlog_seconds").then_some(text)
    })
    .await
    .lines()
    .filter(|line| !line.starts_with('#'))
    .filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned()))
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_dashboard_and_page_speak_of_nothing_that_a_node_does_not_tell() {
    let told = told().await;
    let expressions = dashboard::whole().join("\n");
    let rules = read("config/prometheus/evenkeel.rules.yml");
    let tests = read("config/prometheus/evenkeel.rules.test.yml");
    let page: String = read("docs/monitoring.md");
    for (place, text) in [("dashboard", expressions), ("rules", rules), ("their tests", tests)] {
        let unknown: Vec<String> = metrics(&text).difference(&told).cloned().collect();
        assert!(unknown.is_empty(), "the {place} speak of {unknown:?}");
    }
    let families = told.iter().map(|name| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        // No other family ends so.
        base.unwrap_or(name).to_owned()
    });
    let missing: Vec<String> = families.collect::<BTreeSet<_>>().difference(&metrics(&page)).cloned().collect();
    assert!(missing.is_empty(), "docs/monitoring.md says nothing of {missing:?}");
}

#[test]
fn the_page_lists_every_alert_and_each_says_what_to_do() {
    let rules = read("config/prometheus/evenkeel.rules.yml");
    let page = read("docs/monitoring.md");
    let tests = read("config/prometheus/evenkeel.rules.test.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10);
    for alert in alerts {
        let name = alert.lines().next().expect("a name");
        assert!(page.contains(&format!("| {name} | ")), "docs/monitoring.md lacks {name}");
        assert!(tests.contains(name), "{name} is not tested");
        for part in ["severity: ", "summary: ", "description: >-"] {
            assert!(alert.contains(part), "{name} has no {part:?}");
        }
    }
    let listed = page.lines().filter(|line| line.starts_with("| Evenkeel")).count();
    assert_eq!(listed, rules.matches("- alert: ").count(), "docs/monitoring.md lists an alert that is none");
}
