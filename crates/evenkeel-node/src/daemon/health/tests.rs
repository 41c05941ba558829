//! Nodes that stand still, really: a question to the loop that does not return, a commit that does not end.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;
use std::time::Duration;

use evenkeel_core::Input;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::units::Length;

use crate::api::{Document, Upload};
use crate::config::Config;
use crate::daemon::{Daemon, Options};
use crate::service_manager::Notifier;

const LONG: Duration = Duration::from_secs(180);

/// A node that is soon held to stand still. Its directory goes with the test.
pub(in crate::daemon) async fn start(change: impl FnOnce(&mut Config)) -> (Daemon, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = Some(directory.path().to_owned());
    config.network.listen.set_port(0);
    config.http.listen.set_port(0);
    config.gossip.interval = Duration::from_millis(20);
    config.health.stall = Duration::from_millis(1_500);
    change(&mut config);
    let options =
        Options { config, keyring: None, token: None, http: true, keep_identity: true, outcomes: None, guardian: None };
    (Daemon::start(options).await.unwrap(), directory)
}

/// Status and text of an answer of the node's API.
async fn get(daemon: &Daemon, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let response = client.get(format!("http://{}{path}", daemon.http().unwrap())).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(in crate::daemon) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes the loop stand still until the sender is dropped.
pub(in crate::daemon) async fn block(daemon: &Daemon) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (blocked, is_blocked) = tokio::sync::oneshot::channel();
    let daemon = daemon.clone();
    tokio::spawn(async move {
        let question = move |_: &evenkeel_core::Node| {
            let _ = blocked.send(());
            // An error: it was released.
            let _ = held.recv();
        };
        daemon.ask(question).await
    });
    is_blocked.await.expect("the loop takes the question");
    release
}

/// Words that have come to a service manager since it was last looked.
fn words(manager: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 512];
    let read = || manager.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
    std::iter::from_fn(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_stands_still_is_said_by_the_probes_the_metrics_and_the_watchdog() {
    let (daemon, directory) = start(|_| {}).await;
    let socket = directory.path().join("manager");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_nonblocking(true).unwrap();
    let notifier = Notifier::new(socket.as_os_str(), Some(Duration::from_millis(300))).unwrap();
    let watchdog = daemon.watch(Some(notifier)).unwrap();
    let mut heard = Vec::new();
    until("signs of life", async || {
        heard.extend(words(&manager));
        (heard.iter().any(|word| word == "WATCHDOG=1") && heard.iter().any(|word| word == "READY=1")).then_some(())
    })
    .await;
    assert!(heard.iter().any(|word| word.starts_with("STATUS=alone, without seeds; 0 documents")), "{heard:?}");
    assert_eq!(get(&daemon, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&daemon, "/readyz").await, (200, "ok\n".to_owned()));

    let release = block(&daemon).await;
    let text = until("it to be noticed", async || {
        let (status, text) = get(&daemon, "/livez").await;
        (status == 503).then_some(text)
    })
    .await;
    assert!(text.contains("loop has stood still for") && text.contains("answering a question of the API"), "{text}");
    let (status, text) = get(&daemon, "/readyz").await;
    assert!(status == 503 && text.contains("stood still"), "{text}");
    let (status, text) = get(&daemon, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\nevenkeel_live 0\n") && text.contains("\nevenkeel_ready 0\n"), "{text}");
    assert!(!text.contains("evenkeel_documents{"), "what only the loop knows is not made up: {text}");
    let lag = text.lines().find_map(|line| line.strip_prefix("evenkeel_event_loop_lag_seconds ")).unwrap();
    assert!(lag.parse::<f64>().unwrap() > 0.4, "{lag}");
    // It has had three seconds for it, while the metrics waited for the loop.
    words(&manager);
    let said = until("the standstill to be said", async || {
        let said = words(&manager);
        (!said.is_empty()).then_some(said)
    })
    .await;
    assert!(said.iter().all(|word| word.starts_with("STATUS=not ready: this node's loop has stood still")), "{said:?}");

    drop(release);
    until("it to be live again", async || (get(&daemon, "/livez").await.0 == 200).then_some(())).await;
    until("a sign of life", async || words(&manager).iter().any(|word| word == "WATCHDOG=1").then_some(())).await;
    let (_, text) = get(&daemon, "/metrics").await;
    assert!(text.contains("evenkeel_documents{"), "{text}");
    let turns = text.lines().find_map(|line| line.strip_prefix("evenkeel_event_loop_turn_seconds_count ")).unwrap();
    assert!(turns.parse::<u64>().unwrap() > 0, "{turns}");
    // As somebody asks for it through the API.
    daemon.inner.orders.input(Input::Drain(daemon.me()));
    until("the end to be said", async || words(&manager).iter().any(|word| word == "STOPPING=1").then_some(())).await;
    drop(watchdog);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_has_broken_off_is_not_live() {
    let (daemon, _directory) = start(|_| {}).await;
    assert_eq!(daemon.ask::<()>(|_| panic!("as a defect would")).await, None);
    let text = until("it to be noticed", async || daemon.inner.live().err()).await;
    assert!(text.to_string().contains("loop has ended"), "{text}");
    assert_eq!(get(&daemon, "/livez").await.0, 503);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_meets_none_of_its_seeds_is_ready_only_when_it_has_tried_long_enough() {
    let (daemon, _directory) = start(|config| {
        // A port that nobody listens on: it is reserved.
        config.network.seeds = vec!["127.0.0.1:1".to_owned()];
        config.gossip.detection = Duration::from_secs(2);
    })
    .await;
    let (status, text) = get(&daemon, "/readyz").await;
    assert!(status == 503 && text.contains("has met none of its seeds"), "{text}");
    assert_eq!(get(&daemon, "/livez").await.0, 200);
    until("it to go on alone", async || (get(&daemon, "/readyz").await.0 == 200).then_some(())).await;
    assert!(daemon.inner.pulse.lifetime() >= Duration::from_secs(6));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_is_said_though_there_is_no_error() {
    let (daemon, _directory) = start(|_| {}).await;
    let (release, held) = mpsc::channel::<()>();
    let store = daemon.inner.store.clone();
    let commit = std::thread::spawn(move || store.health().commits_with(|| held.recv()));
    let problem = until("it to be noticed", async || daemon.inner.ready().err()).await;
    assert!(problem.to_string().contains("the disk of the data directory has not answered for"), "{problem}");
    assert_eq!(daemon.inner.live(), Ok(()), "a restart would not help");
    assert!(daemon.inner.takes().await.is_err(), "it takes no batch");
    drop(release);
    commit.join().unwrap().unwrap_err();
    assert_eq!(daemon.inner.ready(), Ok(()));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_nothing_though_it_could_is_not_ready() {
    let (daemon, directory) = start(|config| {
        config.node.max_process = 1.into();
        config.health.idle = Duration::from_millis(300);
    })
    .await;
    // The loop is to seem to have a slot more than it fills.
    daemon.inner.pulse.has_slots(2);
    let go = directory.path().join("go");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.02; done", go.display());
    let mut upload = daemon.submission(["sh", "-c", &script].map(str::to_owned).to_vec(), BatchOptions::default());
    let document = || Document { payload: "x".into(), length: Length(1) };
    upload.push(vec![document(), document()]).await.unwrap();
    upload.finish().await.unwrap();
    let problem = until("it to be noticed", async || daemon.inner.ready().err()).await.to_string();
    assert!(
        problem.contains("nothing was started here for") && problem.contains("though 1 documents wait"),
        "{problem}"
    );
    assert!(problem.contains("1 slots are free"), "{problem}");
    let (_, text) = get(&daemon, "/metrics").await;
    let idle = text.lines().find_map(|line| line.strip_prefix("evenkeel_start_idle_seconds ")).unwrap();
    assert!(idle.parse::<f64>().unwrap() > 0.3, "{idle}");
    std::fs::write(&go, "").unwrap();
    until("it to be ready", async || daemon.inner.ready().ok()).await;
    daemon.stop().await;
}
