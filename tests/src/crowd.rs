//! A made-up node in a made-up cluster of any size, for what real daemons on one machine cannot show: a page that watches a
//! hundred nodes and a million documents.
//!
//! All that it tells is a function of the time since it began: documents end at a steady pace, and loads that were uneven
//! become level. Nothing that it is asked to do has any effect.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId};
use evenkeel_core::state::Passage;
use evenkeel_core::units::Length;
use evenkeel_node::api::types::{
    Accepted, BatchState, BatchStatus, Certificate, Contents, DocumentState, DocumentStatus, Documents, Equilibrium,
    ErrorCode, Event, Explanation, NewBatch, NodeState, NodeStatus, Nodes, Problem, Schema,
};
use evenkeel_node::api::{ApiSettings, Backend, Document, EventLog, Listing, Results, Snapshot, Upload, Wanted};
use evenkeel_node::config::Config;

/// Seconds in which all documents end.
const LIFE: f64 = 600.0;

/// Seconds in which what is uneven becomes about a third of it.
const LEVELLING: f64 = 15.0;

/// Slots of a node.
const SLOTS: u32 = 8;

/// Nodes that are not as the others.
const DEAD: u32 = 13;
const DRAINING: u32 = 57;

const BATCH: BatchId = BatchId(0x0123_4567_89ab_cdef);

/// The node.
#[derive(Debug)]
pub struct Crowd {
    born: Instant,
    nodes: u32,
    documents: u32,
    events: Arc<EventLog>,
}

impl Crowd {
    /// A cluster of so many nodes with a batch of so many documents.
    pub fn new(nodes: u32, documents: u32) -> Arc<Crowd> {
        let events = EventLog::new(Generation(1));
        events.publish(Event::BatchAccepted { batch: BATCH, documents });
        Arc::new(Crowd { born: Instant::now(), nodes, documents, events })
    }

    /// Serves the API, and the page, at an address of its own, for as long as the runtime lives.
    pub async fn serve(self: &Arc<Crowd>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = evenkeel_node::api::router(Arc::clone(self), ApiSettings::new(&Config::default(), None));
        tokio::spawn(evenkeel_node::api::serve(listener, router, std::future::pending()));
        tokio::spawn(tell(Arc::clone(self)));
        address
    }

    fn age(&self) -> f64 {
        self.born.elapsed().as_secs_f64()
    }

    fn ended(&self) -> u32 {
        ((self.age() / LIFE).min(1.0) * f64::from(self.documents)) as u32
    }

    /// How much more than its share a node has, of its share.
    fn excess(&self, node: u32) -> f64 {
        let uneven = (f64::from(node) * 2.4).sin() * 0.9 * (-self.age() / LEVELLING).exp();
        uneven + (self.age() * 0.7 + f64::from(node)).sin() * 0.02
    }

    fn node(&self, number: u32) -> NodeStatus {
        let share = f64::from(self.documents - self.ended()) / f64::from(self.nodes);
        let pending = (share * (1.0 + self.excess(number))).max(0.0);
        NodeStatus {
            id: id(number),
            name: format!("host-{number:03}"),
            generation: Generation(1),
            state: match number {
                DEAD => NodeState::Dead,
                DRAINING => NodeState::Draining,
                _ => NodeState::Live,
            },
            is_self: number == 0,
            pending: pending as u64,
            running: if number == DEAD { 0 } else { (pending as u32).min(SLOTS) },
            max_process: SLOTS,
            speed: 1.0 + f64::from(number % 7) / 100.0,
            level: pending / f64::from(SLOTS),
            work: pending * 100.0,
            started: u64::from(self.ended() / self.nodes),
            duplicates: 0,
            taken_over: 0,
            moved: (self.age() * 3.0) as u64,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 7116)),
            http: None,
        }
    }
}

fn id(number: u32) -> NodeId {
    let mut bytes = [0x5a; 16];
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    NodeId(bytes)
}

/// Publishes the starts and ends of this node, as many as if it ran all documents: the most that a log can get.
async fn tell(crowd: Arc<Crowd>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        for number in told..crowd.ended() {
            let document = DocNumber(number);
            crowd.events.publish(Event::DocumentStarted { batch: BATCH, document, attempt: Attempt(1) });
            let outcome = if number % 1_000 == 999 { Outcome::Failed } else { Outcome::Done };
            crowd.events.publish(Event::DocumentEnded { batch: BATCH, document, outcome, node: id(0) });
        }
        told = crowd.ended();
    }
}

fn refused<T>() -> Result<T, Problem> {
    Err(Problem::new(ErrorCode::Unavailable, "this node is made up, and does nothing"))
}

/// There is none: a made-up node takes no batches.
#[derive(Debug)]
pub struct NoUpload;

impl Upload for NoUpload {
    async fn push(&mut self, _: Vec<Document>) -> Result<(), Problem> {
        refused()
    }

    async fn finish(self) -> Result<Accepted, Problem> {
        refused()
    }
}

impl Backend for Crowd {
    type Upload = NoUpload;

    async fn begin(&self, _: NewBatch) -> Result<NoUpload, Problem> {
        refused()
    }

    async fn batch_ids(&self, range: RangeInclusive<BatchId>, _: usize) -> Result<Vec<BatchId>, Problem> {
        Ok(Some(BATCH).filter(|id| range.contains(id)).into_iter().collect())
    }

    async fn batches(&self) -> Result<Vec<BatchStatus>, Problem> {
        let ended = self.ended();
        let pending = self.documents - ended;
        Ok(vec![BatchStatus {
            schema: Schema,
            id: BATCH,
            state: if pending > 0 { BatchState::Running } else { BatchState::Finished },
            submitted_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
            command: ["sh", "-c", "convert {} {}.png"].map(str::to_owned).to_vec(),
            documents: self.documents,
            pending,
            running: pending.min(self.nodes * SLOTS),
            done: ended - ended / 1_000,
            failed: ended / 1_000,
            cancelled: 0,
            length_pending: u64::from(pending) * 100,
            retry_of: None,
        }])
    }

    async fn batch(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        let batch = self.batches().await?.into_iter().find(|batch| batch.id == id);
        batch.ok_or_else(|| Problem::no_such_batch(id))
    }

    async fn results(&self, _: BatchId, _: Wanted) -> Result<Results, Problem> {
        refused()
    }

    async fn cancel(&self, _: BatchId) -> Result<BatchStatus, Problem> {
        refused()
    }

    async fn retry(&self, _: BatchId) -> Result<Accepted, Problem> {
        refused()
    }

    async fn explain(&self, _: DocId) -> Result<Explanation, Problem> {
        refused()
    }

    async fn documents(&self, id: BatchId, wanted: Listing) -> Result<Documents, Problem> {
        self.batch(id).await?;
        let ended = self.ended();
        let row = |number: u32| DocumentStatus {
            document: DocNumber(number),
            state: match number {
                number if number < ended && number % 1_000 == 999 => DocumentState::Failed,
                number if number < ended => DocumentState::Done,
                number if number < ended + self.nodes * SLOTS => DocumentState::Running,
                _ => DocumentState::Waiting,
            },
            node: crate::crowd::id(number % self.nodes),
            length: Length(100),
            epoch: Epoch(1),
            failures: Attempt(0),
        };
        let fits = |row: &DocumentStatus| {
            wanted.state.is_none_or(|state| state == row.state) && wanted.node.is_none_or(|node| node == row.node)
        };
        let rows = (wanted.from.0..self.documents).map(row).filter(fits);
        let mut documents: Vec<_> = rows.take(wanted.limit + 1).collect();
        let next = documents.get(wanted.limit).map(|more| more.document);
        documents.truncate(wanted.limit);
        Ok(Documents { schema: Schema, batch: id, documents, next })
    }

    async fn remove(&self, _: BatchId) -> Result<BatchStatus, Problem> {
        refused()
    }

    async fn contents(&self, _: BatchId, _: DocNumber) -> Result<Contents, Problem> {
        refused()
    }

    async fn payload(&self, _: DocId) -> Result<Bytes, Problem> {
        refused()
    }

    async fn passages(&self) -> Result<Vec<Passage>, Problem> {
        // From who has more to who has less.
        let pair = |number: u32| {
            let (one, other) = (number % self.nodes, (number * 7 + 3) % self.nodes);
            let unevenness = |number: u32| (f64::from(number) * 2.4).sin();
            let (from, to) = if unevenness(one) > unevenness(other) { (one, other) } else { (other, one) };
            let to = if [DEAD, DRAINING].contains(&to) { to + 1 } else { to };
            let documents = (self.age() * 3.0 + f64::from(number) * 0.37) as u64;
            Passage { from: id(from), to: id(to), claimed: false, documents }
        };
        Ok((0..self.nodes / 2).map(pair).collect())
    }

    async fn nodes(&self) -> Result<Nodes, Problem> {
        let nodes: Vec<NodeStatus> = (0..self.nodes).map(|number| self.node(number)).collect();
        let highest = nodes.iter().map(|node| node.level).fold(0.0, f64::max);
        let mean = nodes.iter().map(|node| node.level).sum::<f64>() / f64::from(self.nodes);
        let certificate = Some(Certificate { highest, mean, bound: mean * 1.02, holds: highest <= mean * 1.02 });
        let regret = (highest - mean).max(0.0);
        let epsilon = mean * 0.05;
        let equilibrium = Equilibrium { in_equilibrium: regret <= epsilon, regret, epsilon, certificate };
        Ok(Nodes { schema: Schema, nodes, equilibrium })
    }

    async fn drain(&self, _: NodeId) -> Result<(), Problem> {
        refused()
    }

    async fn metrics(&self) -> Result<Snapshot, Problem> {
        Ok(Snapshot::default())
    }

    fn live(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn ready(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn events(&self) -> Arc<EventLog> {
        Arc::clone(&self.events)
    }
}
