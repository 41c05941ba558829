//! A daemon whose documents end as soon as they start, and have no process: a store with a million of them that have ended is
//! made in a minute, by the loop, the journal and the writer that make every other.
//!
//! It runs in a process of its own, which is this program once more, so that it can be killed as any node.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_net::records::{Captured, Exit};
use evenkeel_net::{Network, NetworkConfig, Service};
use evenkeel_node::config::Config;
use evenkeel_node::daemon::{Daemon, OnEnd, Options, Surroundings, ThisMachine};
use evenkeel_node::process::{self, Ended, Execute, Job};

/// Names the data directory, and with it what this program is to be.
const VARIABLE: &str = "EVENKEEL_BENCH_HOLLOW";

/// As many documents as may share a transaction.
const SLOTS: u32 = 1024;

/// What every document is said to have taken: what `/bin/true` does.
const WALL_MICROS: u64 = 1_000;

/// The daemon, as whoever started it holds it. Killed when dropped.
pub(crate) struct Hollow {
    child: Child,
    /// The URL of its API.
    pub(crate) http: String,
}

impl Hollow {
    /// Starts it with the data directory of a node that does not run, and waits until it listens.
    pub(crate) fn start(data_dir: &Path) -> Hollow {
        let this = std::env::current_exe().expect("the system tells where a program is");
        let mut child =
            Command::new(this).env(VARIABLE, data_dir).stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.ends_with('\n'), "it ended before it listened");
        Hollow { child, http: line.trim_end().to_owned() }
    }
}

impl Drop for Hollow {
    fn drop(&mut self) {
        self.child.kill().expect("a child that has not been waited for can be killed");
        self.child.wait().expect("it is a child");
    }
}

/// Where this program is to run such a daemon instead of the benchmark.
pub(crate) fn wanted() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// Runs it until it is killed.
pub(crate) async fn run(data_dir: PathBuf) {
    let mut config = Config::default();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    config.node.data_dir = Some(data_dir);
    config.node.max_process = SLOTS.into();
    (config.network.listen, config.http.listen) = (anywhere, anywhere);
    // The file is the same, and none of this is lost but by a power cut.
    config.store.sync = false;
    let options =
        Options { config, keyring: None, token: None, http: true, keep_identity: true, outcomes: None, guardian: None };
    let daemon = Daemon::start_in(options, Arc::new(WithoutProcesses)).await.expect("the daemon starts");
    println!("http://{}", daemon.http().expect("it serves HTTP"));
    std::io::stdout().flush().expect("somebody reads it");
    std::future::pending::<()>().await;
}

/// This machine, but for its processes.
struct WithoutProcesses;

#[async_trait]
impl Surroundings for WithoutProcesses {
    async fn network(
        &self,
        config: NetworkConfig,
        service: Arc<dyn Service>,
    ) -> Result<Network, evenkeel_net::StartError> {
        ThisMachine.network(config, service).await
    }

    fn executor(&self, _: process::Settings, on_end: OnEnd) -> Result<Arc<dyn Execute>, process::StartError> {
        Ok(Arc::new(AtOnce(on_end)))
    }

    fn unix_micros(&self) -> u64 {
        ThisMachine.unix_micros()
    }
}

/// Reports the end of each document when it is asked to run it.
struct AtOnce(OnEnd);

#[async_trait]
impl Execute for AtOnce {
    fn run(&self, job: Job) {
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (self.0)(Ended {
            doc: job.doc,
            epoch: job.epoch,
            attempt: job.attempt,
            exit: Exit::Status(0),
            stopped: false,
            started_unix_micros: started.as_micros() as u64,
            wall_micros: WALL_MICROS,
            user_micros: 0,
            system_micros: 0,
            max_rss_bytes: 0,
            stdout: Captured::default(),
            stderr: Captured::default(),
        });
    }

    fn kill(&self, _: DocId, _: Epoch) -> bool {
        false
    }

    async fn stop_all(&self, _: Duration) {}
}
