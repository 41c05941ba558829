//! The daemon: one node, whole, as whoever started it holds it: asks it things, lets it leave, and stops it. How it comes to run
//! is in `start.rs`.

mod acquaintances;
mod backend;
mod contents;
mod copies;
mod disk;
mod engine;
mod explain;
mod figures;
mod gather;
mod heal;
mod health;
mod home;
mod listing;
mod news;
mod notes;
mod pulse;
mod repair;
mod retention;
mod room;
mod service;
mod slots;
mod start;
mod starter;
mod status;
mod surplus;
mod surroundings;
#[cfg(test)]
mod tests;
mod traces;
mod upload;
mod watchdog;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::ids::{BatchId, Origin};
use evenkeel_core::{Input, Node};
use evenkeel_net::records::ResultRecord;
use evenkeel_net::{Keyring, Members, Network};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use home::user_of;
pub use surroundings::{OnEnd, Surroundings, ThisMachine};
pub use upload::Submission;
pub use watchdog::Watchdog;

use crate::api::types::{ErrorCode, Problem};
use crate::api::{EventLog, Token};
use crate::config::Config;
use crate::process::Execute;
use crate::store::Store;
use crate::telemetry::Telemetry;
use engine::Orders;
use health::Limits;
use home::Home;
use news::Figures;
use pulse::Pulse;
use repair::{Occasion, Plan};
use room::Room;
use status::Oneself;

/// Time that processes have to end when the node stops at once.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Time that a leaving node has for making second copies. What only it has is not bound by it.
const REPAIR_PATIENCE: Duration = Duration::from_secs(60);

/// Time after which a leaving node asks again whom it could not give the only copy of something.
const REPAIR_PAUSE: Duration = Duration::from_secs(1);

/// What a daemon is started with.
#[derive(Debug)]
pub struct Options {
    /// Its configuration, checked.
    pub config: Config,
    /// The cluster's secrets; `None`: none, and only loopback.
    pub keyring: Option<Keyring>,
    /// The HTTP API's token.
    pub token: Option<Token>,
    /// Serve the HTTP API.
    pub http: bool,
    /// Keep the node's key and its journal in its data directory, so that it is the same node after a restart.
    pub keep_identity: bool,
    /// Send every result whose outcome this node writes.
    pub outcomes: Option<mpsc::UnboundedSender<ResultRecord>>,
    /// The command of the guardian; `None`: processes outlive a node that is killed.
    pub guardian: Option<Vec<std::ffi::OsString>>,
}

/// What the parts of a daemon share.
pub struct Inner {
    me: Origin,
    oneself: Oneself,
    orders: Orders,
    network: Network,
    store: Store,
    executor: Arc<dyn Execute>,
    surroundings: Arc<dyn Surroundings>,
    plan: Plan,
    events: Arc<EventLog>,
    figures: Arc<Mutex<Figures>>,
    changed: watch::Receiver<u64>,
    leave: watch::Receiver<Option<u64>>,
    pulse: Arc<Pulse>,
    telemetry: Option<Telemetry>,
    limits: Limits,
    target_drain: Duration,
    batch_defaults: BatchOptions,
    capture_max: u64,
    gossip_interval: Duration,
    /// Segments that may be fetched for clients at once.
    fetching: Semaphore,
    /// One permit for each page of digests that is being made.
    digesting: Semaphore,
    batches: AtomicU64,
    room: Arc<Room>,
    data_dir: PathBuf,
}

impl Inner {
    /// Asks the core something.
    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Node) -> T + Send + 'static) -> Result<T, Problem> {
        let stopping = || Problem::new(ErrorCode::Unavailable, "this node is stopping").hint("ask another node");
        self.orders.ask(question).await.ok_or_else(stopping)
    }

    fn figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses what a node that leaves, or whose disk fails or is nearly full, does not take.
    async fn takes(&self) -> Result<(), Problem> {
        self.disk()?;
        self.room.takes().await?;
        if self.ask(Node::is_draining).await? {
            return Err(Problem::new(ErrorCode::Unavailable, "this node is draining").hint("ask another node"));
        }
        Ok(())
    }

    /// An id that no other submission has: a hash of the node, its generation and a counter.
    fn new_batch_id(&self) -> BatchId {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_derive_key("evenkeel batch id 1");
        hasher.update(&self.me.node.0);
        hasher.update(&self.me.generation.0.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        let hash = hasher.finalize();
        let first: [u8; 8] = hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes");
        BatchId(u64::from_le_bytes(first))
    }
}

/// A running node. Clones are handles of the same one.
#[derive(Clone)]
pub struct Daemon {
    inner: Arc<Inner>,
    tasks: Arc<Mutex<Tasks>>,
}

#[derive(Default)]
struct Tasks {
    engine: Option<JoinHandle<()>>,
    /// What looks after something beside the loop.
    aside: Vec<JoinHandle<()>>,
    http: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    home: Option<Home>,
}

impl Daemon {
    /// Starts a node on this machine.
    ///
    /// # Errors
    /// If a port is in use, the data directory cannot be written, or anything else it needs is not to be had; nothing is
    /// left running.
    pub async fn start(options: Options) -> anyhow::Result<Daemon> {
        Daemon::start_in(options, Arc::new(ThisMachine)).await
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This run of this node.
    pub fn me(&self) -> Origin {
        self.inner.me
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.oneself.name
    }

    /// Where its peers reach it.
    pub fn address(&self) -> SocketAddr {
        self.inner.network.advertised_addr()
    }

    /// Where its HTTP API is.
    pub fn http(&self) -> Option<SocketAddr> {
        self.inner.oneself.http
    }

    /// Where its files are.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.inner.data_dir
    }

    /// Waits until the state is so, or the node has stopped.
    pub async fn wait_until(&self, condition: impl Fn(&Node) -> bool + Clone + Send + 'static) {
        let mut changed = self.inner.changed.clone();
        loop {
            changed.mark_unchanged();
            if self.ask(condition.clone()).await.is_none_or(|holds| holds) || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The other nodes.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.inner.network.members()
    }

    /// Asks the core something; `None` if the node has stopped.
    pub async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Node) -> T + Send + 'static) -> Option<T> {
        self.inner.orders.ask(question).await
    }

    /// A batch to be filled, without the limits of the HTTP API.
    pub fn submission(&self, command: Vec<String>, options: BatchOptions) -> Submission {
        Submission::new(self.inner.clone(), command, options, None)
    }

    /// Gives everything away and waits until that is done: documents, and the only copies of payloads and results.
    /// Returns the number of documents that nobody could be given to.
    ///
    /// # Errors
    /// As for [`Daemon::left`].
    pub async fn drain(&self) -> anyhow::Result<u64> {
        self.inner.orders.input(Input::Drain(self.inner.me));
        self.left().await
    }

    /// Waits until this node has given everything away, at its own or somebody else's request.
    ///
    /// # Errors
    /// If its loop has ended without that: by a defect, or because the node was stopped.
    pub async fn left(&self) -> anyhow::Result<u64> {
        let mut leave = self.inner.leave.clone();
        let left_behind = leave.wait_for(Option::is_some).await.map(|left_behind| left_behind.unwrap_or(0));
        let left_behind = left_behind.context("the node's loop has broken off; its heirs will claim what it had")?;
        self.hand_on_sole_copies().await;
        if let Some(repair) = self.plan_repair(Occasion::Leaving).await
            && !matches!(tokio::time::timeout(REPAIR_PATIENCE, repair.run()).await, Ok(true))
        {
            tracing::warn!("leaving before everything that this node holds had all its copies elsewhere");
        }
        Ok(left_behind)
    }

    /// Gives everything that nobody else has to somebody, however long that takes, as long as there is anybody to ask.
    async fn hand_on_sole_copies(&self) {
        while let Some(repair) = self.plan_repair(Occasion::LeavingSole).await
            && !repair.is_empty()
        {
            tracing::info!(items = repair.len(), "handing on what only this node has");
            if repair.run().await {
                return;
            }
            tokio::time::sleep(REPAIR_PAUSE).await;
        }
    }

    async fn plan_repair(&self, occasion: Occasion) -> Option<repair::Repair> {
        let plan = self.inner.plan.clone();
        self.ask(move |node| plan.repair(occasion, node)).await
    }

    /// Stops at once: ends the loop, kills processes, tells the others, ends all other tasks.
    pub async fn stop(&self) {
        let (http, engine, aside) = {
            let mut tasks = self.tasks();
            (tasks.http.take(), tasks.engine.take(), std::mem::take(&mut tasks.aside))
        };
        aside.into_iter().for_each(|task| task.abort());
        // Before the processes: killed by their own node, they have not failed. Their heirs will run these documents.
        if let Some(engine) = engine {
            engine.abort();
            let _ = engine.await;
        }
        self.inner.executor.stop_all(STOP_GRACE).await;
        if let Some((stop, task)) = http {
            drop(stop);
            let _ = task.await;
        }
        self.inner.network.shutdown().await;
        if let Some(telemetry) = self.inner.telemetry.clone()
            && tokio::task::spawn_blocking(move || telemetry.stop()).await.is_err()
        {
            tracing::error!("the last traces were not sent");
        }
        let store = self.inner.store.clone();
        if self.inner.surroundings.writes_inline() {
            store.close();
        } else if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store was not closed");
        }
        // Last: the next node here must find nothing of this one at work.
        self.tasks().home = None;
    }
}
