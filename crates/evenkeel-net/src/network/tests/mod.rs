//! Networks on loopback: meeting, leaving, messages, requests, and what must be refused.

mod bulk;
mod meeting;
mod messages;
mod refusals;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, DocNumber, Epoch, Generation, SegmentNumber};

use super::*;
use crate::identity::NodeKey;
use crate::lists::{HeldResults, Lists, Reading};
use crate::members::Member;
use crate::records::{Captured, Exit};
use crate::secret::{Keyring, Secret};
use crate::service::Refusal;

/// Time after which a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a node has been sent, and what it has to give.
#[derive(Default)]
struct Recorder {
    messages: Mutex<Vec<(NodeId, Message)>>,
    arrived: tokio::sync::Notify,
    segments: Mutex<BTreeMap<SegmentId, Vec<Payload>>>,
    holders: Mutex<Vec<NodeId>>,
    results: Mutex<Vec<ResultRecord>>,
    put_headers: Mutex<Vec<PutResults>>,
    refuse: Mutex<Option<Refusal>>,
}

impl Recorder {
    fn refusal(&self) -> Result<(), Refusal> {
        self.refuse.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Service for Recorder {
    fn message(&self, from: NodeId, message: Message) {
        self.messages.lock().unwrap().push((from, message));
        self.arrived.notify_one();
    }

    async fn put_payloads(
        &self,
        _from: NodeId,
        segment: SegmentId,
        holders: Vec<NodeId>,
        payloads: Vec<Payload>,
    ) -> Result<(), Refusal> {
        self.refusal()?;
        self.segments.lock().unwrap().insert(segment, payloads);
        *self.holders.lock().unwrap() = holders;
        Ok(())
    }

    async fn get_payloads(&self, _from: NodeId, segment: SegmentId) -> Result<Option<Vec<Payload>>, Refusal> {
        self.refusal()?;
        Ok(self.segments.lock().unwrap().get(&segment).cloned())
    }

    async fn put_results(&self, _from: NodeId, header: PutResults, results: Vec<ResultRecord>) -> Result<(), Refusal> {
        self.refusal()?;
        self.put_headers.lock().unwrap().push(header);
        self.results.lock().unwrap().extend(results);
        Ok(())
    }

    async fn get_results(
        &self,
        _from: NodeId,
        batch: BatchId,
        wanted: DocSet,
        out: mpsc::Sender<ResultRecord>,
    ) -> Result<(), Refusal> {
        let held = self.results.lock().unwrap().clone();
        for result in held {
            if result.doc.batch == batch && wanted.contains(result.doc.number) && out.send(result).await.is_err() {
                break;
            }
        }
        self.refusal()
    }

    async fn explain(&self, _from: NodeId, doc: DocId) -> Option<String> {
        (doc.number.0 == 7).then(|| format!("\"{doc}\""))
    }

    async fn lists(&self, from: NodeId, segment: SegmentId, reading: Reading) -> Result<Lists, Refusal> {
        self.refusal()?;
        let held = self.segments.lock().unwrap().contains_key(&segment);
        let payloads = held.then(|| self.holders.lock().unwrap().clone());
        // So that it can be seen what was asked.
        let results = match reading.is_empty() {
            true => Vec::new(),
            false => vec![HeldResults { holders: vec![from], docs: reading.results }],
        };
        Ok(Lists { payloads, results, read: Vec::new() })
    }
}

/// A network and what it has been sent.
struct Node {
    network: Network,
    service: Arc<Recorder>,
}

fn secret() -> Secret {
    "eksec1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursl6lhve".parse().unwrap()
}

/// A node with quick gossip.
fn config(name: &str) -> NetworkConfig {
    let mut config = NetworkConfig::new(name, NodeKey::generate().unwrap(), Generation(1));
    config.keyring = Some(Keyring::single(secret()));
    config.gossip_interval = Duration::from_millis(50);
    config.detection = Duration::from_secs(5);
    config
}

async fn start(config: NetworkConfig) -> Node {
    // Shown only for tests that fail, and where RUST_LOG asks for it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
    let service = Arc::new(Recorder::default());
    let network = Network::start(config, service.clone()).await.unwrap();
    Node { network, service }
}

async fn seeded(name: &str, seed: &Node) -> Node {
    let mut config = config(name);
    config.seeds = vec![seed.address()];
    start(config).await
}

/// Fails a test instead of letting it hang.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Waits for something that cannot be awaited.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

impl Node {
    fn id(&self) -> NodeId {
        self.network.node_id()
    }

    fn address(&self) -> String {
        self.network.local_addr().to_string()
    }

    /// Waits until the members are as wanted.
    async fn sees(&self, what: &str, wanted: impl FnMut(&Members) -> bool) -> Arc<Members> {
        let mut wanted = wanted;
        let mut members = self.network.members();
        soon(what, members.wait_for(|members| wanted(members))).await.unwrap().clone()
    }

    async fn sees_live(&self, other: &Node) -> Member {
        let id = other.id();
        self.sees("a live member", |members| members.live.contains_key(&id)).await.live[&id].clone()
    }

    async fn sees_dead(&self, id: NodeId) {
        self.sees("a dead member", |members| members.dead.contains_key(&id) && !members.live.contains_key(&id)).await;
    }

    /// Waits for so many messages.
    async fn got(&self, count: usize) -> Vec<(NodeId, Message)> {
        soon("messages", async {
            while self.service.messages.lock().unwrap().len() < count {
                self.service.arrived.notified().await;
            }
        })
        .await;
        self.service.messages.lock().unwrap().clone()
    }
}

fn load(pending: u64) -> Load {
    Load {
        pending,
        running: 1,
        max_process: 4,
        static_slots: 4,
        work: pending as f64 * 1.5,
        bench: 1.0,
        ln_rate: 0.0,
        rate_variance: f64::INFINITY,
        shortest: None,
        longest: None,
        in_flight: 0,
        draining: false,
        head: 3,
        regret: 0.0,
        started: 9,
        duplicates: 0,
        taken_over: 0,
        moved: 0,
        digest: 0,
        state: 0,
    }
}

fn segment(number: u32) -> SegmentId {
    SegmentId { batch: BatchId(5), segment: SegmentNumber(number) }
}

fn payloads(count: u32, size: usize) -> Vec<Payload> {
    let payload = |number: u32| Payload { number: DocNumber(number), bytes: Bytes::from(vec![number as u8; size]) };
    (0..count).map(payload).collect()
}

fn result(number: u32, size: usize) -> ResultRecord {
    ResultRecord {
        doc: DocId { batch: BatchId(5), number: DocNumber(number) },
        epoch: Epoch::FIRST,
        attempt: Attempt(1),
        node: NodeId([3; 16]),
        outcome: Outcome::Done,
        exit: Exit::Status(0),
        started_unix_micros: 1,
        wall_micros: 2,
        user_micros: 3,
        system_micros: 4,
        max_rss_bytes: 5,
        stdout: Captured { bytes: Bytes::from(vec![number as u8; size]), dropped: 0 },
        stderr: Captured::default(),
    }
}
