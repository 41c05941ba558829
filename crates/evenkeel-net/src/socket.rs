//! The UDP socket as QUIC sees it, watched: its bytes are counted, and whoever sends it what is not QUIC is named.
//!
//! QUIC drops such datagrams without a word; an operator whose load balancer probes the port, or whose two clusters
//! share one, wants to know. A datagram of an established connection begins with a connection id that this node made:
//! those carry a keyed check, so that others can be told from them.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
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

    /// Whether a datagram is plausibly QUIC: a long header of the right version, or one of our connection ids.
    fn recognise(&self, datagram: &[u8]) -> bool {
        let Some(first) = datagram.first() else { return false };
        if first & 0x80 != 0 {
            let version = datagram.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            return version.is_some_and(|version| version == QUIC_VERSION || version == 0);
        }
        match datagram.get(1..=ID) {
            Some(id) => self.check(&id[..SERIAL])[..] == id[SERIAL..],
            None => false,
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
    pub(crate) inner: Arc<dyn AsyncUdpSocket>,
    pub(crate) ids: ConnectionIds,
    pub(crate) counters: Arc<Counters>,
    pub(crate) refusals: Arc<Refusals>,
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
            let datagram = &buffer[..meta.len.min(meta.stride)];
            if !self.ids.recognise(datagram) {
                self.refusals.refuse(&meta.addr, &"it sent a datagram that is not of this protocol");
            }
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
            assert!(ids.recognise(&short_header(&id)));
            assert!(!ConnectionIds::new([8; 32], 0).recognise(&short_header(&id)));
        }
    }

    #[test]
    fn what_is_not_quic_is_told_apart() {
        let ids = ConnectionIds::new([7; 32], 0);
        for junk in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0x40; 64]] {
            assert!(!ids.recognise(junk), "{junk:?}");
        }
        assert!(ids.recognise(&[&[0xc0, 0, 0, 0, 1], &[0; 1195][..]].concat()));
    }
}
