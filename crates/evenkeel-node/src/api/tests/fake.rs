//! A node that only remembers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId};
use evenkeel_core::state::Passage;
use evenkeel_core::units::Length;
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use futures_util::StreamExt;
use tokio::sync::{Semaphore, mpsc};

use crate::api::metrics::{self, Core};
use crate::api::types::{
    Accepted, BatchState, BatchStatus, Certificate, Contents, Digest, DocumentState, DocumentStatus, Documents,
    Equilibrium, ErrorCode, Event, Explanation, NewBatch, NodeName, NodeState, NodeStatus, Nodes, Problem, ResultLine,
    Schema,
};
use crate::api::{Backend, Document, EventLog, Listing, Results, Snapshot, Upload, Wanted};

/// Batches that the fake has from the start: two share the beginning of their ids.
pub(super) const OLD: BatchId = BatchId(0x1234_5678_9abc_def0);
pub(super) const TWIN: BatchId = BatchId(0x1234_5678_9abc_def1);
pub(super) const OTHER: BatchId = BatchId(0xf234_5678_9abc_def0);

/// Results for tests to send to followers.
type Following = mpsc::UnboundedSender<Result<ResultRecord, Problem>>;

pub(super) struct Fake {
    pub(super) state: Arc<State>,
    events: Arc<EventLog>,
    pub(super) not_ready: AtomicBool,
    pub(super) not_live: AtomicBool,
    pub(super) drained: Mutex<Vec<NodeId>>,
    pub(super) passages: Mutex<Vec<Passage>>,
    /// How often somebody has asked for the nodes.
    pub(super) looks: AtomicUsize,
    pub(super) followers: Mutex<Vec<Following>>,
}

/// What uploads share with the fake.
pub(super) struct State {
    pub(super) batches: Mutex<BTreeMap<BatchId, BatchStatus>>,
    pub(super) headers: Mutex<Vec<NewBatch>>,
    /// The first documents that were pushed, for a look at them.
    pub(super) seen: Mutex<Vec<Document>>,
    pub(super) pushed: AtomicU64,
    pub(super) open: AtomicUsize,
    pub(super) begun: AtomicUsize,
    /// A push takes a permit and gives it back: none, and uploads stand still.
    pub(super) room: Semaphore,
    pub(super) peak_memory: AtomicU64,
}

impl Default for Fake {
    fn default() -> Self {
        let batches = [OLD, TWIN, OTHER].map(|id| (id, status(id, 10))).into();
        let state = State {
            batches: Mutex::new(batches),
            headers: Mutex::default(),
            seen: Mutex::default(),
            pushed: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            room: Semaphore::new(100),
            peak_memory: AtomicU64::new(0),
        };
        Fake {
            state: Arc::new(state),
            events: EventLog::keeping(Generation(1), 8),
            not_ready: AtomicBool::new(false),
            not_live: AtomicBool::new(false),
            drained: Mutex::default(),
            passages: Mutex::default(),
            looks: AtomicUsize::new(0),
            followers: Mutex::default(),
        }
    }
}

impl Fake {
    pub(super) fn publish(&self, event: Event) {
        self.events.publish(event);
    }

    fn known(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.state.batches.lock().expect("a lock").get(&id).cloned().ok_or_else(|| Problem::no_such_batch(id))
    }
}

fn status(id: BatchId, documents: u32) -> BatchStatus {
    BatchStatus {
        schema: Schema,
        id,
        state: BatchState::Finished,
        submitted_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
        command: vec!["sha256sum".into(), "{}".into()],
        documents,
        pending: 0,
        running: 0,
        done: documents,
        failed: 0,
        cancelled: 0,
        length_pending: 0,
        retry_of: (id == OTHER).then_some(OLD),
    }
}

pub(super) fn record(number: u32, outcome: Outcome) -> ResultRecord {
    ResultRecord {
        doc: DocId { batch: OLD, number: DocNumber(number) },
        epoch: Epoch(3),
        attempt: Attempt(2),
        node: NodeId([7; 16]),
        outcome,
        exit: if outcome == Outcome::Done { Exit::Status(0) } else { Exit::Signal(9) },
        started_unix_micros: 1_767_322_245_000_001,
        wall_micros: 1_500_000,
        user_micros: 250_000,
        system_micros: 1,
        max_rss_bytes: 4_096,
        stdout: Captured { bytes: Bytes::from_static(b"text\n"), dropped: 0 },
        stderr: Captured { bytes: Bytes::from_static(b"\xff\x00"), dropped: 0 },
    }
}

pub(super) fn node(number: u8, name: &str, state: NodeState) -> NodeStatus {
    NodeStatus {
        id: NodeId([number; 16]),
        name: name.to_owned(),
        generation: Generation(u64::from(number)),
        state,
        is_self: number == 0x11,
        pending: 3,
        running: 2,
        max_process: 4,
        speed: 1.5,
        level: 0.5,
        work: 3.0,
        started: 9,
        duplicates: 0,
        taken_over: 1,
        moved: 2,
        version: "0.1.0".to_owned(),
        address: "10.0.0.1:7116".parse().expect("an address"),
        http: Some("10.0.0.1:7117".parse().expect("an address")),
    }
}

pub(super) struct FakeUpload {
    state: Arc<State>,
    documents: u32,
    length: u64,
    command: Vec<String>,
}

impl Drop for FakeUpload {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, SeqCst);
    }
}

impl Upload for FakeUpload {
    async fn push(&mut self, documents: Vec<Document>) -> Result<(), Problem> {
        let _room = self.state.room.acquire().await.expect("open");
        if documents.iter().any(|document| document.payload == "full") {
            return Err(Problem::new(ErrorCode::Internal, "the disk is full"));
        }
        self.documents += documents.len() as u32;
        self.length += documents.iter().map(|document| document.length.0).sum::<u64>();
        self.state.pushed.fetch_add(documents.len() as u64, SeqCst);
        self.state.peak_memory.fetch_max(resident_bytes(), SeqCst);
        let mut seen = self.state.seen.lock().expect("a lock");
        let more = 10_usize.saturating_sub(seen.len());
        seen.extend(documents.into_iter().take(more));
        Ok(())
    }

    async fn finish(self) -> Result<Accepted, Problem> {
        let mut batches = self.state.batches.lock().expect("a lock");
        let id = BatchId(batches.len() as u64);
        let command = self.command.clone();
        let pending = self.documents;
        let status = BatchStatus {
            state: BatchState::Running,
            command,
            pending,
            done: 0,
            length_pending: self.length,
            ..status(id, pending)
        };
        batches.insert(id, status);
        Ok(Accepted { schema: Schema, batch: id, documents: pending, copies: 1, warning: Some("one copy".to_owned()) })
    }
}

/// Resident memory of this process.
pub(super) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4_096
}

impl Backend for Fake {
    type Upload = FakeUpload;

    async fn begin(&self, header: NewBatch) -> Result<FakeUpload, Problem> {
        if header.command.iter().any(|word| word == "{unknown}") {
            return Err(Problem::new(ErrorCode::BadRequest, "unknown placeholder {unknown}"));
        }
        let command = header.command.clone();
        assert!(header.options.complete(&BatchOptions::default()).backoff_millis > 0);
        self.state.headers.lock().expect("a lock").push(header);
        self.state.open.fetch_add(1, SeqCst);
        self.state.begun.fetch_add(1, SeqCst);
        Ok(FakeUpload { state: Arc::clone(&self.state), documents: 0, length: 0, command })
    }

    async fn batch_ids(&self, range: RangeInclusive<BatchId>, limit: usize) -> Result<Vec<BatchId>, Problem> {
        Ok(self.state.batches.lock().expect("a lock").range(range).map(|(id, _)| *id).take(limit).collect())
    }

    async fn batches(&self) -> Result<Vec<BatchStatus>, Problem> {
        Ok(self.state.batches.lock().expect("a lock").values().cloned().collect())
    }

    async fn batch(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.known(id)
    }

    async fn results(&self, id: BatchId, wanted: Wanted) -> Result<Results, Problem> {
        self.known(id)?;
        let stored = [record(0, Outcome::Done), record(1, Outcome::Failed)];
        let stored = stored.into_iter().filter(move |record| !wanted.failed || record.outcome == Outcome::Failed);
        let stored = futures_util::stream::iter(stored.map(Ok));
        if !wanted.follow {
            return Ok(stored.boxed());
        }
        let (follower, mut results) = mpsc::unbounded_channel();
        self.followers.lock().expect("a lock").push(follower);
        Ok(stored.chain(futures_util::stream::poll_fn(move |cx| results.poll_recv(cx))).boxed())
    }

    async fn cancel(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        Ok(BatchStatus { state: BatchState::Cancelled, ..self.known(id)? })
    }

    async fn remove(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        let status = self.known(id)?;
        self.state.batches.lock().expect("a lock").remove(&id);
        Ok(status)
    }

    async fn retry(&self, id: BatchId) -> Result<Accepted, Problem> {
        if self.known(id)?.failed == 0 {
            return Err(Problem::new(ErrorCode::Conflict, format!("no document of batch {id} has failed")));
        }
        Ok(Accepted { schema: Schema, batch: BatchId(99), documents: 1, copies: 2, warning: None })
    }

    async fn explain(&self, doc: DocId) -> Result<Explanation, Problem> {
        let documents = self.known(doc.batch)?.documents;
        if doc.number.0 >= documents {
            return Err(Problem::no_such_document(doc, documents));
        }
        Ok(Explanation {
            schema: Schema,
            batch: doc.batch,
            document: doc.number,
            length: Some(Length(17)),
            state: DocumentState::Done,
            node: NodeId([7; 16]),
            node_name: Some("seven".to_owned()),
            epoch: Epoch(3),
            claimed: true,
            failures: Attempt(1),
            crashes: 0,
            copies: vec![NodeId([7; 16]), NodeId([8; 16])],
            unanswered: vec![NodeId([9; 16])],
            names: vec![NodeName { id: NodeId([7; 16]), name: "seven".to_owned() }],
            reason: "it succeeded".to_owned(),
            next_attempt_at: Some("2026-01-02T03:04:05Z".parse().expect("a time")),
            result: Some(ResultLine::from(&record(doc.number.0, Outcome::Done))),
        })
    }

    /// Every third document has failed, and the others are done.
    async fn documents(&self, id: BatchId, wanted: Listing) -> Result<Documents, Problem> {
        let documents = self.known(id)?.documents;
        let row = |number: u32| DocumentStatus {
            document: DocNumber(number),
            state: if number % 3 == 2 { DocumentState::Failed } else { DocumentState::Done },
            node: NodeId([0x11; 16]),
            length: Length(17),
            epoch: Epoch(3),
            failures: Attempt(0),
        };
        let fits = |row: &DocumentStatus| {
            wanted.state.is_none_or(|state| state == row.state) && wanted.node.is_none_or(|node| node == row.node)
        };
        let mut rows: Vec<_> = (wanted.from.0..documents).map(row).filter(fits).take(wanted.limit + 1).collect();
        let next = rows.get(wanted.limit).map(|row| row.document);
        rows.truncate(wanted.limit);
        Ok(Documents { schema: Schema, batch: id, documents: rows, next })
    }

    async fn contents(&self, id: BatchId, from: DocNumber) -> Result<Contents, Problem> {
        let documents = self.known(id)?.documents;
        let digest = |number: u32| (number % 3 != 2).then(|| Digest::of(&number.to_le_bytes()));
        let digests = (from.0..documents).map(digest).collect();
        Ok(Contents { schema: Schema, batch: id, first: from, digests, next: None })
    }

    async fn payload(&self, doc: DocId) -> Result<Bytes, Problem> {
        let documents = self.known(doc.batch)?.documents;
        match doc.number.0 {
            number if number < documents => Ok(Bytes::from_static(b"<b>\xff")),
            _ => Err(Problem::no_such_document(doc, documents)),
        }
    }

    async fn passages(&self) -> Result<Vec<Passage>, Problem> {
        Ok(self.passages.lock().expect("a lock").clone())
    }

    async fn nodes(&self) -> Result<Nodes, Problem> {
        self.looks.fetch_add(1, SeqCst);
        let nodes = vec![
            node(0x11, "here", NodeState::Live),
            node(0x22, "there", NodeState::Live),
            node(0x33, "there", NodeState::Dead),
            node(0x44, "twin", NodeState::Live),
            node(0x45, "twin", NodeState::Suspect),
        ];
        let certificate = Some(Certificate { highest: 0.5, mean: 0.5, bound: 0.75, holds: true });
        let equilibrium = Equilibrium { in_equilibrium: true, regret: 0.0, epsilon: 0.05, certificate };
        Ok(Nodes { schema: Schema, nodes, equilibrium })
    }

    async fn drain(&self, node: NodeId) -> Result<(), Problem> {
        self.drained.lock().expect("a lock").push(node);
        Ok(())
    }

    async fn metrics(&self) -> Result<Snapshot, Problem> {
        let documents = metrics::Documents { waiting: 17, ..metrics::Documents::default() };
        let core = Some(Core { documents, ..Core::default() });
        Ok(Snapshot { version: "0.1.0".to_owned(), core, ..Snapshot::default() })
    }

    fn live(&self) -> Result<(), Problem> {
        match self.not_live.load(SeqCst) {
            true => Err(Problem::new(ErrorCode::Unavailable, "the loop stands still")),
            false => Ok(()),
        }
    }

    fn ready(&self) -> Result<(), Problem> {
        match self.not_ready.load(SeqCst) {
            true => Err(Problem::new(ErrorCode::Unavailable, "still catching up")),
            false => Ok(()),
        }
    }

    fn events(&self) -> Arc<EventLog> {
        Arc::clone(&self.events)
    }
}
