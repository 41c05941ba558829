//! What arrives: every stream that a peer opens is told by its first byte, and read where its kind belongs.
//!
//! Gossip is read on the network's thread, everything else on the runtime that the service runs on. A stream that
//! breaks the rules is refused; the peer's other streams go on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chitchat::{ChitchatMessage, Deserializable};
use evenkeel_core::ids::NodeId;
use evenkeel_core::message::Message;
use quinn::{RecvStream, VarInt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::Answerer;
use crate::frames::{FrameError, FrameReader};
use crate::peers::{Link, Peers};
use crate::refusals::Refusals;
use crate::service::Service;
use crate::traffic::{Counters, count};

/// Order in which a connection's streams are served when there is more to send than goes out: gossip, lanes, requests.
pub(crate) const GOSSIP_PRIORITY: i32 = 2;
pub(crate) const LANE_PRIORITY: i32 = 1;

/// Code of ending a stream that breaks the rules.
pub(crate) const STOP_REFUSED: VarInt = VarInt::from_u32(1);

/// Most bytes of a gossip message: chitchat cuts its own at 64 KiB.
pub(crate) const MAX_GOSSIP: usize = 128 << 10;

/// What a uni-directional stream carries: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum StreamKind {
    /// One gossip message.
    Gossip = 1,
    /// The lane of pulls and their answers.
    Sync = 2,
    /// The lane of transfers.
    Transfer = 3,
}

/// Everything that peers' streams are delivered to.
pub(crate) struct Inbound {
    pub(crate) service: Arc<dyn Service>,
    /// Where the service runs.
    pub(crate) runtime: Handle,
    pub(crate) gossip: mpsc::Sender<(SocketAddr, ChitchatMessage)>,
    pub(crate) heard: Heard,
    pub(crate) counters: Arc<Counters>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) answerer: Arc<Answerer>,
}

/// When each peer last gossiped with this node directly. That a peer's key spoke proves that it lives.
#[derive(Default)]
pub(crate) struct Heard(Mutex<BTreeMap<NodeId, Instant>>);

impl Heard {
    fn note(&self, node: NodeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, Instant::now());
    }

    /// Everything noted since the last call.
    pub(crate) fn take(&self) -> BTreeMap<NodeId, Instant> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inbound {
    /// Listens to a connection until it ends. Runs on the network's thread.
    pub(crate) async fn listen(self: Arc<Self>, link: Link, peers: Arc<Peers>) {
        let ended = loop {
            tokio::select! {
                stream = link.connection.accept_uni() => match stream {
                    Ok(stream) => { tokio::spawn(self.clone().uni(link.clone(), stream)); }
                    Err(error) => break error,
                },
                stream = link.connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        self.runtime.spawn(self.answerer.clone().answer(link.peer, send, receive));
                    }
                    Err(error) => break error,
                },
            }
        };
        tracing::debug!(peer = %link.peer, remote = %link.remote, reason = %ended, "disconnected");
        peers.forget(&link);
    }

    async fn uni(self: Arc<Self>, link: Link, mut stream: RecvStream) {
        // A stream that is lost before its first byte has nothing to lose.
        let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await else { return };
        let Some((kind, begun)) = chunk.bytes.split_first() else { return };
        match *kind {
            kind if kind == StreamKind::Gossip as u8 => self.gossip(link, begun, stream).await,
            kind if kind == StreamKind::Sync as u8 || kind == StreamKind::Transfer as u8 => {
                let frames = FrameReader::new(stream, begun, None);
                self.runtime.spawn(self.clone().lane(link.peer, frames));
            }
            kind => {
                let _ = stream.stop(STOP_REFUSED);
                self.refusals.refuse(&link.peer, &format!("it opened a stream of unknown kind {kind}"));
            }
        }
    }

    async fn gossip(&self, link: Link, begun: &[u8], mut stream: RecvStream) {
        let mut message = begun.to_vec();
        loop {
            match stream.read_chunk(MAX_GOSSIP, true).await {
                Ok(Some(chunk)) if message.len() + chunk.bytes.len() <= MAX_GOSSIP => message.extend(&chunk.bytes),
                Ok(Some(_)) => {
                    let _ = stream.stop(STOP_REFUSED);
                    return self.refusals.refuse(&link.peer, &"it sent a gossip message that is too large");
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        match ChitchatMessage::deserialize(&mut message.as_slice()) {
            Ok(parsed) => {
                self.heard.note(link.peer);
                count(&self.counters.gossip_messages_in, 1);
                count(&self.counters.gossip_bytes_in, message.len());
                // When gossip cannot keep up, the newest is as good as the oldest: there will be more.
                let _ = self.gossip.try_send((link.remote, parsed));
            }
            Err(error) => self.refusals.refuse(&link.peer, &format!("it sent gossip that is none: {error:#}")),
        }
    }

    async fn lane(self: Arc<Self>, peer: NodeId, mut frames: FrameReader) {
        loop {
            match frames.next::<Message>().await {
                Ok(Some(message)) => {
                    count(&self.counters.messages_in, 1);
                    self.service.message(peer, message);
                }
                Ok(None) => return,
                Err(FrameError::Wire(error)) => {
                    frames.stop(STOP_REFUSED);
                    return self.refusals.refuse(&peer, &format!("it sent {error}"));
                }
                Err(_) => return,
            }
        }
    }
}
