//! The daemon: one node, whole. Starts the network, the executor, the stores and the loop, and stops them again.

mod acquaintances;
mod backend;
mod copies;
mod disk;
mod engine;
mod figures;
mod gather;
mod health;
mod home;
mod listing;
mod news;
mod notes;
mod pulse;
mod repair;
mod retention;
mod service;
mod slots;
mod starter;
mod status;
mod surplus;
mod surroundings;
#[cfg(test)]
mod tests;
mod traces;
mod upload;
mod watchdog;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::ids::{BatchId, Generation, Origin};
use evenkeel_core::journal::Gate;
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::settings::Settings;
use evenkeel_core::{Input, Node, Outbox};
use evenkeel_net::records::ResultRecord;
use evenkeel_net::{Keyring, Members, Network, NetworkConfig};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use home::user_of;
pub use surroundings::{OnEnd, Surroundings, ThisMachine};
pub use upload::Submission;
pub use watchdog::Watchdog;

use crate::api::types::{ErrorCode, Problem};
use crate::api::{ApiSettings, EventLog, Token};
use crate::config::{Config, MaxProcess};
use crate::process::{self, Execute};
use crate::store::{Store, StoreOptions};
use crate::telemetry::Telemetry;
use copies::Copies;
use disk::Disk;
use engine::{Engine, Orders, Signals};
use health::Limits;
use home::Home;
use news::{Figures, News};
use notes::Notes;
use pulse::{Ends, Pulse};
use repair::{Occasion, Plan};
use retention::Retention;
use service::Peers;
use slots::Ledger;
use starter::Starter;
use status::Oneself;
use traces::Traces;

/// Time that processes have to end when the node stops at once.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Time that a leaving node has for making second copies. What only it has is not bound by it.
const REPAIR_PATIENCE: Duration = Duration::from_secs(60);

/// Time after which a leaving node asks again whom it could not give the only copy of something.
const REPAIR_PAUSE: Duration = Duration::from_secs(1);

/// Segments of payloads that are fetched for clients at once.
const FETCHING: usize = 2;

/// Bytes of notes after which a journal is written anew, shorter. All of it is read at the next start.
const JOURNAL_BYTES: usize = 32 << 20;

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
    batches: AtomicU64,
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

    /// Refuses what a node that leaves, or whose disk fails, does not take.
    async fn takes(&self) -> Result<(), Problem> {
        self.disk()?;
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

    /// Starts a node in the surroundings of a simulation.
    ///
    /// # Errors
    /// As for [`Daemon::start`].
    pub async fn start_in(options: Options, surroundings: Arc<dyn Surroundings>) -> anyhow::Result<Daemon> {
        let Options { config, keyring, token, http, keep_identity, outcomes, guardian } = options;
        let data_dir = config.node.data_dir_or_default();
        let home = Home::take(data_dir.clone()).await?;
        let (order_sender, order_receiver) = mpsc::unbounded_channel();
        let orders = Orders(order_sender);
        let options = StoreOptions {
            // What lives once is not read again.
            sync: keep_identity && config.store.sync,
            gather: config.store.gather,
            here: surroundings.writes_inline(),
            // Nodes that live once are many in one process.
            cache: if keep_identity { StoreOptions::default().cache } else { 8 << 20 },
            ..StoreOptions::default()
        };
        let telemetry_of_store: Arc<OnceLock<Telemetry>> = Arc::default();
        let watcher = Arc::new(notes::ToLoop { orders: orders.clone(), telemetry: telemetry_of_store.clone() });
        let disk = if keep_identity {
            disk::open(&data_dir, options, watcher).await?
        } else {
            disk::create(&data_dir, options, watcher).await?
        };
        let Disk { key, store, notes, returning } = disk;
        let now = surroundings.unix_micros() / 1000;
        let generation = if keep_identity { home.generation(now)? } else { Generation(now) };
        let me = Origin { node: key.node_id(), generation };
        let name = config.node.name_or_host();
        let telemetry = config.telemetry.otlp.as_deref();
        let telemetry =
            telemetry.map(|url| Telemetry::start(url, config.telemetry.sample, me.node, &name)).transpose()?;
        if let Some(telemetry) = &telemetry {
            // It was empty until now.
            let _ = telemetry_of_store.set(telemetry.clone());
        }

        let listener = match http {
            true => Some(listen_http(config.http.listen).await?),
            false => None,
        };
        let http_address = listener.as_ref().and_then(|listener| listener.local_addr().ok());

        let service = Peers { me: me.node, orders: orders.clone(), store: store.clone() };
        let mut net = NetworkConfig::new(name.clone(), key, generation);
        net.keyring = keyring;
        net.listen = config.network.listen;
        net.advertise = config.network.advertise;
        net.seeds = config.network.seeds.clone();
        if keep_identity {
            net.seeds.extend(acquaintances::remembered(&data_dir));
        }
        let limits = Limits::new(&config, !net.seeds.is_empty());
        net.http = http_address.map(|address| address.to_string());
        net.gossip_interval = config.gossip.interval;
        net.detection = config.gossip.detection;
        net.dead_node_grace = config.gossip.dead_node_grace;
        let network = surroundings.network(net, Arc::new(service)).await?;

        let on_end = orders.clone();
        let settings = process::Settings {
            node: name.clone(),
            nice: i32::try_from(config.processes.nice).unwrap_or(i32::MAX),
            guardian,
            ..process::Settings::default()
        };
        let executor =
            surroundings.executor(settings, Box::new(move |ended| on_end.send(engine::Order::Ended(ended))))?;

        let events = EventLog::new(generation);
        let figures: Arc<Mutex<Figures>> = Arc::default();
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
        let seed = u64::from_le_bytes(seed);
        let settings = Settings { journal_bytes: keep_identity.then_some(JOURNAL_BYTES), ..config.core_settings() };
        let mut out = Outbox::new();
        let next_note = notes.last().map_or(0, |(number, _)| number + 1);
        // One without notes may have been in a cluster all the same, and been given something that it did not live to note.
        let node = if notes.is_empty() {
            Node::new(me, settings, returning, seed)
        } else {
            Node::recover(me, settings, seed, notes, &mut out)
        };
        let ends = disk::untold_ends(&node, &store.results);
        let found = (!ends.is_empty()).then(|| {
            tracing::info!("results are on the disk whose documents had not ended for this node");
            let message = Message::Ahead { generation, reason: Reason::Result, changes: ends };
            Input::Received { from: me.node, message }
        });
        let (changed_sender, changed) = watch::channel(0);
        let (leave_sender, leave) = watch::channel(None);
        let pulse = Arc::new(Pulse::new());
        pulse.has_slots(config.node.first_slots());
        let copies = config.documents.copies.max(1) as usize;
        let born = Instant::now();
        let auto = match config.node.max_process {
            MaxProcess::Fixed(_) => None,
            MaxProcess::Auto => surroundings.gauge().map(|gauge| (gauge, Arc::new(Ledger::new(born)))),
        };
        let engine = Engine {
            starter: Starter::new(executor.clone(), network.clone(), store.payloads.clone(), orders.clone()),
            copies: Copies::new(
                &node,
                copies,
                network.clone(),
                store.clone(),
                orders.clone(),
                // One that has just come to be holds nothing that others could be missing.
                if returning { config.gossip.detection } else { Duration::ZERO },
            ),
            node,
            out,
            found,
            gate: Gate::new(next_note),
            journal: Notes(store.clone()),
            born,
            orders: order_receiver,
            members: network.members(),
            network: network.clone(),
            news: News::new(events.clone(), figures.clone()),
            ledger: auto.as_ref().map(|(_, ledger)| ledger.clone()),
            signals: Signals { changed: changed_sender, leave: leave_sender, outcomes },
            surroundings: surroundings.clone(),
            ended: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            pulse: Ends(pulse.clone()),
            traces: telemetry.clone().map(Traces::new),
        };
        let plan = engine.copies.plan();
        let engine = tokio::spawn(engine.run());
        let slots = auto.map(|(gauge, ledger)| {
            let (start, most) = (config.node.first_slots(), config.node.max_process_limit);
            tokio::spawn(slots::control(gauge, ledger, orders.clone(), start, most))
        });
        let acquaintances =
            keep_identity.then(|| tokio::spawn(acquaintances::note(data_dir.clone(), network.members())));
        let retention = keep_identity.then(|| {
            let (directory, keep) = (data_dir.clone(), config.store.keep);
            tokio::spawn(Retention { directory, keep, store: store.clone(), orders: orders.clone() }.watch())
        });

        let version = env!("CARGO_PKG_VERSION").to_owned();
        let oneself = Oneself { name, version, address: network.advertised_addr(), http: http_address };
        let inner = Arc::new(Inner {
            me,
            oneself,
            orders,
            network,
            store,
            executor,
            surroundings,
            plan,
            events,
            figures,
            changed,
            leave,
            pulse,
            limits,
            telemetry,
            target_drain: config.autoscale.target_drain,
            batch_defaults: config.batch_defaults(),
            capture_max: config.processes.capture_max,
            gossip_interval: config.gossip.interval,
            fetching: Semaphore::new(FETCHING),
            batches: AtomicU64::new(0),
            data_dir,
        });
        let daemon = Daemon { inner, tasks: Arc::default() };
        let aside = [acquaintances, retention, slots].into_iter().flatten().collect();
        *daemon.tasks() = Tasks { engine: Some(engine), aside, http: None, home: Some(home) };
        if let Some(listener) = listener {
            daemon.serve(listener, &config, token);
        }
        Ok(daemon)
    }

    fn serve(&self, listener: tokio::net::TcpListener, config: &Config, token: Option<Token>) {
        let settings = ApiSettings::new(config, token);
        let router = crate::api::router(Arc::new(self.clone()), settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // An error means that the daemon is gone, which is as good.
            let _ = stopped.await;
        };
        let task = tokio::spawn(crate::api::serve(listener, router, stopped));
        self.tasks().http = Some((stop, task));
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

async fn listen_http(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} (TCP, HTTP API); is another node running there? Choose another with --http")
    })
}
