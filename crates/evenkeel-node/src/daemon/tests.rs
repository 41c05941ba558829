//! Whole daemons, and parts of one for the tests of its other parts: a network and stores, without a loop.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId, Origin};
use evenkeel_core::load::Peer;
use evenkeel_core::settings::Settings;
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use evenkeel_net::{Network, NetworkConfig, NodeKey};
use tokio::sync::mpsc;

use super::engine::{Order, Orders};
use super::service::Peers;
use super::{Daemon, Options};
use crate::config::Config;
use crate::store::{Payloads, Results};

/// Time after which a test that waits has failed.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// A network, and what it stores for its peers.
pub(super) struct Side {
    pub(super) me: Origin,
    pub(super) network: Network,
    pub(super) payloads: Arc<Payloads>,
    pub(super) results: Arc<Results>,
    pub(super) orders: Orders,
    pub(super) received: mpsc::UnboundedReceiver<Order>,
    _directory: tempfile::TempDir,
}

impl Side {
    pub(super) async fn start(name: &str, seeds: Vec<String>) -> Side {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::generate().unwrap();
        let me = Origin { node: key.node_id(), generation: Generation(1) };
        let store = crate::store::tests::open(directory.path());
        let payloads = Arc::new(Payloads::open(&store, directory.path()).unwrap());
        let results = Arc::new(Results::open(&store).unwrap());
        let (sender, received) = mpsc::unbounded_channel();
        let orders = Orders(sender);
        let service =
            Peers { me: me.node, orders: orders.clone(), payloads: payloads.clone(), results: results.clone() };
        let mut config = NetworkConfig::new(name, key, me.generation);
        config.gossip_interval = Duration::from_millis(50);
        config.seeds = seeds;
        let network = Network::start(config, Arc::new(service)).await.unwrap();
        Side { me, network, payloads, results, orders, received, _directory: directory }
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
    ResultRecord {
        doc: DocId { batch: BatchId(1), number: DocNumber(5) },
        epoch: Epoch(1),
        attempt: Attempt(1),
        node: node.me().node,
        outcome: Outcome::Done,
        exit: Exit::Status(0),
        started_unix_micros: 1,
        wall_micros: 2,
        user_micros: 3,
        system_micros: 4,
        max_rss_bytes: 5,
        stdout: Captured { bytes: "out".into(), dropped: 0 },
        stderr: Captured::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_loop_breaks_off_has_not_left() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = Some(directory.path().to_owned());
    config.network.listen.set_port(0);
    let options = Options {
        config,
        keyring: None,
        token: None,
        http: false,
        keep_identity: false,
        outcomes: None,
        guardian: None,
    };
    let daemon = Daemon::start(options).await.unwrap();
    assert_eq!(daemon.ask::<()>(|_| panic!("as a defect would")).await, None);
    let error = tokio::time::timeout(LONG, daemon.left()).await.expect("it is noticed").unwrap_err();
    assert!(error.to_string().contains("broken off"), "{error}");
    daemon.stop().await;
}
