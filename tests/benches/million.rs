//! A million documents on four daemons: time to acceptance, memory while they wait, traffic while nothing happens.
//!
//! `cargo bench -p evenkeel-tests --bench million [-- DOCUMENTS]`.

mod cost;

use std::time::{Duration, Instant};

use evenkeel_tests::{Cluster, Node, until};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let documents: u32 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let evenkeel = evenkeel_tests::path();
    let cluster = Cluster::start(&[2, 2, 2, 2], &[]).await;
    cluster.meet().await;
    let nodes: Vec<&Node> = cluster.nodes().collect();

    let idle = idle_traffic(&nodes).await;
    let input = cost::lines(documents as usize);
    let begun = Instant::now();
    let submitted = tokio::process::Command::new(evenkeel)
        .args(["submit", "--http", nodes[1].api().base(), "-a"])
        .arg(&input)
        .args(["--", "sleep", "1000", "{}"])
        .output()
        .await
        .expect("the program starts");
    assert!(submitted.status.success(), "{}", String::from_utf8_lossy(&submitted.stderr));
    let accepted = begun.elapsed();
    let batch = String::from_utf8_lossy(&submitted.stdout).trim().parse().expect("submit prints the batch's id");
    // The last document's segment is the last to come: memory is highest then.
    for node in &nodes {
        until("the whole batch to be known", PATIENCE, async || node.api().explain(batch, documents - 1).await.ok())
            .await;
    }
    let known = begun.elapsed();
    let memory: Vec<String> = nodes.iter().map(|node| format!("{} MB", resident(node))).collect();
    println!("{documents} lines submitted to one of four nodes");
    println!("accepted after                 {:>8.2} s          (limit 15 s)", accepted.as_secs_f64());
    println!("known to every node after      {:>8.2} s", known.as_secs_f64());
    println!("resident memory of each node   {}   (limit 400 MB)", memory.join(", "));
    println!("gossip of the busiest, idle    {:>8.1} kB/s sent  (limit 20 kB/s)", idle / 1e3);
}

/// Bytes of gossip that the busiest node sends in a second while there is nothing to do.
async fn idle_traffic(nodes: &[&Node]) -> f64 {
    let window = Duration::from_secs(10);
    let before = sent(nodes).await;
    tokio::time::sleep(window).await;
    let after = sent(nodes).await;
    after.iter().zip(before).map(|(after, before)| (after - before) / window.as_secs_f64()).fold(0.0, f64::max)
}

async fn sent(nodes: &[&Node]) -> Vec<f64> {
    let mut all = Vec::new();
    for node in nodes {
        let metrics = reqwest::get(format!("{}/metrics", node.api().base())).await.expect("the node answers");
        let metrics = metrics.text().await.expect("the node answers");
        let line = metrics.lines().find(|line| line.starts_with("evenkeel_gossip_bytes_total{direction=\"sent\"}"));
        let count = line.and_then(|line| line.split_whitespace().next_back()).expect("gossip is counted");
        all.push(count.parse().expect("a number"));
    }
    all
}

/// Resident memory in megabytes.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("the node lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().next().expect("a number").parse::<u64>().expect("a number") / 1024
}
