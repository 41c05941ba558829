//! The unit for systemd, and what a node tells whoever has started it as systemd would.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use evenkeel_node::api::types::{DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, until};
use rustix::process::Signal;

use crate::names::read;

const PATIENCE: Duration = Duration::from_secs(60);

/// Keys and values by section; a key that is there more than once has all its values.
fn unit() -> BTreeMap<(String, String), Vec<String>> {
    let (text, mut section) = (read("config/systemd/evenkeel.service"), String::new());
    let mut keys: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} is neither a section nor a key"));
        keys.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
    }
    keys
}

#[test]
fn the_unit_starts_a_node_as_it_wants_to_be_started() {
    let unit = unit();
    let all = |key: &str| unit.get(&("Service".to_owned(), key.to_owned())).unwrap_or_else(|| panic!("no {key}="));
    let one = |key: &str| match all(key).as_slice() {
        [one] => one.clone(),
        several => panic!("{key}= {several:?}"),
    };
    assert_eq!((one("Type"), one("NotifyAccess")), ("notify".to_owned(), "main".to_owned()));
    assert_eq!(one("KillMode"), "mixed", "SIGTERM drains the node, and must not reach documents");
    assert_eq!(one("KillSignal"), "SIGTERM");
    assert_eq!(one("OOMPolicy"), "continue", "a document that takes too much is no end of the node");
    assert_eq!((one("Restart"), one("NoNewPrivileges")), ("on-failure".to_owned(), "yes".to_owned()));
    assert_eq!(one("StateDirectory"), "evenkeel");
    let seconds = |key: &str| humantime(&one(key));
    let config = evenkeel_node::config::Config::default();
    assert!(seconds("WatchdogSec") >= 2 * config.health.stall, "a sign of life may come as late as that");
    assert_eq!(one("TimeoutStartSec"), "infinity", "a large store is read as a whole after a crash");
    assert!(seconds("TimeoutStopSec") > Duration::from_secs(60), "draining waits for what runs");
    let start = one("ExecStart");
    let (program, arguments) = start.split_once(' ').expect("arguments");
    assert_eq!(program, "/usr/local/bin/evenkeel");
    for credential in all("LoadCredential") {
        let (name, _) = credential.split_once(':').expect("a name and a path");
        assert!(arguments.contains(&format!("%d/{name}")), "{name} is loaded for nothing");
    }
    // The program understands them: a file that is not there is all that it finds wrong.
    let arguments = arguments.replace("%d", "/nowhere");
    let call = evenkeel_tests::command(arguments.split(' ')).output().expect("the program can be started");
    let said = String::from_utf8_lossy(&call.stderr);
    assert!(said.contains("/nowhere/node.toml") && !said.contains("unexpected argument"), "{said}");
}

/// "90s", "5min".
fn humantime(text: &str) -> Duration {
    let (unit, factor) = if text.ends_with("min") { ("min", 60) } else { ("s", 1) };
    let number: u64 = text.trim_end_matches(unit).parse().unwrap_or_else(|_| panic!("{text:?} is no time"));
    Duration::from_secs(number * factor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_tells_its_service_manager_how_it_is_and_its_documents_nothing_of_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_nonblocking(true).expect("a socket");
    let address = path.to_str().expect("a plain name");
    let settings = [("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", "1000000"), ("EVENKEEL_GOSSIP__DETECTION", "1m")];
    let mut cluster = Cluster::new(&settings);
    let mut heard: Vec<String> = Vec::new();
    let mut buffer = [0; 4096];
    let mut listen = || {
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        heard.clone()
    };
    // It looks for one that is not there yet: it is not ready before they have met.
    let reserved = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let seed = reserved.local_addr().expect("an address").to_string();
    cluster.add("n1", 1, Some(&seed)).await;
    until("signs of life", PATIENCE, async || {
        (listen().iter().filter(|word| *word == "WATCHDOG=1").count() >= 2).then_some(())
    })
    .await;
    assert!(!listen().contains(&"READY=1".to_owned()), "it has met nobody");
    let ready = reqwest::get(format!("{}/readyz", cluster["n1"].api().base())).await.expect("an answer");
    assert_eq!(ready.status().as_u16(), 503);
    until("it to say so", PATIENCE, async || {
        listen().iter().any(|word| word.contains("has met none of its seeds")).then_some(())
    })
    .await;
    drop(reserved);
    let first = cluster["n1"].address().to_owned();
    cluster.add("n2", 1, Some(&first)).await;
    cluster.meet().await;
    until("both to be ready", PATIENCE, async || {
        (listen().iter().filter(|word| *word == "READY=1").count() == 2).then_some(())
    })
    .await;
    until("a line about both", PATIENCE, async || {
        listen().iter().any(|word| word.starts_with("STATUS=2 nodes; 0 documents pending here")).then_some(())
    })
    .await;

    let script = "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}";
    let batch = NewBatch::new(["sh", "-c", script].map(str::to_owned).to_vec());
    let api = cluster["n1"].api();
    let batch = api.submit(&batch, &[DocumentLine::new(b"x", Some(1))]).await.expect("a batch is accepted").batch;
    let results = api.all_results(batch).await.expect("results");
    assert_eq!(results[0].stdout.as_deref(), Some("none none\n"));

    let node = &mut cluster["n1"];
    node.signal(Signal::TERM);
    let status = node.end(PATIENCE).await;
    assert!(status.success(), "{status}");
    assert!(listen().contains(&"STOPPING=1".to_owned()));
}
