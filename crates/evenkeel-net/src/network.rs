//! The network of one node, as the rest of the program sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_core::load::Load;
use evenkeel_core::message::Message;
use quinn::{AsyncUdpSocket, Endpoint};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::answer::Answerer;
use crate::ask::Asker;
use crate::config::NetworkConfig;
use crate::endpoint;
use crate::error::{RequestError, StartError};
use crate::gossip::{Gossip, GossipChannels, MAX_GENERATION};
use crate::gossip_transport::GossipTransport;
use crate::ground::{Ended, Ground};
use crate::lanes::Lanes;
use crate::lists::{Lists, Reading};
use crate::members::Members;
use crate::peers::{CLOSE_LEAVING, Peers};
use crate::records::{Payload, ResultRecord, SegmentId};
use crate::refusals::Refusals;
use crate::seeds::{self, Pursuit};
use crate::service::{PutResults, Service};
use crate::streams::{Heard, Inbound};
use crate::tls::Tls;
use crate::traffic::{Counters, Rounds, Traffic};

/// Gossip messages that wait for chitchat.
const GOSSIP_INBOX: usize = 256;

/// Time that peers get to learn of the end of their connections.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A running network. Clones are handles of the same one; it stops with the last of them, or by [`Network::shutdown`].
#[derive(Clone)]
pub struct Network(Arc<Running>);

struct Running {
    node: NodeId,
    local: SocketAddr,
    advertised: SocketAddr,
    members: watch::Receiver<Arc<Members>>,
    load: watch::Sender<Option<Load>>,
    low: watch::Sender<bool>,
    lanes: Arc<Lanes>,
    asker: Asker,
    counters: Arc<Counters>,
    rounds: Arc<Rounds>,
    refusals: Arc<Refusals>,
    endpoint: Endpoint,
    main: Mutex<Option<Main>>,
}

/// The task from which all others of the network come.
struct Main {
    leave: oneshot::Sender<oneshot::Sender<()>>,
    stop: oneshot::Sender<()>,
    ended: Ended,
}

impl Network {
    /// Starts the network. Must be called within a tokio runtime; the service is called there.
    pub async fn start(config: NetworkConfig, service: Arc<dyn Service>) -> Result<Network, StartError> {
        check(&config)?;
        let ground = Ground::of_the_system(config.listen)?;
        Network::open(config, service, ground).await
    }

    /// Starts the network on a socket that is not the system's, and on the runtime that this is called in: a simulated
    /// host has one, whose time is the simulation's. Where `config.listen` is any address, `config.advertise` must say
    /// what the others are to dial, since the system cannot be asked for it.
    pub async fn start_on(
        socket: Arc<dyn AsyncUdpSocket>,
        config: NetworkConfig,
        service: Arc<dyn Service>,
    ) -> Result<Network, StartError> {
        check(&config)?;
        Network::open(config, service, Ground::here(socket)).await
    }

    async fn open(config: NetworkConfig, service: Arc<dyn Service>, ground: Ground) -> Result<Network, StartError> {
        let local = ground.socket.local_addr().map_err(|source| StartError::Bind { listen: config.listen, source })?;
        let advertised = advertised(&config, local).await?;
        let tls = Tls::new(&config.key, config.keyring.as_ref())?;

        let counters = Arc::new(Counters::default());
        let refusals = Arc::new(Refusals::default());
        let endpoint = endpoint::open(&config, &ground, &tls, &counters, &refusals)?;

        let node = config.key.node_id();
        let (members_out, members) = watch::channel(Arc::default());
        let (load, load_in) = watch::channel(None);
        let (low, low_in) = watch::channel(false);
        let (handle_out, handle) = watch::channel(None);
        let (arrivals, mut arrived) = mpsc::unbounded_channel();
        let (gossip_in, gossip_inbox) = mpsc::channel(GOSSIP_INBOX);
        let client = endpoint::client_config(&tls, config.detection);
        let peers = Arc::new(Peers::new(node, endpoint.clone(), client, members.clone(), refusals.clone(), arrivals));
        let answerer =
            Answerer::new(service.clone(), refusals.clone(), config.request_timeout, config.max_segment_bytes);
        let inbound = Arc::new(Inbound {
            service,
            runtime: Handle::current(),
            gossip: gossip_in,
            heard: Heard::default(),
            counters: counters.clone(),
            refusals: refusals.clone(),
            answerer: Arc::new(answerer),
        });
        let transport = GossipTransport::new(gossip_inbox, peers.clone(), counters.clone());
        let rounds = Arc::new(Rounds::new());
        let channels = GossipChannels { load: load_in, low: low_in, members: members_out, handle: handle_out };
        let gossip = Gossip::new(&config, advertised, transport, inbound.clone(), rounds.clone(), channels);
        let pursuit = Pursuit {
            peers: peers.clone(),
            members: members.clone(),
            gossip: handle,
            interval: config.gossip_interval,
            own: advertised,
            resolve: seeds::resolve,
        };

        let (leave, leaving) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let accepting = peers.clone();
        let seeds = config.seeds.clone();
        let ended = ground.run(async move {
            // They end with it, wherever it runs.
            let mut tasks = JoinSet::new();
            tasks.spawn(accepting.clone().accept());
            tasks.spawn(async move {
                while let Some(link) = arrived.recv().await {
                    tokio::spawn(inbound.clone().listen(link, accepting.clone()));
                }
            });
            for seed in seeds {
                tasks.spawn(pursuit.clone().run(seed));
            }
            tasks.spawn(gossip.run(leaving));
            // An error means that the last handle was dropped: the network stops then as well.
            let _ = stopped.await;
        })?;

        tracing::info!(%node, listen = %local, advertise = %advertised, "network started");
        let lanes = Lanes::new(peers.clone(), counters.clone(), Handle::current());
        let asker = Asker { peers, patience: config.request_timeout, max_segment_bytes: config.max_segment_bytes };
        Ok(Network(Arc::new(Running {
            node,
            local,
            advertised,
            members,
            load,
            low,
            lanes,
            asker,
            counters,
            rounds,
            refusals,
            endpoint,
            main: Mutex::new(Some(Main { leave, stop, ended })),
        })))
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.0.node
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// What the others dial.
    pub fn advertised_addr(&self) -> SocketAddr {
        self.0.advertised
    }

    /// The other nodes, as they change. Changes that follow each other closely are seen as one.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.0.members.clone()
    }

    /// Tells the others this node's load: with the next round of gossip, and at once when it starts draining.
    pub fn publish(&self, load: Load) {
        self.0.load.send_if_modified(|current| {
            let changed = current.as_ref() != Some(&load);
            if changed {
                *current = Some(load);
            }
            changed
        });
    }

    /// Sends a message. Never waits: what cannot be sent is dropped and counted. Messages of one lane arrive in order,
    /// those of pulls and their answers in one, those of transfers in the other.
    pub fn send(&self, to: NodeId, message: &Message) {
        self.0.lanes.send(to, message);
    }

    /// Tells the others, with the next round of gossip, whether this node's disk is short of room.
    pub fn say_low(&self, low: bool) {
        self.0.low.send_if_modified(|said| std::mem::replace(said, low) != low);
    }

    /// Stores the payloads of a segment at a peer. `Ok`: it has them. May be repeated.
    pub async fn put_payloads(
        &self,
        to: NodeId,
        segment: SegmentId,
        holders: &[NodeId],
        payloads: &[Payload],
    ) -> Result<(), RequestError> {
        self.0.asker.put_payloads(to, segment, holders, payloads).await
    }

    /// Fetches the payloads of a segment; `None` if the peer does not hold it.
    pub async fn get_payloads(&self, from: NodeId, segment: SegmentId) -> Result<Option<Vec<Payload>>, RequestError> {
        self.0.asker.get_payloads(from, segment).await
    }

    /// Stores results at a peer. `Ok`: it has them all. May be repeated.
    pub async fn put_results(
        &self,
        to: NodeId,
        header: PutResults,
        results: &[ResultRecord],
    ) -> Result<(), RequestError> {
        self.0.asker.put_results(to, header, results).await
    }

    /// Fetches results: those wanted that the peer holds, as they come, no faster than they are read. An error is the
    /// last item; without one, all that the peer holds have come. Must be called within a tokio runtime.
    pub fn get_results(
        &self,
        from: NodeId,
        batch: BatchId,
        wanted: DocSet,
    ) -> mpsc::Receiver<Result<ResultRecord, RequestError>> {
        self.0.asker.clone().get_results(from, batch, wanted)
    }

    /// Asks what a peer knows of a document, as JSON; `None` if it knows nothing.
    pub async fn get_explanation(&self, from: NodeId, doc: DocId) -> Result<Option<String>, RequestError> {
        self.0.asker.explain(from, doc).await
    }

    /// Asks a peer what it holds of a segment, and has it read some of that first.
    ///
    /// # Errors
    /// If it cannot be reached, refuses, or breaks off.
    pub async fn get_lists(&self, from: NodeId, segment: SegmentId, reading: Reading) -> Result<Lists, RequestError> {
        self.0.asker.lists(from, segment, reading).await
    }

    /// What has gone over the wire since the start.
    pub fn traffic(&self) -> Traffic {
        self.0.counters.read(self.0.refusals.total())
    }

    /// Time since the last round of gossip: while the network makes progress about its gossip interval.
    pub fn gossip_age(&self) -> Duration {
        self.0.rounds.age()
    }

    /// Leaves the cluster: tells the others, so that they need not find out, and closes all connections.
    pub async fn shutdown(&self) {
        let Some(main) = self.0.main.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let (done, told) = oneshot::channel();
        if main.leave.send(done).is_ok() {
            // An error means that gossip has ended, and that there is nobody to tell.
            let _ = told.await;
        }
        self.0.endpoint.close(CLOSE_LEAVING, b"leaving");
        // Peers that do not answer find out by themselves.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.0.endpoint.wait_idle()).await;
        drop(main.stop);
        main.ended.wait().await;
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("node", &self.0.node).field("local", &self.0.local).finish_non_exhaustive()
    }
}

fn check(config: &NetworkConfig) -> Result<(), StartError> {
    let wrong = |setting, expected| Err(StartError::Setting { setting, expected });
    if config.keyring.is_none() && !config.listen.ip().to_canonical().is_loopback() {
        return Err(StartError::SecretNeeded { listen: config.listen });
    }
    if config.gossip_interval < Duration::from_millis(10) || config.gossip_interval > Duration::from_secs(60) {
        return wrong("gossip interval", "between 10 ms and 60 s");
    }
    if config.detection < config.gossip_interval * 3 || config.detection > Duration::from_secs(3600) {
        return wrong("detection time", "at least three gossip intervals and at most an hour");
    }
    if config.dead_node_grace < config.detection {
        return wrong("dead node grace", "at least the detection time");
    }
    if config.generation > MAX_GENERATION {
        return wrong("generation", "below 2^56");
    }
    config.seeds.iter().try_for_each(|seed| seeds::check(seed))
}

/// What the others are to dial.
async fn advertised(config: &NetworkConfig, local: SocketAddr) -> Result<SocketAddr, StartError> {
    if let Some(mut advertise) = config.advertise {
        if advertise.port() == 0 {
            advertise.set_port(local.port());
        }
        return Ok(advertise);
    }
    if !local.ip().is_unspecified() {
        return Ok(local);
    }
    for seed in &config.seeds {
        // A name that cannot be resolved now is no reason not to start, but no help here either.
        let Ok(addresses) = tokio::net::lookup_host(seed).await else { continue };
        for address in addresses {
            if let Some(ip) = source_towards(local, address) {
                return Ok(SocketAddr::new(ip, local.port()));
            }
        }
    }
    Err(StartError::AdvertiseNeeded { listen: config.listen })
}

/// The address from which the system would send to a seed: seeds, at least, can reach it. Nothing is sent.
fn source_towards(local: SocketAddr, seed: SocketAddr) -> Option<IpAddr> {
    let probe = UdpSocket::bind(SocketAddr::new(local.ip(), 0)).ok()?;
    probe.connect(seed).ok()?;
    let source = probe.local_addr().ok()?.ip().to_canonical();
    (!source.is_unspecified()).then_some(source)
}

#[cfg(test)]
mod tests;
