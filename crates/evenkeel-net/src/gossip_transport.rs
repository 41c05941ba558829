//! Carries chitchat's messages over QUIC: one short uni-directional stream for each.
//!
//! chitchat runs one loop for everything, so sending only queues, and neither waits nor fails: each address has a short
//! queue and a task of its own, and what does not fit in is dropped, as a datagram would be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatMessage, Serializable};
use tokio::sync::mpsc;

use crate::peers::{Peers, Unreachable};
use crate::streams::{GOSSIP_PRIORITY, StreamKind};
use crate::traffic::{Counters, count};

/// Messages that wait for one address. More are stale before they are sent.
const QUEUE: usize = 8;

/// Time after which an address that is not gossiped with is forgotten.
const IDLE: Duration = Duration::from_secs(30);

type Inbox = Arc<tokio::sync::Mutex<mpsc::Receiver<(SocketAddr, ChitchatMessage)>>>;

/// chitchat's way to its peers. May be opened again once chitchat has ended.
#[derive(Clone)]
pub(crate) struct GossipTransport {
    inbox: Inbox,
    outbox: Arc<Outbox>,
}

struct Outbox {
    peers: Arc<Peers>,
    counters: Arc<Counters>,
    queues: Mutex<BTreeMap<SocketAddr, mpsc::Sender<Vec<u8>>>>,
}

impl GossipTransport {
    pub(crate) fn new(
        inbox: mpsc::Receiver<(SocketAddr, ChitchatMessage)>,
        peers: Arc<Peers>,
        counters: Arc<Counters>,
    ) -> GossipTransport {
        let outbox = Outbox { peers, counters, queues: Mutex::default() };
        GossipTransport { inbox: Arc::new(tokio::sync::Mutex::new(inbox)), outbox: Arc::new(outbox) }
    }
}

#[async_trait]
impl Transport for GossipTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Socket for GossipTransport {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let mut bytes = vec![StreamKind::Gossip as u8];
        message.serialize(&mut bytes);
        self.outbox.queue(to, bytes);
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        match self.inbox.lock().await.recv().await {
            Some(received) => Ok(received),
            None => anyhow::bail!("the network has stopped"),
        }
    }
}

impl Outbox {
    fn queue(self: &Arc<Self>, to: SocketAddr, message: Vec<u8>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(to).or_insert_with(|| self.clone().open(to));
        let unsent = match queue.try_send(message) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some(message),
            Err(mpsc::error::TrySendError::Closed(message)) => {
                *queue = self.clone().open(to);
                queue.try_send(message).err().map(mpsc::error::TrySendError::into_inner)
            }
        };
        if unsent.is_some() {
            count(&self.counters.gossip_messages_dropped, 1);
        }
    }

    fn open(self: Arc<Self>, to: SocketAddr) -> mpsc::Sender<Vec<u8>> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(self.deliver(to, waiting));
        queue
    }

    async fn deliver(self: Arc<Self>, to: SocketAddr, mut waiting: mpsc::Receiver<Vec<u8>>) {
        while let Ok(Some(message)) = tokio::time::timeout(IDLE, waiting.recv()).await {
            match self.deliver_one(to, &message).await {
                Ok(()) => {
                    count(&self.counters.gossip_messages_out, 1);
                    count(&self.counters.gossip_bytes_out, message.len());
                }
                Err(reason) => {
                    tracing::trace!(%to, %reason, "gossip dropped");
                    // What has piled up meanwhile is stale.
                    let mut dropped = 1;
                    while waiting.try_recv().is_ok() {
                        dropped += 1;
                    }
                    count(&self.counters.gossip_messages_dropped, dropped);
                }
            }
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        if queues.get(&to).is_some_and(mpsc::Sender::is_closed) {
            queues.remove(&to);
        }
    }

    async fn deliver_one(&self, to: SocketAddr, message: &[u8]) -> Result<(), Unreachable> {
        let link = self.peers.to_address(to).await?;
        let lost = |error: &dyn std::fmt::Display| Unreachable::Because(error.to_string());
        let mut stream = link.connection.open_uni().await.map_err(|error| lost(&error))?;
        stream.set_priority(GOSSIP_PRIORITY).map_err(|error| lost(&error))?;
        stream.write_all(message).await.map_err(|error| lost(&error))?;
        stream.finish().map_err(|error| lost(&error))
    }
}
