//! What nodes tell, read by the real thing: Prometheus and its promtool, from Debian's package `prometheus`.
//!
//! Not among the tests that `cargo test` runs by itself, since these need a package: `.ci/run` installs it and runs them, and
//! so does `cargo test -p evenkeel-tests --test prometheus` where it is there. Where it is not, they fail and say so.

mod server;
mod tools;

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, until};
use server::Prometheus;
use tools::{config, promtool};

/// Longest time for each part of a test.
const PATIENCE: Duration = Duration::from_secs(120);

fn documents(count: usize) -> Vec<DocumentLine<'static>> {
    (0..count).map(|_| DocumentLine::new(b"x", Some(1))).collect()
}

#[test]
fn the_configuration_the_rules_and_their_tests_are_good() {
    promtool(&["check", "config", &config("prometheus/prometheus.yml")], None);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", &config("prometheus/evenkeel.rules.yml")], None);
    promtool(&["test", "rules", &config("prometheus/evenkeel.rules.test.yml")], None);
}

/// Each is made a rule of its own, with what Grafana would put for its variables.
#[test]
fn every_expression_of_the_dashboard_is_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let expressions = evenkeel_tests::dashboard::expressions();
    assert!(expressions.len() > 40, "{expressions:?}");
    for (number, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m").replace("$job", "evenkeel");
        let expression = expression.replace("$instance", ".*");
        assert!(!expression.contains('$'), "a variable that nobody sets: {expression}");
        let quoted = serde_json::to_string(&expression).expect("text is JSON, and JSON is YAML");
        rules.push_str(&format!("  - record: dashboard:{number}\n    expr: {quoted}\n"));
    }
    let file = directory.path().join("dashboard.yml");
    std::fs::write(&file, rules).expect("a file can be written");
    promtool(&["check", "rules", file.to_str().expect("a plain name")], None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_that_scrapes_a_cluster_knows_how_it_is() {
    const DOCUMENTS: usize = 60;
    let mut cluster = Cluster::start(&[2, 2, 2], &[]).await;
    let targets: Vec<String> = cluster.nodes().map(|node| node.api().base().replace("http://", "")).collect();
    let prometheus = Prometheus::start(&cluster.directory().join("prometheus"), &targets).await;

    // Documents that last until they are told: what can be asked stands still.
    let go = cluster.directory().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.05; done", go.display());
    let batch = NewBatch::new(["sh", "-c", &script].map(str::to_owned).to_vec());
    let documents = documents(DOCUMENTS);
    let accepted = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted");

    let by_state = "max by (state) (evenkeel_documents)";
    let states = |waiting: f64, running: f64, done: f64| {
        BTreeMap::from(
            [("waiting", waiting), ("running", running), ("done", done), ("failed", 0.0), ("cancelled", 0.0)]
                .map(|(state, count)| (format!("{{state=\"{state}\"}}"), count)),
        )
    };
    let one = |value: f64| BTreeMap::from([("{}".to_owned(), value)]);
    let up = |values: [f64; 3]| -> BTreeMap<String, f64> {
        targets.iter().map(|target| format!("{{instance=\"{target}\"}}")).zip(values).collect()
    };
    prometheus.comes_to("min by (instance) (up)", &up([1.0; 3]), PATIENCE).await;
    prometheus.comes_to(by_state, &states(54.0, 6.0, 0.0), PATIENCE).await;
    prometheus.comes_to("sum(evenkeel_documents_pending)", &one(60.0), PATIENCE).await;
    println!("while {DOCUMENTS} documents run or wait:");
    for query in [by_state, "sum(evenkeel_documents_pending)", "min by (instance) (up)"] {
        println!("  {query} => {:?}", prometheus.query(query).await);
    }
    // They have levelled what there is: no node has all of it.
    prometheus.comes_to("count(evenkeel_documents_pending > 0)", &one(3.0), PATIENCE).await;
    prometheus.comes_to("sum(evenkeel_live * evenkeel_ready)", &one(3.0), PATIENCE).await;
    prometheus.comes_to("sum(evenkeel_documents_accepted_total)", &one(60.0), PATIENCE).await;

    std::fs::write(&go, "").expect("a file can be written");
    until("all to end", PATIENCE, async || {
        cluster["n1"].api().batch(accepted.batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    prometheus.comes_to(by_state, &states(0.0, 0.0, 60.0), PATIENCE).await;
    prometheus.comes_to("sum(evenkeel_documents_pending)", &one(0.0), PATIENCE).await;
    prometheus.comes_to("sum(evenkeel_document_duration_seconds_count)", &one(60.0), PATIENCE).await;
    prometheus.comes_to("max(evenkeel_autoscale_desired_nodes)", &one(0.0), PATIENCE).await;

    // promtool reads what a node tells, and has nothing to say against it.
    let told = cluster["n2"].api().metrics().await.expect("a live node answers");
    promtool(&["check", "metrics"], Some(&told));
    series_are_bounded(&cluster).await;

    cluster["n3"].kill();
    prometheus.comes_to("min by (instance) (up)", &up([1.0, 1.0, 0.0]), PATIENCE).await;
    let dead = "max by (peer) (evenkeel_peer_state{state=\"dead\"} == 1)";
    prometheus.comes_to(dead, &BTreeMap::from([("{peer=\"n3\"}".to_owned(), 1.0)]), PATIENCE).await;
    assert_eq!(prometheus.troubled_rules().await, Vec::<String>::new());
}

/// More batches, documents and requests make no more series.
async fn series_are_bounded(cluster: &Cluster) {
    let series = async || -> Vec<String> {
        let told = cluster["n1"].api().metrics().await.expect("a live node answers");
        told.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').expect("a value").0.to_owned())
            .collect()
    };
    let submit = async |number: usize| {
        let batch = NewBatch::new(vec!["true".to_owned()]);
        let accepted = cluster["n1"].api().submit(&batch, &documents(number)).await.expect("a batch is accepted");
        until("it to end", PATIENCE, async || {
            cluster["n1"].api().batch(accepted.batch).await.ok().filter(|status| status.state == BatchState::Finished)
        })
        .await
    };
    submit(1).await;
    let before = series().await;
    for number in 2..12 {
        submit(number).await;
    }
    assert_eq!(series().await, before);
}
