//! From what a daemon is told and finds to one that runs: disk, network, executor, core, loop, and what looks after something
//! beside the loop, in the order in which each needs the one before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::Context;
use evenkeel_core::ids::{Generation, Origin};
use evenkeel_core::journal::Gate;
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::settings::Settings;
use evenkeel_core::{Input, Node, Outbox};
use evenkeel_net::NetworkConfig;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::copies::Copies;
use super::disk::Disk;
use super::engine::{Engine, Orders, Signals};
use super::heal::Healer;
use super::health::Limits;
use super::home::Home;
use super::news::{Figures, News};
use super::notes::Notes;
use super::pulse::{Ends, Pulse};
use super::retention::Retention;
use super::room::Room;
use super::service::Peers;
use super::slots::Ledger;
use super::starter::Starter;
use super::status::Oneself;
use super::traces::Traces;
use super::{Daemon, Inner, Options, Surroundings, Tasks, acquaintances, disk, engine, notes, room, slots};
use crate::api::{ApiSettings, EventLog, Token};
use crate::config::{Config, MaxProcess};
use crate::process;
use crate::store::StoreOptions;
use crate::telemetry::Telemetry;

/// Name of the file that says which processes run.
const CHILDREN: &str = "children";

/// Segments of payloads that are fetched for clients at once.
const FETCHING: usize = 2;

/// Pages of digests that are made at once: each reads a segment, and may have all of it in memory.
const DIGESTING: usize = 2;

/// Bytes of notes after which a journal is written anew, shorter. All of it is read at the next start.
const JOURNAL_BYTES: usize = 32 << 20;

impl Daemon {
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
        let options = store_options(&config, keep_identity, surroundings.writes_inline());
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

        // Before the network: as long as an earlier run's documents live, this node must not take part.
        let on_end = orders.clone();
        let settings = process::Settings {
            node: name.clone(),
            nice: i32::try_from(config.processes.nice).unwrap_or(i32::MAX),
            guardian,
            journal: keep_identity.then(|| data_dir.join(CHILDREN)),
            ..process::Settings::default()
        };
        let executor =
            surroundings.executor(settings, Box::new(move |ended| on_end.send(engine::Order::Ended(ended))))?;

        let service = Peers { me: me.node, orders: orders.clone(), store: store.clone() };
        let mut net = network_config(&config, NetworkConfig::new(name.clone(), key, generation));
        net.keyring = keyring;
        net.http = http_address.map(|address| address.to_string());
        if keep_identity {
            net.seeds.extend(acquaintances::remembered(&data_dir));
        }
        let limits = Limits::new(&config, !net.seeds.is_empty());
        let network = surroundings.network(net, Arc::new(service)).await?;

        let events = EventLog::new(generation);
        let figures: Arc<Mutex<Figures>> = Arc::default();
        let seed = seed()?;
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

        // What lives once has nobody else to send its batches to. In a simulation nobody knows how full a disk is.
        let watches = keep_identity && surroundings.room(&data_dir).is_some();
        let low_water = if watches { config.store.low_water } else { 0 };
        let room = Arc::new(Room::new(data_dir.clone(), surroundings.clone(), low_water));
        let watching = (low_water > 0).then(|| tokio::spawn(room::watch(room.clone(), network.clone())));

        let healer = Healer { me: me.node, network: network.clone(), store: store.clone() };
        let healing = Some(tokio::spawn(healer.watch()));

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
            digesting: Semaphore::new(DIGESTING),
            batches: AtomicU64::new(0),
            room,
            data_dir,
        });
        let daemon = Daemon { inner, tasks: Arc::default() };
        let aside = [acquaintances, healing, retention, slots, watching].into_iter().flatten().collect();
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
}

fn store_options(config: &Config, keep_identity: bool, inline: bool) -> StoreOptions {
    StoreOptions {
        // What lives once is not read again.
        sync: keep_identity && config.store.sync,
        gather: config.store.gather,
        here: inline,
        // Nodes that live once are many in one process.
        cache: if keep_identity { StoreOptions::default().cache } else { 8 << 20 },
        ..StoreOptions::default()
    }
}

fn network_config(config: &Config, net: NetworkConfig) -> NetworkConfig {
    NetworkConfig {
        listen: config.network.listen,
        advertise: config.network.advertise,
        seeds: config.network.seeds.clone(),
        gossip_interval: config.gossip.interval,
        detection: config.gossip.detection,
        dead_node_grace: config.gossip.dead_node_grace,
        ..net
    }
}

/// What settles a node's jitter, and its choices among equals.
fn seed() -> anyhow::Result<u64> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(u64::from_le_bytes(seed))
}

async fn listen_http(address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} (TCP, HTTP API); is another node running there? Choose another with --http")
    })
}
