//! The UDP socket as QUIC sees it, watched: its bytes are counted, and whoever sends it what is not QUIC is named.
//!
//! QUIC drops such datagrams without a word; an operator whose load balancer probes the port, or whose two clusters
//! share one, wants to know. A datagram of an established connection begins with a connection id that this node made:
//! those carry a keyed check, so that others can be told from them. A peer that has restarted does not know our
//! connection to it any more, and says so in a datagram that looks like noise: from those that have used an id of ours,
//! noise is no news.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, UdpPoller};

use crate::refusals::Refusals;
use crate::traffic::{Counters, count};

/// Bytes of a connection id: a serial number and a check.
const SERIAL: usize = 4;
const ID: usize = 8;

/// The version that long headers must carry: QUIC 1; 0 stands for the negotiation of one.
pub(crate) const QUIC_VERSION: u32 = 1;

/// The smallest datagram by which a peer can tell that it does not know a connection (RFC 9000, 10.3).
const SHORTEST_RESET: usize = 21;

/// Most addresses that are remembered as peers'. There are a few hundred at most, unless somebody plays with them.
const MOST_ACQUAINTED: usize = 4096;

/// What a datagram is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of an established connection: it has an id that this node made.
    Established,
    /// Of a handshake, in a version that is spoken here.
    Handshake,
    /// A peer may have said so that it does not know a connection, and anybody may have said anything.
    Noise,
    /// Not QUIC.
    Foreign,
}

/// Makes connection ids that can be recognised.
#[derive(Clone)]
pub(crate) struct ConnectionIds {
    key: [u8; 32],
    next: u32,
}

impl ConnectionIds {
    /// With a key that survives restarts, datagrams for the node's earlier runs are recognised as well. `first` is the
    /// first serial number, to be drawn at random so that ids of an earlier run do not come again.
    pub(crate) fn new(key: [u8; 32], first: u32) -> ConnectionIds {
        ConnectionIds { key, next: first }
    }

    fn check(&self, serial: &[u8]) -> [u8; ID - SERIAL] {
        let hash = blake3::keyed_hash(&self.key, serial);
        let bytes = hash.as_bytes();
        [bytes[0], bytes[1], bytes[2], bytes[3]]
    }

    fn tell(&self, datagram: &[u8]) -> Kind {
        let Some(first) = datagram.first() else { return Kind::Foreign };
        if first & 0x80 != 0 {
            let version = datagram.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            let spoken = version.is_some_and(|version| version == QUIC_VERSION || version == 0);
            return if spoken { Kind::Handshake } else { Kind::Foreign };
        }
        match datagram.get(1..=ID) {
            Some(id) if self.check(&id[..SERIAL])[..] == id[SERIAL..] => Kind::Established,
            Some(_) if first & 0x40 != 0 && datagram.len() >= SHORTEST_RESET => Kind::Noise,
            _ => Kind::Foreign,
        }
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let serial = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        let mut id = [0; ID];
        id[..SERIAL].copy_from_slice(&serial);
        id[SERIAL..].copy_from_slice(&self.check(&serial));
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A UDP socket, watched.
pub(crate) struct WatchedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    counters: Arc<Counters>,
    watch: Watch,
}

impl WatchedSocket {
    pub(crate) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        ids: ConnectionIds,
        counters: Arc<Counters>,
        refusals: Arc<Refusals>,
    ) -> WatchedSocket {
        WatchedSocket { inner, counters, watch: Watch { ids, refusals, acquainted: Mutex::default() } }
    }
}

/// Names those who send what is not QUIC.
struct Watch {
    ids: ConnectionIds,
    refusals: Arc<Refusals>,
    acquainted: Mutex<Acquainted>,
}

/// Addresses that have used a connection id of ours: they are peers'.
#[derive(Default)]
struct Acquainted(BTreeSet<SocketAddr>);

impl Acquainted {
    fn note(&mut self, address: SocketAddr) {
        if self.0.len() >= MOST_ACQUAINTED && !self.0.contains(&address) {
            self.0.clear();
        }
        self.0.insert(address);
    }
}

impl Watch {
    fn arrived(&self, from: SocketAddr, datagram: &[u8]) {
        let acquainted = || self.acquainted.lock().unwrap_or_else(PoisonError::into_inner);
        match self.ids.tell(datagram) {
            Kind::Established => acquainted().note(from),
            Kind::Handshake => {}
            Kind::Noise if acquainted().0.contains(&from) => {}
            Kind::Noise | Kind::Foreign => {
                self.refusals.refuse(&from, &"it sent a datagram that is not of this protocol");
            }
        }
    }
}

impl fmt::Debug for WatchedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatchedSocket").field(&self.inner).finish()
    }
}

impl AsyncUdpSocket for WatchedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        count(&self.counters.udp_bytes_out, transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for (buffer, meta) in bufs.iter().zip(meta.iter()).take(received) {
            count(&self.counters.udp_bytes_in, meta.len);
            // Datagrams that arrive as one are of one sender: the first speaks for all.
            self.watch.arrived(meta.addr, &buffer[..meta.len.min(meta.stride)]);
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short_header(id: &[u8]) -> Vec<u8> {
        [&[0x40], id, &[0; 30][..]].concat()
    }

    #[test]
    fn own_connection_ids_are_recognised_and_no_others() {
        let mut ids = ConnectionIds::new([7; 32], u32::MAX);
        let made = [ids.generate_cid(), ids.generate_cid()];
        assert_ne!(made[0], made[1]);
        for id in made {
            assert_eq!(ids.tell(&short_header(&id)), Kind::Established);
            assert_eq!(ConnectionIds::new([8; 32], 0).tell(&short_header(&id)), Kind::Noise);
        }
    }

    #[test]
    fn what_is_not_quic_is_told_apart() {
        let ids = ConnectionIds::new([7; 32], 0);
        for junk in [&b""[..], b"x", b"GET / HTTP/1.1\r\n", &[0xff; 64], &[0x00; 64]] {
            assert_eq!(ids.tell(junk), Kind::Foreign, "{junk:?}");
        }
        assert_eq!(ids.tell(&[&[0xc0, 0, 0, 0, 1], &[0; 1195][..]].concat()), Kind::Handshake);
    }

    #[test]
    fn noise_is_refused_from_strangers_only() {
        let mut ids = ConnectionIds::new([7; 32], 0);
        let (ours, noise) = (short_header(&ids.generate_cid()), [0x40; 40]);
        let refusals: Arc<Refusals> = Arc::default();
        let watch = Watch { ids, refusals: refusals.clone(), acquainted: Mutex::default() };
        let [peer, stranger] = [1, 2].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        watch.arrived(peer, &noise);
        assert_eq!(refusals.total(), 1, "it is not known yet");
        watch.arrived(peer, &ours);
        watch.arrived(peer, &noise);
        assert_eq!(refusals.total(), 1);
        watch.arrived(stranger, &noise);
        watch.arrived(peer, b"hello");
        assert_eq!(refusals.total(), 3);
    }

    #[test]
    fn however_many_come_few_are_remembered() {
        let mut acquainted = Acquainted::default();
        for port in 0..=MOST_ACQUAINTED as u16 {
            acquainted.note(SocketAddr::from(([10, 0, 0, 1], port)));
        }
        assert_eq!(acquainted.0.len(), 1);
    }
}
