//! What a cluster refuses, and what it does when it is told to end, or is ended.

use std::net::{TcpListener, UdpSocket};
use std::process::Output;
use std::time::Duration;

use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, Node, Start, Starts, command, until, write_secret};
use rustix::process::Signal;

const PATIENCE: Duration = Duration::from_secs(60);

/// Time in which something that must not happen would have happened many times.
const WHILE: Duration = Duration::from_secs(3);

fn documents(count: u32, payload: &'static str) -> Vec<DocumentLine<'static>> {
    (0..count).map(|_| DocumentLine::new(payload.as_bytes(), Some(1))).collect()
}

/// The nodes still do their work.
async fn goes_on(cluster: &Cluster) {
    let api = cluster["n1"].api();
    let batch = NewBatch::new(vec!["true".to_owned()]);
    let accepted = api.submit(&batch, &documents(50, "x")).await.expect("a batch is accepted");
    until("a batch to finish", PATIENCE, async || {
        let status = api.batch(accepted.batch).await.ok()?;
        (status.state == BatchState::Finished && status.done == 50).then_some(())
    })
    .await;
}

/// Runs a command that must end by itself at once.
fn outcome(arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut call = command(["node"]);
    call.env("EVENKEEL_NODE__DATA_DIR", directory.path());
    let Output { status, stdout, stderr } =
        call.args(arguments).envs(settings.iter().copied()).output().expect("the program can be started");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).expect("text"))
}

#[tokio::test]
async fn a_node_with_another_secret_is_refused_and_named_once() {
    let cluster = Cluster::start(&[2; 2], &[]).await;
    let other = cluster.directory().join("other-secret");
    write_secret(&other);
    let seed = cluster["n1"].address();
    let arguments = ["--secret-file", other.to_str().expect("a plain name"), "--seed", seed];
    let stranger = Node::start("stranger", cluster.directory(), &arguments, &[]).await;
    let reason = until("the stranger to say why it is alone", PATIENCE, async || {
        let log = stranger.log();
        log.lines().find(|line| line.contains(seed) && line.contains("cannot be reached")).map(str::to_owned)
    })
    .await;
    assert!(reason.contains("WARN") && reason.contains("secret") && reason.contains("trying for ever"), "{reason}");

    goes_on(&cluster).await;
    tokio::time::sleep(WHILE).await;
    let refused: Vec<String> =
        cluster["n1"].log().lines().filter(|line| line.contains("was refused")).map(str::to_owned).collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(refused[0].contains("secret"), "{refused:#?}");
    let said = stranger.log().lines().filter(|line| line.contains("cannot be reached")).count();
    assert_eq!(said, 1, "the stranger says it once");
    for node in cluster.nodes() {
        assert_eq!(node.api().nodes().await.expect("a live node answers").nodes.len(), 2);
    }
    assert_eq!(stranger.api().nodes().await.expect("a live node answers").nodes.len(), 1);
}

#[test]
fn without_a_secret_a_node_stays_on_loopback() {
    for address in ["192.0.2.1:0", "0.0.0.0:0"] {
        let (status, said) = outcome(&["--listen", address], &[]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(address) && said.contains("off loopback") && said.contains("secret new"), "{said}");
    }
    let (status, said) = outcome(&["--listen", "127.0.0.1:0", "--http", "192.0.2.1:0"], &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("http.listen") && said.contains("no token"), "{said}");
}

#[tokio::test]
async fn what_is_not_the_protocol_disturbs_nobody() {
    let cluster = Cluster::start(&[2; 2], &[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut noise: u32 = 1;
    for packet in 0..5_000_usize {
        let bytes: Vec<u8> = (0..packet % 1_400)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        // A full buffer on the way is as good.
        let _ = socket.send_to(&bytes, cluster["n1"].address());
    }
    goes_on(&cluster).await;
    let log = cluster["n1"].log();
    assert!(!log.contains("panicked") && log.lines().count() < 50, "{log}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    let (status, said) = outcome(&["--listen", &address, "--http", "127.0.0.1:0"], &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("UDP") && said.contains("--listen"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    let (status, said) = outcome(&["--listen", "127.0.0.1:0", "--http", &address], &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("TCP") && said.contains("--http"), "{said}");
}

#[tokio::test]
async fn a_data_directory_in_use_is_named() {
    let cluster = Cluster::start(&[1], &[]).await;
    let data = cluster.directory().join("n1/data");
    let data = data.to_str().expect("a plain name");
    let call = tokio::task::spawn_blocking({
        let data = data.to_owned();
        move || outcome(&["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"], &[("EVENKEEL_NODE__DATA_DIR", &data)])
    });
    let (status, said) = call.await.expect("it ends");
    assert_eq!(status, Some(1), "{said}");
    let owner = format!("process {}:", cluster["n1"].pid());
    assert!(said.contains(data) && said.contains(&owner) && said.contains("--data-dir"), "{said}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("node.toml");
    std::fs::write(&file, "[node]\nname = \"a\"\n\n[gossip]\ninterwal = \"1s\"\n").expect("a file can be written");
    let name = file.to_str().expect("a plain name");
    let (status, said) = outcome(&["--config", name], &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains(&format!("{name}:5")) && said.contains("interwal"), "{said}");
    assert!(said.contains("gossip.interval"), "{said}");

    let (status, said) = outcome(&[], &[("EVENKEEL_NODE__MAX_PROCES", "3")]);
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("EVENKEEL_NODE__MAX_PROCES:") && said.contains("did you mean EVENKEEL_NODE__MAX_PROCESS?"),
        "{said}"
    );

    let (status, said) = outcome(&[], &[("EVENKEEL_NODE__MAX_PROCESS", "none")]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("EVENKEEL_NODE__MAX_PROCESS") && said.contains("none"), "{said}");
}

/// Submits documents that never end, to `n1`, and waits until they run there and elsewhere.
async fn endless(cluster: &Cluster, count: u32) -> Starts {
    let starts = Starts::new(&cluster.directory().join("starts"));
    let batch = NewBatch::new(starts.command("sleep 1000"));
    cluster["n1"].api().submit(&batch, &documents(count, "x")).await.expect("a batch is accepted");
    starts
}

async fn running(starts: &Starts, count: usize) -> Vec<Start> {
    until("documents to run", PATIENCE, async || Some(starts.read()).filter(|starts| starts.len() == count)).await
}

async fn gone(starts: &[Start]) {
    until("processes to be gone", PATIENCE, async || starts.iter().all(|start| !start.lives()).then_some(())).await;
}

#[tokio::test]
async fn no_process_outlives_a_node_that_is_killed() {
    let mut cluster = Cluster::start(&[4], &[]).await;
    let starts = endless(&cluster, 9).await;
    let running = running(&starts, 4).await;
    cluster["n1"].kill();
    gone(&running).await;
}

#[tokio::test]
async fn a_signal_drains_and_a_second_one_stops_at_once() {
    let mut cluster = Cluster::start(&[2, 8], &[]).await;
    let starts = endless(&cluster, 10).await;
    let running = running(&starts, 10).await;
    let node = &mut cluster["n1"];
    node.signal(Signal::TERM);
    until("it to drain", PATIENCE, async || node.log().contains("a second signal stops at once").then_some(())).await;
    assert!(running.iter().all(Start::lives), "draining kills nothing");
    assert_eq!(node.ended(), None, "it waits for what it runs");
    let ready = reqwest::get(format!("{}/readyz", node.api().base())).await.expect("an answer");
    assert_eq!(ready.status().as_u16(), 503);
    let refused = node.api().submit(&NewBatch::new(vec!["true".to_owned()]), &documents(1, "x")).await;
    let refused = refused.expect_err("a draining node takes nothing").to_string();
    assert!(refused.contains("this node is draining") && refused.contains("another node"), "{refused}");
    node.signal(Signal::TERM);
    let status = node.end(PATIENCE).await;
    assert!(status.success(), "{status}");
    assert!(node.log().contains("stopped at once"), "{}", node.log());
    let (own, others): (Vec<Start>, Vec<Start>) = running.into_iter().partition(|start| start.node == "n1");
    assert_eq!(own.len(), 2);
    gone(&own).await;
    assert!(others.iter().all(Start::lives));
}

#[tokio::test]
async fn what_a_stopped_node_was_running_is_no_failure() {
    let mut cluster = Cluster::start(&[2, 8], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let go = cluster.directory().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.02; done", go.display());
    let batch = NewBatch::new(starts.command(&script));
    let api = cluster["n2"].api().clone();
    let batch = api.submit(&batch, &documents(10, "x")).await.expect("a batch is accepted").batch;
    let running = running(&starts, 10).await;
    let node = &mut cluster["n1"];
    node.signal(Signal::TERM);
    until("it to drain", PATIENCE, async || node.log().contains("a second signal stops at once").then_some(())).await;
    node.signal(Signal::TERM);
    node.end(PATIENCE).await;
    let own: Vec<Start> = running.into_iter().filter(|start| start.node == "n1").collect();
    assert_eq!(own.len(), 2);
    gone(&own).await;
    std::fs::write(&go, "").expect("a file can be written");
    let status = until("all to end", PATIENCE, async || {
        api.batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    assert_eq!((status.done, status.failed), (10, 0));
}

#[tokio::test]
async fn a_signal_lets_a_node_leave_with_nothing_lost() {
    let mut cluster = Cluster::start(&[4, 4], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let batch = NewBatch::new(starts.command("sleep 0.05; echo $EVENKEEL_DOCUMENT"));
    let accepted = cluster["n1"].api().submit(&batch, &documents(300, "x")).await.expect("a batch is accepted");
    until("some to run", PATIENCE, async || (starts.read().len() > 50).then_some(())).await;
    cluster["n1"].signal(Signal::TERM);
    let status = cluster["n1"].end(PATIENCE).await;
    assert!(status.success(), "{status}");
    let api = cluster["n2"].api();
    until("all to end", PATIENCE, async || {
        api.batch(accepted.batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    let results = api.results(accepted.batch).await.expect("results");
    assert_eq!(results.len(), 300);
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.stdout.as_deref(), Some(format!("{number}\n").as_str()));
    }
    assert_eq!(starts.read().len(), 300, "a clean leave starts nothing twice");
}
