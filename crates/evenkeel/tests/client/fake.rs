//! A cluster that only remembers, behind the real HTTP API, on a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId};
use evenkeel_core::state::Passage;
use evenkeel_core::units::Length;
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use evenkeel_node::api::types::{
    Accepted, BatchState, BatchStatus, Certificate, Contents, DocumentState, Documents, Equilibrium, ErrorCode,
    Explanation, NewBatch, NodeName, NodeState, NodeStatus, Nodes, Problem, ResultLine, Schema,
};
use evenkeel_node::api::{
    ApiSettings, Backend, Document, EventLog, Listing, Results, Snapshot, Token, Upload, Wanted, router, serve,
};
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Batches that are there from the start; the first two begin alike.
pub(crate) const FINISHED: BatchId = BatchId(0x1234_5678_9abc_def0);
pub(crate) const RUNNING: BatchId = BatchId(0x1234_5678_9abc_def1);
pub(crate) const RETRIED: BatchId = BatchId(0xf234_5678_9abc_def0);

/// Every token is the same.
pub(crate) const TOKEN: &str = "0123456789abcdef";

/// What the cluster remembers; several fake nodes may share it.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) batches: Mutex<BTreeMap<BatchId, BatchStatus>>,
    /// Results of every batch.
    pub(crate) results: Mutex<Vec<Result<ResultRecord, Problem>>>,
    /// Headers and documents of every upload that was finished.
    pub(crate) uploads: Mutex<Vec<(NewBatch, Vec<Document>)>>,
    pub(crate) begun: AtomicU64,
    pub(crate) pushed: AtomicU64,
    /// Results end in silence instead of an end.
    pub(crate) silent: AtomicBool,
    /// How often that silence was listened to.
    pub(crate) silences: AtomicU64,
    pub(crate) drained: Mutex<Option<NodeId>>,
    /// A node that is drained dies, with all that it has.
    pub(crate) deadly: AtomicBool,
    /// There is no other live node.
    pub(crate) alone: AtomicBool,
    /// HTTP address of the other node.
    pub(crate) other: Mutex<Option<SocketAddr>>,
    /// Batches that were cancelled.
    pub(crate) cancelled: Mutex<Vec<BatchId>>,
    /// Looks at a batch since it was submitted; each ends one document.
    pub(crate) looks: AtomicU64,
}

pub(crate) struct Fake {
    pub(crate) memory: Arc<Memory>,
    /// Uploads take so many documents and then no more.
    room: u64,
    events: Arc<EventLog>,
}

/// A fake node at work. Dropped, it dies without a word.
pub(crate) struct Served {
    pub(crate) memory: Arc<Memory>,
    pub(crate) address: SocketAddr,
    pub(crate) events: Arc<EventLog>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
}

/// How a fake node is to behave.
pub(crate) struct Behaviour {
    pub(crate) memory: Arc<Memory>,
    pub(crate) token: bool,
    pub(crate) room: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour { memory: Arc::new(Memory::with_batches()), token: false, room: u64::MAX }
    }
}

impl Served {
    pub(crate) fn new() -> Served {
        Served::with(Behaviour::default())
    }

    pub(crate) fn with(behaviour: Behaviour) -> Served {
        Served::at(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour)
    }

    /// A node at this address.
    pub(crate) fn at(address: SocketAddr, behaviour: Behaviour) -> Served {
        let Behaviour { memory, token, room } = behaviour;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let settings = ApiSettings {
            token: token.then(|| Token::new(TOKEN).unwrap()),
            max_payload: 1_000,
            max_upload: 1 << 30,
            max_documents: 2_000_000,
            max_capture: 1 << 20,
            max_uploads: 4,
            upload_idle: Duration::from_secs(20),
        };
        let events = EventLog::new(Generation(1));
        let fake = Arc::new(Fake { memory: Arc::clone(&memory), room, events: Arc::clone(&events) });
        let (stop, stopped) = oneshot::channel();
        runtime.spawn(serve(listener, router(fake, settings), async { drop(stopped.await) }));
        Served { memory, address, events, stop: Some(stop), runtime: Some(runtime) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills the node: its connections break.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Lets the node leave in good order.
    pub(crate) fn leave(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Memory {
    pub(crate) fn with_batches() -> Memory {
        let finished = status(FINISHED, 4, 0, 2);
        let running = BatchStatus { state: BatchState::Running, ..status(RUNNING, 20_000, 15_000, 0) };
        let retried = BatchStatus { retry_of: Some(FINISHED), ..status(RETRIED, 2, 0, 0) };
        let batches = [finished, running, retried].map(|status| (status.id, status)).into();
        let results = vec![
            Ok(record(2, Outcome::Done, Exit::Status(0), b"two\n", b"")),
            Ok(record(0, Outcome::Done, Exit::Status(0), b"zero\n", b"warning\n")),
            Ok(record(3, Outcome::Failed, Exit::NotStarted("no such program".into()), b"", b"")),
            Ok(record(1, Outcome::Failed, Exit::Status(7), b"half of", b"\xff\n")),
        ];
        Memory { batches: Mutex::new(batches), results: Mutex::new(results), ..Memory::default() }
    }

    fn known(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.batches.lock().unwrap().get(&id).cloned().ok_or_else(|| Problem::no_such_batch(id))
    }

    fn accept(&self, documents: u32, command: Vec<String>, retry_of: Option<BatchId>) -> Accepted {
        let mut batches = self.batches.lock().unwrap();
        let id = BatchId(0xabc0_0000_0000_0000 + batches.len() as u64);
        let status =
            BatchStatus { command, retry_of, state: BatchState::Running, ..status(id, documents, documents, 0) };
        batches.insert(id, status);
        Accepted { schema: Schema, batch: id, documents, copies: 2, warning: None }
    }
}

fn status(id: BatchId, documents: u32, pending: u32, failed: u32) -> BatchStatus {
    BatchStatus {
        schema: Schema,
        id,
        state: BatchState::Finished,
        submitted_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        command: vec![
            "sh".into(),
            "-c".into(),
            "sha256sum \"$0\" > /srv/sums/\"$(basename \"$0\")\"".into(),
            "{}".into(),
        ],
        documents,
        pending,
        running: pending.min(8),
        done: documents - pending - failed,
        failed,
        cancelled: 0,
        length_pending: u64::from(pending) * 1_000,
        retry_of: None,
    }
}

pub(crate) fn record(
    number: u32,
    outcome: Outcome,
    exit: Exit,
    stdout: &'static [u8],
    stderr: &'static [u8],
) -> ResultRecord {
    let captured = |bytes| Captured { bytes: Bytes::from_static(bytes), dropped: 0 };
    ResultRecord {
        doc: DocId { batch: FINISHED, number: DocNumber(number) },
        epoch: Epoch(3),
        attempt: Attempt(1 + number % 2),
        node: NodeId([if number == 3 { 0x99 } else { 0x11 }; 16]),
        outcome,
        exit,
        started_unix_micros: 1_767_322_245_000_001,
        wall_micros: 1_500_000 + u64::from(number),
        user_micros: 250_000,
        system_micros: 1_000,
        max_rss_bytes: 4 << 20,
        stdout: captured(stdout),
        stderr: captured(stderr),
    }
}

fn node(number: u8, name: &str, state: NodeState) -> NodeStatus {
    NodeStatus {
        id: NodeId([number; 16]),
        name: name.to_owned(),
        generation: Generation(u64::from(number)),
        state,
        is_self: number == 0x11,
        pending: 1_000 * u64::from(number),
        running: 2,
        max_process: 4,
        speed: 1.5,
        level: f64::from(number) * 12.5,
        work: 3.0,
        started: 9,
        duplicates: 0,
        taken_over: 1,
        moved: 2,
        version: "0.1.0".to_owned(),
        address: "10.0.0.1:7116".parse().unwrap(),
        http: None,
    }
}

pub(crate) struct FakeUpload {
    memory: Arc<Memory>,
    header: NewBatch,
    documents: Vec<Document>,
    room: u64,
}

impl Upload for FakeUpload {
    async fn push(&mut self, documents: Vec<Document>) -> Result<(), Problem> {
        self.memory.pushed.fetch_add(documents.len() as u64, SeqCst);
        if self.memory.pushed.load(SeqCst) > self.room {
            std::future::pending::<()>().await;
        }
        self.documents.extend(documents);
        Ok(())
    }

    async fn finish(self) -> Result<Accepted, Problem> {
        if self.room == 0 {
            std::future::pending::<()>().await;
        }
        let accepted = self.memory.accept(self.documents.len() as u32, self.header.command.clone(), None);
        let warning = (self.documents.len() == 1).then(|| "only one copy, since there is only one node".to_owned());
        self.memory.uploads.lock().unwrap().push((self.header, self.documents));
        Ok(Accepted { copies: if warning.is_some() { 1 } else { 2 }, warning, ..accepted })
    }
}

impl Backend for Fake {
    type Upload = FakeUpload;

    async fn begin(&self, header: NewBatch) -> Result<FakeUpload, Problem> {
        self.memory.begun.fetch_add(1, SeqCst);
        if header.command.iter().any(|word| word == "{nothing}") {
            return Err(
                Problem::new(ErrorCode::BadRequest, "unknown placeholder {nothing}").hint("there are {} and {n}")
            );
        }
        Ok(FakeUpload { memory: Arc::clone(&self.memory), header, documents: Vec::new(), room: self.room })
    }

    async fn batch_ids(&self, range: RangeInclusive<BatchId>, limit: usize) -> Result<Vec<BatchId>, Problem> {
        Ok(self.memory.batches.lock().unwrap().range(range).map(|(id, _)| *id).take(limit).collect())
    }

    async fn batches(&self) -> Result<Vec<BatchStatus>, Problem> {
        Ok(self.memory.batches.lock().unwrap().values().cloned().collect())
    }

    /// Each look at a new batch ends one of its documents; those whose payload is `fail` fail.
    async fn batch(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        self.memory.looks.fetch_add(1, SeqCst);
        let mut status = self.memory.known(id)?;
        if id.0 >> 48 == 0xabc0 && status.pending > 0 {
            let ended = (status.documents - status.pending) as usize;
            let failed =
                self.memory.uploads.lock().unwrap().last().is_some_and(|(_, documents)| {
                    documents.get(ended).is_some_and(|document| document.payload == "fail")
                });
            status.pending -= 1;
            status.running = status.pending.min(8);
            *(if failed { &mut status.failed } else { &mut status.done }) += 1;
            if status.pending == 0 {
                status.state = BatchState::Finished;
            }
            self.memory.batches.lock().unwrap().insert(id, status.clone());
        }
        Ok(status)
    }

    async fn results(&self, id: BatchId, wanted: Wanted) -> Result<Results, Problem> {
        self.memory.known(id)?;
        let results = self.memory.results.lock().unwrap().clone();
        let wanted = move |result: &Result<ResultRecord, Problem>| {
            !wanted.failed || result.as_ref().is_ok_and(|record| record.outcome == Outcome::Failed)
        };
        let results = futures_util::stream::iter(results.into_iter().filter(wanted));
        match self.memory.silent.load(SeqCst) {
            true => {
                let memory = Arc::clone(&self.memory);
                let silence = futures_util::stream::poll_fn(move |_| {
                    memory.silences.fetch_add(1, SeqCst);
                    Poll::Pending
                });
                Ok(results.chain(silence).boxed())
            }
            false => Ok(results.boxed()),
        }
    }

    async fn cancel(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        let status = self.memory.known(id)?;
        match status.pending {
            0 => Ok(status),
            _ => {
                self.memory.cancelled.lock().unwrap().push(id);
                Ok(BatchStatus { state: BatchState::Cancelled, ..status })
            }
        }
    }

    async fn remove(&self, id: BatchId) -> Result<BatchStatus, Problem> {
        let status = self.memory.known(id)?;
        match status.pending {
            0 => Ok(status),
            open => Err(Problem::new(ErrorCode::Conflict, format!("batch {id} has {open} documents without outcome"))),
        }
    }

    async fn retry(&self, id: BatchId) -> Result<Accepted, Problem> {
        let BatchStatus { failed, command, .. } = self.memory.known(id)?;
        match failed {
            0 => Err(Problem::new(ErrorCode::Conflict, format!("no document of batch {id} has failed"))),
            _ => Ok(self.memory.accept(failed, command, Some(id))),
        }
    }

    // The client does not ask for these: the page does.

    async fn documents(&self, id: BatchId, _: Listing) -> Result<Documents, Problem> {
        self.memory.known(id)?;
        Ok(Documents { schema: Schema, batch: id, documents: Vec::new(), next: None })
    }

    async fn contents(&self, id: BatchId, from: DocNumber) -> Result<Contents, Problem> {
        let documents = self.memory.known(id)?.documents;
        let digests = (from.0..documents).map(|_| None).collect();
        Ok(Contents { schema: Schema, batch: id, first: from, digests, next: None })
    }

    async fn payload(&self, doc: DocId) -> Result<Bytes, Problem> {
        Err(Problem::no_such_document(doc, self.memory.known(doc.batch)?.documents))
    }

    async fn passages(&self) -> Result<Vec<Passage>, Problem> {
        Ok(Vec::new())
    }

    async fn explain(&self, doc: DocId) -> Result<Explanation, Problem> {
        let documents = self.memory.known(doc.batch)?.documents;
        if doc.number.0 >= documents {
            return Err(Problem::no_such_document(doc, documents));
        }
        let result = record(1, Outcome::Failed, Exit::Status(7), b"half of", b"");
        Ok(Explanation {
            schema: Schema,
            batch: doc.batch,
            document: doc.number,
            length: Some(Length(17)),
            state: DocumentState::Failed,
            node: NodeId([0x11; 16]),
            node_name: Some("here".to_owned()),
            epoch: Epoch(3),
            claimed: true,
            failures: Attempt(2),
            crashes: 0,
            copies: vec![NodeId([0x11; 16]), NodeId([0x22; 16])],
            unanswered: vec![NodeId([0x33; 16])],
            names: vec![
                NodeName { id: NodeId([0x11; 16]), name: "here".to_owned() },
                NodeName { id: NodeId([0x33; 16]), name: "lost\x1b[2J".to_owned() },
            ],
            reason: "both of its attempts failed".to_owned(),
            next_attempt_at: None,
            result: Some(ResultLine::from(&result)),
        })
    }

    async fn nodes(&self) -> Result<Nodes, Problem> {
        let drained = *self.memory.drained.lock().unwrap();
        let mut there = node(0x22, "there", NodeState::Live);
        there.http = *self.memory.other.lock().unwrap();
        if self.memory.alone.load(SeqCst) {
            (there.state, there.pending) = (NodeState::Dead, 0);
        }
        let deadly = self.memory.deadly.load(SeqCst);
        let mut nodes = vec![node(0x11, "here", NodeState::Live), node(0x33, "lost", NodeState::Dead), there];
        for node in &mut nodes {
            if drained == Some(node.id) {
                // The first look finds it draining, the second one gone.
                let looks = self.memory.looks.fetch_add(1, SeqCst);
                let gone = if deadly { NodeState::Dead } else { NodeState::Left };
                node.state = if looks == 0 || node.is_self { NodeState::Draining } else { gone };
                if !deadly {
                    node.pending = 0;
                }
            }
        }
        if deadly && self.memory.looks.load(SeqCst) > 2 {
            nodes[0].taken_over += 34_000;
        }
        let certificate = Some(Certificate { highest: 425.0, mean: 300.0, bound: 320.5, holds: false });
        let equilibrium = Equilibrium { in_equilibrium: false, regret: 112.5, epsilon: 15.0, certificate };
        Ok(Nodes { schema: Schema, nodes, equilibrium })
    }

    async fn drain(&self, node: NodeId) -> Result<(), Problem> {
        self.memory.looks.store(0, SeqCst);
        *self.memory.drained.lock().unwrap() = Some(node);
        Ok(())
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
