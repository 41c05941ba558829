//! Whole daemons, and parts of one for the tests of its other parts: a network and stores, without a loop.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::ids::{BatchId, DocId, DocNumber, Generation, NodeId, Origin};
use evenkeel_core::load::Peer;
use evenkeel_core::settings::Settings;
use evenkeel_net::records::ResultRecord;
use evenkeel_net::{Network, NetworkConfig, NodeKey};
use tokio::sync::mpsc;

use super::engine::{Order, Orders};
use super::service::Peers;
use super::{Daemon, Options};
use crate::config::Config;
use crate::store::Store;

/// Time after which a test that waits has failed.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// A network, and what it stores for its peers.
pub(super) struct Side {
    pub(super) me: Origin,
    pub(super) network: Network,
    pub(super) store: Store,
    pub(super) orders: Orders,
    pub(super) received: mpsc::UnboundedReceiver<Order>,
    _directory: tempfile::TempDir,
}

impl Side {
    pub(super) async fn start(name: &str, seeds: Vec<String>) -> Side {
        let directory = tempfile::tempdir().unwrap();
        let store = crate::store::tests::open(directory.path());
        Side::start_on(name, seeds, directory, store).await
    }

    /// One that has something already.
    pub(super) async fn start_on(name: &str, seeds: Vec<String>, directory: tempfile::TempDir, store: Store) -> Side {
        let key = NodeKey::generate().unwrap();
        let me = Origin { node: key.node_id(), generation: Generation(1) };
        let (sender, received) = mpsc::unbounded_channel();
        let orders = Orders(sender);
        let service = Peers { me: me.node, orders: orders.clone(), store: store.clone() };
        let mut config = NetworkConfig::new(name, key, me.generation);
        config.gossip_interval = Duration::from_millis(50);
        config.seeds = seeds;
        let network = Network::start(config, Arc::new(service)).await.unwrap();
        Side { me, network, store, orders, received, _directory: directory }
    }

    pub(super) fn node(&self) -> Node {
        Node::new(self.me, Settings { max_process: 1, ..Settings::default() }, false, 1)
    }

    /// As others see it.
    pub(super) fn peer(&self) -> (NodeId, Peer) {
        (self.me.node, Peer { generation: self.me.generation, load: self.node().load() })
    }

    /// Waits until it has met another.
    pub(super) async fn meets(&self, other: &Side) {
        let mut members = self.network.members();
        let met = members.wait_for(|members| members.live.contains_key(&other.me.node));
        tokio::time::timeout(LONG, met).await.expect("they meet").expect("gossip goes on");
    }
}

/// A result of a document that this node ran.
pub(super) fn record(node: &Node) -> ResultRecord {
    let doc = DocId { batch: BatchId(1), number: DocNumber(5) };
    ResultRecord { node: node.me().node, ..crate::store::tests::record(doc, 1, "out") }
}

fn options(directory: &std::path::Path, keep_identity: bool) -> Options {
    let mut config = Config::default();
    config.node.data_dir = Some(directory.to_owned());
    config.network.listen.set_port(0);
    Options { config, keyring: None, token: None, http: false, keep_identity, outcomes: None, guardian: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_loop_breaks_off_has_not_left() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(options(directory.path(), false)).await.unwrap();
    assert_eq!(daemon.ask::<()>(|_| panic!("as a defect would")).await, None);
    let error = tokio::time::timeout(LONG, daemon.left()).await.expect("it is noticed").unwrap_err();
    assert!(error.to_string().contains("broken off"), "{error}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_holds_is_its_own_after_a_restart_and_no_other_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let start = async |keep| Daemon::start(options(directory.path(), keep)).await.unwrap();
    let daemon = start(true).await;
    let me = daemon.me().node;
    let record = daemon.ask(record).await.unwrap();
    daemon.inner.store.results.put(std::slice::from_ref(&record), &[me]).await.unwrap();
    daemon.stop().await;
    assert!(daemon.inner.store.results.get(record.doc).is_err(), "the next node here has the file for itself");
    let daemon = start(true).await;
    assert_eq!(daemon.me().node, me);
    assert_eq!(daemon.inner.store.results.get(record.doc).unwrap(), Some(record.clone()));
    daemon.stop().await;
    let daemon = start(false).await;
    assert_ne!(daemon.me().node, me);
    assert_eq!(daemon.inner.store.results.get(record.doc).unwrap(), None);
    daemon.stop().await;
}
