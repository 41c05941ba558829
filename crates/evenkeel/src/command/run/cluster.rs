//! The embedded cluster: as many whole nodes as are asked for, in this process, with a directory that goes with it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use evenkeel_net::records::ResultRecord;
use evenkeel_net::{Keyring, Secret};
use evenkeel_node::config::{Config, MaxProcess};
use evenkeel_node::daemon::{Daemon, Options};
use evenkeel_node::process::guardian_command;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Time that the nodes have to meet. Without all of them the job runs on those that did.
const MEETING: Duration = Duration::from_secs(10);

/// Nodes up to which gossip is quick: its cost grows with their square.
const FEW: usize = 8;

/// A cluster in this process.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Daemon>,
    /// Results of documents, by whichever node ran them.
    pub(super) outcomes: mpsc::UnboundedReceiver<ResultRecord>,
    directory: TempDir,
}

impl Cluster {
    /// Starts a node for each number of slots, and waits until they have met.
    pub(super) async fn start(slots: &[MaxProcess], max_payload: u64) -> anyhow::Result<Cluster> {
        let directory = tempfile::Builder::new().prefix("evenkeel-").tempdir().context("cannot make a directory")?;
        let secret = Secret::generate().context("cannot make a secret")?;
        let (sender, outcomes) = mpsc::unbounded_channel();
        let interval = Duration::from_millis(if slots.len() <= FEW { 100 } else { 500 });
        let mut cluster = Cluster { nodes: Vec::new(), outcomes, directory };
        for (place, slots) in slots.iter().enumerate() {
            let mut config = Config::default();
            config.node.name = Some(format!("node-{}", place + 1));
            config.node.data_dir = Some(cluster.directory.path().join(format!("node-{}", place + 1)));
            config.node.max_process = *slots;
            config.network.listen.set_port(0);
            config.network.seeds = cluster.nodes.first().map(|node| node.address().to_string()).into_iter().collect();
            config.gossip.interval = interval;
            config.documents.max_payload = max_payload;
            let options = Options {
                config,
                keyring: Some(Keyring::single(secret.clone())),
                token: None,
                http: false,
                keep_identity: false,
                outcomes: Some(sender.clone()),
                guardian: Some(guardian_command()),
            };
            cluster.nodes.push(Daemon::start(options).await?);
        }
        cluster.meet().await;
        Ok(cluster)
    }

    /// Where all nodes keep their files.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until every node plans with every other.
    async fn meet(&self) {
        let all = self.nodes.len() - 1;
        let met = async {
            for node in &self.nodes {
                node.wait_until(move |node| node.view().live.len() >= all).await;
            }
        };
        if tokio::time::timeout(MEETING, met).await.is_err() {
            tracing::warn!("not all nodes of the embedded cluster have met; the job begins with those that did");
        }
    }

    /// Documents given away and processes stopped as duplicates, over all nodes.
    pub(super) async fn counters(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for node in &self.nodes {
            if let Some(counters) = node.ask(|node| node.counters()).await {
                sums.0 += counters.moved;
                sums.1 += counters.duplicates;
            }
        }
        sums
    }

    /// Documents that hold a slot anywhere.
    pub(super) async fn running(&self) -> u64 {
        let mut sum = 0;
        for node in &self.nodes {
            sum += node.ask(|node| node.slots_in_use() as u64).await.unwrap_or(0);
        }
        sum
    }

    /// Name of a node.
    pub(super) fn name(&self, id: evenkeel_core::ids::NodeId) -> &str {
        self.nodes.iter().find(|node| node.me().node == id).map_or("?", Daemon::name)
    }

    /// Stops all nodes and their processes, and removes the directory.
    pub(super) async fn stop(self) {
        let stops = self.nodes.iter().map(|node| node.stop());
        futures_util::future::join_all(stops).await;
        if let Err(error) = self.directory.close() {
            tracing::warn!(%error, "cannot remove the temporary directory");
        }
    }
}
