//! Gossip: chitchat over the node's QUIC connections, on the network's own thread.
//!
//! chitchat spreads a handful of keys per node and their heartbeats; who is live is decided by the [`Roll`]. Its
//! messages travel in short streams. A peer that is slow or gone costs its own messages and nobody else's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat};
use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_core::load::Load;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::NetworkConfig;
use crate::gossip_transport::GossipTransport;
use crate::members::Members;
use crate::roll::{Roll, Says, Sighting};
use crate::streams::Inbound;
use crate::traffic::Rounds;
use crate::wire::check_load;

/// All clusters are called this: it is the secret that keeps them apart.
const CLUSTER: &str = "evenkeel";

/// The keys that a node says.
const NAME: &str = "name";
const VERSION: &str = "version";
const HTTP: &str = "http";
const LOAD: &str = "load";
const LOW: &str = "low";
const LEFT: &str = "left";

/// Looks at the gossiped state in one gossip interval: changes of several nodes between two looks are seen as one.
const LOOKS: u32 = 4;

/// chitchat's generations are ours with this many bits below them for incarnations of gossip within one run.
const INCARNATION_BITS: u32 = 8;

/// The largest generation that leaves room for incarnations.
pub(crate) const MAX_GENERATION: Generation = Generation(u64::MAX >> INCARNATION_BITS);

/// The gossip of one node.
pub(crate) struct Gossip {
    node: NodeId,
    generation: Generation,
    address: SocketAddr,
    listen: SocketAddr,
    interval: Duration,
    detection: Duration,
    dead_node_grace: Duration,
    says: Vec<(String, String)>,
    transport: GossipTransport,
    inbound: Arc<Inbound>,
    rounds: Arc<Rounds>,
    load: watch::Receiver<Option<Load>>,
    low: watch::Receiver<bool>,
    members: watch::Sender<Arc<Members>>,
    /// The present incarnation of chitchat, for those who prompt it.
    handle: watch::Sender<Option<Arc<ChitchatHandle>>>,
}

/// Ends of the channels between gossip and the rest of the network.
pub(crate) struct GossipChannels {
    pub(crate) load: watch::Receiver<Option<Load>>,
    pub(crate) low: watch::Receiver<bool>,
    pub(crate) members: watch::Sender<Arc<Members>>,
    pub(crate) handle: watch::Sender<Option<Arc<ChitchatHandle>>>,
}

impl Gossip {
    pub(crate) fn new(
        config: &NetworkConfig,
        address: SocketAddr,
        transport: GossipTransport,
        inbound: Arc<Inbound>,
        rounds: Arc<Rounds>,
        channels: GossipChannels,
    ) -> Gossip {
        let mut says = vec![(NAME.to_owned(), config.name.clone()), (VERSION.to_owned(), config.version.clone())];
        says.extend(config.http.clone().map(|http| (HTTP.to_owned(), http)));
        Gossip {
            node: config.key.node_id(),
            generation: config.generation,
            address,
            listen: config.listen,
            interval: config.gossip_interval,
            detection: config.detection,
            dead_node_grace: config.dead_node_grace,
            says,
            transport,
            inbound,
            rounds,
            load: channels.load,
            low: channels.low,
            members: channels.members,
            handle: channels.handle,
        }
    }

    /// Gossips until told to leave; answers once the others have been told.
    pub(crate) async fn run(mut self, mut leave: oneshot::Receiver<oneshot::Sender<()>>) {
        let mut roll = Roll::new(self.detection, Instant::now());
        for incarnation in 0.. {
            let handle =
                match spawn_chitchat(self.chitchat_config(incarnation), self.first_words(), &self.transport).await {
                    Ok(handle) => Arc::new(handle),
                    Err(error) => {
                        tracing::error!(%error, "gossip did not start; trying again");
                        tokio::time::sleep(self.interval).await;
                        continue;
                    }
                };
            self.handle.send_replace(Some(handle.clone()));
            tokio::select! {
                left = &mut leave => {
                    self.say_goodbye(&handle).await;
                    if let Ok(left) = left {
                        let _ = left.send(());
                    }
                    self.handle.send_replace(None);
                    return;
                }
                () = self.follow(&handle, &mut roll) => {}
                // Should a peer's message be one that chitchat cannot bear, it starts anew; the node lives on.
                ended = handle.termination_watcher() => {
                    tracing::error!(reason = ?ended.err(), "gossip broke off; starting it anew");
                    tokio::time::sleep(self.interval).await;
                }
            }
        }
    }

    fn chitchat_config(&self, incarnation: u64) -> ChitchatConfig {
        let last = (1 << INCARNATION_BITS) - 1;
        let generation = self.generation.0 << INCARNATION_BITS | incarnation.min(last);
        // chitchat's own judgement only chooses whom it gossips with. It measures silence in mean intervals between
        // heartbeats; with one sample that counts a sixth and a mean of `interval` before it, that mean stays near it.
        let failure_detector_config = FailureDetectorConfig {
            phi_threshold: self.detection.as_secs_f64() / self.interval.as_secs_f64(),
            sampling_window_size: 1,
            max_interval: self.interval * 2,
            initial_interval: self.interval,
            dead_node_grace_period: self.dead_node_grace,
        };
        ChitchatConfig {
            chitchat_id: ChitchatId::new(self.node.to_string(), generation, self.address),
            cluster_id: CLUSTER.to_owned(),
            gossip_interval: self.interval,
            listen_addr: self.listen,
            // Seeds are pursued elsewhere, where it is known whether they can be reached.
            seed_nodes: Vec::new(),
            failure_detector_config,
            // No key is ever deleted.
            marked_for_deletion_grace_period: self.dead_node_grace,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }

    fn first_words(&self) -> Vec<(String, String)> {
        let load = self.load.borrow().as_ref().and_then(encode_load);
        let low = (LOW.to_owned(), self.low.borrow().to_string());
        self.says.iter().cloned().chain(load.map(|load| (LOAD.to_owned(), load))).chain([low]).collect()
    }

    /// Keeps the members up to date with what gossip brings, and gossip with this node's load. Does not end.
    async fn follow(&mut self, handle: &ChitchatHandle, roll: &mut Roll) {
        let mut look = tokio::time::interval(self.interval / LOOKS);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks: u32 = 0;
        let mut drains = self.load.borrow().as_ref().map(|load| load.draining);
        let mut loads = self.load.clone();
        let mut heartbeat = 0;
        loop {
            tokio::select! {
                _ = look.tick() => {
                    looks = looks.wrapping_add(1);
                    let beat = self.call_roll(handle, roll).await;
                    if std::mem::replace(&mut heartbeat, beat) != beat {
                        self.rounds.note();
                    }
                    if looks.is_multiple_of(LOOKS) {
                        self.say_load(handle).await;
                        self.say_low(handle).await;
                    }
                }
                // Without a load a node gets no work, and one that drains gets some until the others know: both are urgent.
                Ok(now) = wait_for_news(&mut loads, drains) => {
                    drains = now;
                    self.say_load(handle).await;
                    self.gossip_with_all(handle);
                }
            }
        }
    }

    /// Returns the node's own heartbeat, which chitchat raises in every round.
    async fn call_roll(&self, handle: &ChitchatHandle, roll: &mut Roll) -> u64 {
        let spoke = self.inbound.heard.take();
        let (members, heartbeat) = {
            let chitchat = handle.chitchat();
            let chitchat = chitchat.lock().await;
            let now = Instant::now();
            let own = chitchat.node_state(chitchat.self_chitchat_id());
            let heartbeat = own.map_or(0, |own| u64::from(own.heartbeat()));
            let sightings = chitchat.node_states().iter().filter_map(|(id, state)| sighting(id, state));
            roll.call(now, sightings.filter(|sighting| sighting.node != self.node), &spoke);
            (roll.members(now), heartbeat)
        };
        self.members.send_if_modified(|current| {
            let changed = **current != members;
            if changed {
                *current = Arc::new(members);
            }
            changed
        });
        heartbeat
    }

    async fn say_load(&mut self, handle: &ChitchatHandle) {
        if !self.load.has_changed().unwrap_or(false) {
            return;
        }
        let load = self.load.borrow_and_update().as_ref().and_then(encode_load);
        if let Some(load) = load {
            handle.chitchat().lock().await.self_node_state().set(LOAD, load);
        }
    }

    async fn say_low(&mut self, handle: &ChitchatHandle) {
        if self.low.has_changed().unwrap_or(false) {
            let low = self.low.borrow_and_update().to_string();
            handle.chitchat().lock().await.self_node_state().set(LOW, low);
        }
    }

    fn gossip_with_all(&self, handle: &ChitchatHandle) {
        for member in self.members.borrow().live.values() {
            // It fails if chitchat has ended, and then it is started anew.
            let _ = handle.gossip(member.address);
        }
    }

    async fn say_goodbye(&self, handle: &ChitchatHandle) {
        handle.chitchat().lock().await.self_node_state().set(LEFT, "true");
        if self.members.borrow().live.is_empty() {
            return;
        }
        self.gossip_with_all(handle);
        // A round takes three messages. Whoever does not get them hears it from the others.
        tokio::time::sleep(self.interval.clamp(Duration::from_millis(50), Duration::from_millis(500))).await;
    }
}

/// Waits until there is a load for the first time, or one that says otherwise whether the node drains.
async fn wait_for_news(
    loads: &mut watch::Receiver<Option<Load>>,
    drains: Option<bool>,
) -> Result<Option<bool>, watch::error::RecvError> {
    let now = |load: &Option<Load>| load.as_ref().map(|load| load.draining);
    Ok(now(&*loads.wait_for(|load| now(load) != drains).await?))
}

fn encode_load(load: &Load) -> Option<String> {
    match serde_json::to_string(load) {
        Ok(text) => Some(text),
        Err(error) => {
            tracing::error!(%error, "this node's load cannot be written");
            None
        }
    }
}

/// What chitchat knows of a node; `None` if it is no node of ours.
fn sighting<'a>(id: &ChitchatId, state: &'a NodeState) -> Option<Sighting<'a>> {
    Some(Sighting {
        node: id.node_id.parse().ok()?,
        generation: Generation(id.generation_id >> INCARNATION_BITS),
        incarnation: id.generation_id,
        address: id.gossip_advertise_addr,
        heartbeat: u64::from(state.heartbeat()),
        version: state.max_version(),
        says: state,
    })
}

impl Says for NodeState {
    fn name(&self) -> Option<String> {
        self.get(NAME).map(str::to_owned)
    }

    fn version(&self) -> String {
        self.get(VERSION).unwrap_or_default().to_owned()
    }

    fn http(&self) -> Option<String> {
        self.get(HTTP).map(str::to_owned)
    }

    fn load(&self) -> Option<Load> {
        let load = serde_json::from_str(self.get(LOAD)?).ok()?;
        check_load(&load).is_ok().then_some(load)
    }

    fn low(&self) -> bool {
        self.get(LOW) == Some("true")
    }

    fn left(&self) -> bool {
        self.get(LEFT).is_some()
    }
}
