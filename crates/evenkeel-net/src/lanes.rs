//! Lanes: the core's messages to each peer, in order, in two streams, so that neither kind waits for the other.
//!
//! Sending never waits. A message is encoded at once, at the end of its lane's buffer; the lane's writer takes the whole
//! buffer at a time, so that what piles up while one write is under way goes out in the next. What a peer does not
//! take is dropped and counted: the core repeats what matters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use evenkeel_core::ids::NodeId;
use evenkeel_core::message::Message;
use quinn::SendStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::peers::Peers;
use crate::streams::{LANE_PRIORITY, StreamKind};
use crate::traffic::{Counters, count};
use crate::wire;

/// Most bytes that wait in one lane; one message alone may be larger.
const MOST_WAITING: usize = 16 << 20;

/// Time after which the writer of an unused lane goes away.
const IDLE: Duration = Duration::from_secs(60);

/// Size above which a buffer is given back instead of kept.
const KEPT_BUFFER: usize = 64 << 10;

/// Which lane a message takes.
fn kind_of(message: &Message) -> StreamKind {
    match message {
        Message::Head { .. } | Message::Pull { .. } | Message::Changes { .. } | Message::Snapshot { .. } => {
            StreamKind::Sync
        }
        Message::Ahead { .. }
        | Message::Offer { .. }
        | Message::Grant { .. }
        | Message::Dry { .. }
        | Message::Nothing { .. } => StreamKind::Transfer,
    }
}

/// All lanes of a node.
pub(crate) struct Lanes {
    peers: Arc<Peers>,
    counters: Arc<Counters>,
    runtime: Handle,
    open: Mutex<BTreeMap<(NodeId, StreamKind), Arc<Lane>>>,
}

struct Lane {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: BytesMut,
    messages: usize,
    /// The writer has gone: the lane must be opened anew.
    closed: bool,
}

impl Lanes {
    /// Lanes whose writers run on `runtime`.
    pub(crate) fn new(peers: Arc<Peers>, counters: Arc<Counters>, runtime: Handle) -> Arc<Lanes> {
        Arc::new(Lanes { peers, counters, runtime, open: Mutex::default() })
    }

    /// Sends a message, or drops it.
    pub(crate) fn send(self: &Arc<Self>, to: NodeId, message: &Message) {
        let kind = kind_of(message);
        loop {
            let lane = self.lane(to, kind);
            let mut waiting = lane.waiting();
            if waiting.closed {
                continue;
            }
            let before = waiting.frames.len();
            match wire::append_frame(&mut waiting.frames, message) {
                Ok(()) if before > 0 && waiting.frames.len() > MOST_WAITING => {
                    waiting.frames.truncate(before);
                    count(&self.counters.messages_dropped, 1);
                }
                Ok(()) => {
                    waiting.messages += 1;
                    drop(waiting);
                    if before == 0 {
                        lane.filled.notify_one();
                    }
                }
                Err(error) => {
                    tracing::error!(%to, %error, "a message could not be sent");
                    count(&self.counters.messages_dropped, 1);
                }
            }
            return;
        }
    }

    fn lane(self: &Arc<Self>, to: NodeId, kind: StreamKind) -> Arc<Lane> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = open.entry((to, kind)).or_insert_with(|| {
            let lane = Arc::new(Lane { waiting: Mutex::default(), filled: Notify::new() });
            let writer = Writer { lanes: self.clone(), lane: lane.clone(), to, kind, stream: None };
            self.runtime.spawn(writer.run());
            lane
        });
        lane.clone()
    }

    /// Takes an unused lane away; false if it has been used after all.
    fn close(&self, to: NodeId, kind: StreamKind, lane: &Lane) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = lane.waiting();
        if waiting.messages > 0 {
            return false;
        }
        waiting.closed = true;
        open.remove(&(to, kind));
        true
    }
}

impl Lane {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits, in exchange for an empty buffer.
    fn take(&self, spare: BytesMut) -> (BytesMut, usize) {
        let mut waiting = self.waiting();
        (std::mem::replace(&mut waiting.frames, spare), std::mem::take(&mut waiting.messages))
    }
}

/// Carries one lane's messages to its peer.
struct Writer {
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
    to: NodeId,
    kind: StreamKind,
    stream: Option<(usize, SendStream)>,
}

impl Writer {
    async fn run(mut self) {
        let mut spare = BytesMut::new();
        loop {
            if tokio::time::timeout(IDLE, self.lane.filled.notified()).await.is_err()
                && self.lanes.close(self.to, self.kind, &self.lane)
            {
                return;
            }
            loop {
                let (mut frames, messages) = self.lane.take(spare);
                if messages == 0 {
                    spare = frames;
                    break;
                }
                match self.write(&frames).await {
                    Ok(()) => count(&self.lanes.counters.messages_out, messages),
                    Err(reason) => {
                        self.stream = None;
                        tracing::debug!(to = %self.to, kind = ?self.kind, messages, reason, "messages dropped");
                        count(&self.lanes.counters.messages_dropped, messages);
                    }
                }
                frames.clear();
                spare = if frames.capacity() <= KEPT_BUFFER { frames } else { BytesMut::new() };
            }
        }
    }

    async fn write(&mut self, frames: &[u8]) -> Result<(), String> {
        let current = self.lanes.peers.current(self.to);
        let same = |link: &crate::peers::Link, id: usize| link.connection.stable_id() == id;
        match (&mut self.stream, &current) {
            (Some((id, stream)), Some(link)) if same(link, *id) => {
                return stream.write_all(frames).await.map_err(|error| error.to_string());
            }
            _ => self.stream = None,
        }
        // The peer has restarted, or there was no connection.
        let link = match current {
            Some(link) => link,
            None => self.lanes.peers.to_node(self.to).await.map_err(|error| error.to_string())?,
        };
        let mut stream = link.connection.open_uni().await.map_err(|error| error.to_string())?;
        // It fails if the connection is lost, and then the write does too.
        let _ = stream.set_priority(LANE_PRIORITY);
        let mut begun = BytesMut::with_capacity(1 + frames.len());
        begun.put_u8(self.kind as u8);
        begun.put_slice(frames);
        stream.write_all(&begun).await.map_err(|error| error.to_string())?;
        self.stream = Some((link.connection.stable_id(), stream));
        Ok(())
    }
}
