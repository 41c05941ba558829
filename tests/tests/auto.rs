//! `--max-process auto`: a node that finds out by itself how many documents it can run, on a machine that is made up of files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use evenkeel_node::api::types::{DocumentLine, NewBatch};
use evenkeel_tests::{Node, command, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a machine's file, so that no reader finds half of it.
fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().expect("names have a directory")).expect("a directory can be made");
    let new = file.with_extension("new");
    fs::write(&new, text).expect("a file can be written");
    fs::rename(&new, &file).expect("a file can be renamed");
}

fn pressure(root: &Path, some: f64, full: f64) {
    let line = |kind: &str, part: f64| format!("{kind} avg10={part:.2} avg60=0.00 avg300=0.00 total=0\n");
    write(root, "proc/pressure/memory", &(line("some", some) + &line("full", full)));
}

async fn slots(node: &Node) -> f64 {
    node.api().metric("evenkeel_max_process").await.expect("a metric")
}

#[tokio::test]
async fn a_node_climbs_while_documents_sleep_and_gives_way_when_memory_runs_short() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("machine");
    write(&root, "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n");
    pressure(&root, 0.0, 0.0);
    // More than it begins with, on whatever machine.
    let limit = std::thread::available_parallelism().expect("processors").get() + 18;
    let arguments = ["--max-process", "auto", "--max-process-limit", &limit.to_string()];
    let limit = limit as f64;
    let settings = [("EVENKEEL_MACHINE_ROOT", root.to_str().expect("a plain name")), ("EVENKEEL_LOG", "info")];
    let node = Node::start("n1", directory.path(), &arguments, &settings).await;
    let first = slots(&node).await;
    assert!(first >= 1.0);

    let payload =
        |number: u32| DocumentLine { payload: Some(number.to_string().into()), payload_base64: None, length: Some(1) };
    let documents: Vec<DocumentLine<'_>> = (0..20_000).map(payload).collect();
    let batch = NewBatch::new(["sleep", "0.2"].map(str::to_owned).to_vec());
    let batch = node.api().submit(&batch, &documents).await.expect("a batch is accepted").batch;
    until("the node to climb to its limit", PATIENCE, async || (slots(&node).await == limit).then_some(())).await;

    pressure(&root, 40.0, 20.0);
    until("the node to give way", PATIENCE, async || (slots(&node).await == 1.0).then_some(())).await;
    let running = async || node.api().nodes().await.expect("a live node answers").nodes[0].running;
    until("what ran in other slots to end", PATIENCE, async || (running().await <= 1).then_some(())).await;
    let status = node.api().batch(batch).await.expect("a batch");
    assert_eq!((status.failed, status.cancelled), (0, 0), "nothing was killed");
    let log = node.log();
    assert!(log.contains("documents wait, processors are idle and memory is left"), "{log}");
    assert!(log.contains("memory is short"), "{log}");
    node.api().cancel(batch).await.expect("a batch can be cancelled");
}

#[test]
fn a_job_of_one_node_can_find_out_too() {
    let call = ["run", "-j", "auto", "-k", "--", "sh", "-c", "sleep 0.05; echo {}", ":::"];
    let numbers: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    let output = command(call).args(&numbers).output().expect("the program can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().collect::<Vec<_>>(), numbers);
}
