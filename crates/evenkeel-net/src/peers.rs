//! Connections to peers: at most one dial per address at a time, with back-off; the newest connection to a peer is used.
//!
//! Gossip asks for a connection by address and learns from the certificate who is there. Everything else asks by node,
//! and gets a connection to that node or none. Whichever side dialled, both sides use the connection.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::ids::NodeId;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportErrorCode, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::endpoint::{HANDSHAKE_TIMEOUT, MAX_HANDSHAKES, MAX_UNPROVEN};
use crate::identity::{SERVER_NAME, node_of_certificate};
use crate::members::Members;
use crate::refusals::Refusals;

/// Pause after a failed dial, doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Addresses whose dials are remembered; beyond, those that wait for nothing are forgotten.
const MOST_DIALS: usize = 1024;

/// Codes of closing a connection.
pub(crate) const CLOSE_LEAVING: VarInt = VarInt::from_u32(1);
const CLOSE_MYSELF: VarInt = VarInt::from_u32(2);
const CLOSE_NOT_YOU: VarInt = VarInt::from_u32(3);

/// A connection and who is at its other end.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) peer: NodeId,
    pub(crate) remote: SocketAddr,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// The address is this node's own.
    Myself,
    /// The other side does not hold this cluster's secret, or we not theirs.
    Stranger,
    /// Anything else, in words.
    Because(String),
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreachable::Myself => f.write_str("it is this node itself"),
            Unreachable::Stranger => f.write_str("it does not hold this cluster's secret"),
            Unreachable::Because(reason) => f.write_str(reason),
        }
    }
}

/// All connections of a node.
pub(crate) struct Peers {
    me: NodeId,
    endpoint: Endpoint,
    client: ClientConfig,
    members: watch::Receiver<Arc<Members>>,
    refusals: Arc<Refusals>,
    links: Mutex<Links>,
    /// Every new connection goes here, to be listened to.
    arrivals: mpsc::UnboundedSender<Link>,
}

#[derive(Default)]
struct Links {
    by_node: BTreeMap<NodeId, Link>,
    by_address: BTreeMap<SocketAddr, Link>,
    dials: BTreeMap<SocketAddr, Arc<tokio::sync::Mutex<Dial>>>,
}

/// When an address may be dialled again.
struct Dial {
    not_before: Instant,
    pause: Duration,
    failure: Unreachable,
}

impl Peers {
    pub(crate) fn new(
        me: NodeId,
        endpoint: Endpoint,
        client: ClientConfig,
        members: watch::Receiver<Arc<Members>>,
        refusals: Arc<Refusals>,
        arrivals: mpsc::UnboundedSender<Link>,
    ) -> Peers {
        Peers { me, endpoint, client, members, refusals, links: Mutex::default(), arrivals }
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to a node, if there is one.
    pub(crate) fn current(&self, node: NodeId) -> Option<Link> {
        self.links().by_node.get(&node).filter(|link| link.is_open()).cloned()
    }

    /// A connection to a node: the present one, or a new one to the address it is known by.
    pub(crate) async fn to_node(&self, node: NodeId) -> Result<Link, Unreachable> {
        if let Some(link) = self.current(node) {
            return Ok(link);
        }
        let address = {
            let members = self.members.borrow();
            members.live.get(&node).or_else(|| members.dead.get(&node)).map(|member| member.address)
        };
        let address = address.ok_or_else(|| Unreachable::Because("it is not a member of the cluster".to_owned()))?;
        let link = self.to_address(address).await?;
        if link.peer != node {
            return Err(Unreachable::Because(format!("{address} is node {} by now", link.peer)));
        }
        Ok(link)
    }

    /// A connection to whoever is at an address.
    pub(crate) async fn to_address(&self, address: SocketAddr) -> Result<Link, Unreachable> {
        let dial = {
            let mut links = self.links();
            if let Some(link) = links.by_address.get(&address).filter(|link| link.is_open()) {
                return Ok(link.clone());
            }
            if links.dials.len() >= MOST_DIALS {
                links.dials.retain(|_, dial| Arc::strong_count(dial) > 1);
            }
            let fresh = || Arc::new(tokio::sync::Mutex::new(Dial::new()));
            links.dials.entry(address).or_insert_with(fresh).clone()
        };
        let mut dial = dial.lock().await;
        // Whoever held the lock before may have got a connection, and the peer may have dialled meanwhile.
        if let Some(link) = self.links().by_address.get(&address).filter(|link| link.is_open()) {
            return Ok(link.clone());
        }
        if Instant::now() < dial.not_before {
            return Err(dial.failure.clone());
        }
        let result = self.dial(address).await;
        match &result {
            Ok(_) => *dial = Dial::new(),
            Err(failure) => dial.failed(failure.clone()),
        }
        result
    }

    async fn dial(&self, address: SocketAddr) -> Result<Link, Unreachable> {
        let connecting = self
            .endpoint
            .connect_with(self.client.clone(), address, SERVER_NAME)
            .map_err(|error| Unreachable::Because(error.to_string()))?;
        let connection = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.handshake_failed(address, &error)),
            Err(_) => return Err(Unreachable::Because("it does not answer".to_owned())),
        };
        self.welcome(connection)
    }

    /// Accepts connections until the endpoint is closed.
    pub(crate) async fn accept(self: Arc<Self>) {
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        while let Some(incoming) = self.endpoint.accept().await {
            let address = incoming.remote_address();
            let Ok(permit) = handshakes.clone().try_acquire_owned() else {
                self.refusals.refuse(&address, &"too many peers are dialling at once");
                incoming.refuse();
                continue;
            };
            let busy = MAX_HANDSHAKES - handshakes.available_permits() > MAX_UNPROVEN;
            if busy && !incoming.remote_address_validated() {
                // It can only fail for an address that is proven, and this one is not.
                let _ = incoming.retry();
                continue;
            }
            let peers = self.clone();
            tokio::spawn(async move {
                let _permit = permit;
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming).await {
                    Ok(Ok(connection)) => {
                        let _ = peers.welcome(connection);
                    }
                    Ok(Err(error)) => {
                        peers.handshake_failed(address, &error);
                    }
                    Err(_) => tracing::debug!(%address, "a peer dialled and did not finish the handshake"),
                }
            });
        }
    }

    /// Takes a connection in, once its handshake is complete: from here on it is known who the peer is.
    fn welcome(&self, connection: Connection) -> Result<Link, Unreachable> {
        let remote = canonical(connection.remote_address());
        let Some(peer) = peer_of(&connection) else {
            self.refusals.refuse(&remote, &"its certificate is not a node's");
            connection.close(CLOSE_NOT_YOU, b"your certificate is not a node's");
            return Err(Unreachable::Stranger);
        };
        if peer == self.me {
            connection.close(CLOSE_MYSELF, b"this is my own key");
            return Err(Unreachable::Myself);
        }
        let link = Link { connection, peer, remote };
        {
            let mut links = self.links();
            links.by_node.insert(peer, link.clone());
            links.by_address.insert(remote, link.clone());
        }
        tracing::debug!(%peer, %remote, "connected");
        // It fails only when the network is shutting down.
        let _ = self.arrivals.send(link.clone());
        Ok(link)
    }

    /// Drops a connection that has ended.
    pub(crate) fn forget(&self, link: &Link) {
        let same = |other: &Link| other.connection.stable_id() == link.connection.stable_id();
        let mut links = self.links();
        if links.by_node.get(&link.peer).is_some_and(same) {
            links.by_node.remove(&link.peer);
        }
        if links.by_address.get(&link.remote).is_some_and(same) {
            links.by_address.remove(&link.remote);
        }
    }

    fn handshake_failed(&self, address: SocketAddr, error: &ConnectionError) -> Unreachable {
        let address = canonical(address);
        match tls_alert(error) {
            Some(NO_APPLICATION_PROTOCOL) => {
                self.refusals.refuse(&address, &"it speaks another version of the protocol");
                Unreachable::Because("it speaks another version of the protocol".to_owned())
            }
            Some(_) => {
                self.refusals.refuse(&address, &Unreachable::Stranger);
                Unreachable::Stranger
            }
            None => {
                tracing::debug!(%address, %error, "a handshake failed");
                Unreachable::Because(error.to_string())
            }
        }
    }
}

impl Link {
    pub(crate) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}

impl Dial {
    fn new() -> Dial {
        let failure = Unreachable::Because("it has not been dialled".to_owned());
        Dial { not_before: Instant::now(), pause: FIRST_PAUSE, failure }
    }

    fn failed(&mut self, failure: Unreachable) {
        self.failure = failure;
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

pub(crate) fn peer_of(connection: &Connection) -> Option<NodeId> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    node_of_certificate(chain.first()?)
}

/// An IPv4 peer of an IPv6 socket has a mapped address; it is known by its own.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// TLS alert: none of the protocols offered is known (RFC 7301).
pub(crate) const NO_APPLICATION_PROTOCOL: u8 = 120;

/// The TLS alert that ended a handshake, whichever side raised it.
pub(crate) fn tls_alert(error: &ConnectionError) -> Option<u8> {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return None,
    };
    (0..=u8::MAX).find(|alert| TransportErrorCode::crypto(*alert) == code)
}
