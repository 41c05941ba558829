//! What waits to be written. Those that can wait for room do; the loop, which cannot, appends to the journal without.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io};

use evenkeel_core::change::Entry;
use evenkeel_core::ids::{BatchId, DocId};
use evenkeel_net::records::SegmentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::index::{ListId, Part};

/// Bytes of a group: what is written and synced together. One thing that is larger is a group by itself.
pub(super) const GROUP_BYTES: usize = 16 << 20;

/// Bytes of what others wait for that may be in the queue, or being written.
const QUEUE_BYTES: usize = 64 << 20;

/// The unit in which room in the queue is given.
const UNIT: usize = 1 << 10;

/// Something to write.
pub(super) enum Work {
    Append {
        number: u64,
        bytes: Vec<u8>,
    },
    Forget {
        before: u64,
    },
    Results {
        rows: Vec<ResultRow>,
        list: ListId,
        ticket: Ticket,
    },
    Segment {
        rows: SegmentRows,
        list: ListId,
        ticket: Ticket,
    },
    Remove {
        batch: BatchId,
        part: Part,
    },
    /// Something damaged is taken off the disk.
    Drop(Item),
}

/// A result as it is stored, and what decides between two of one document.
pub(super) struct ResultRow {
    pub(super) doc: DocId,
    pub(super) entry: Entry,
    pub(super) sealed: Vec<u8>,
}

/// A segment as it is stored, or a part of a large one.
pub(super) struct SegmentRows {
    pub(super) segment: SegmentId,
    /// Number of the first block.
    pub(super) first: u32,
    pub(super) blocks: Vec<Vec<u8>>,
    /// With them it is whole.
    pub(super) ends: Option<Vec<u8>>,
}

/// One thing that is held here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A document's result.
    Result(DocId),
    /// The payloads of a segment.
    Segment(SegmentId),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Result(doc) => write!(f, "the result of {doc}"),
            Item::Segment(SegmentId { batch, segment }) => {
                write!(f, "segment {segment} of the payloads of batch {batch}")
            }
        }
    }
}

/// Of whoever waits for a write: whom to tell, and the room that it takes.
pub(super) struct Ticket {
    pub(super) reply: oneshot::Sender<io::Result<()>>,
    pub(super) _room: OwnedSemaphorePermit,
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Work::Append { bytes, .. } => bytes.len(),
            Work::Results { rows, .. } => rows.iter().map(|row| row.sealed.len()).sum(),
            Work::Segment { rows, .. } => rows.bytes(),
            Work::Forget { .. } | Work::Remove { .. } | Work::Drop(_) => 0,
        }
    }

    pub(super) fn journal_bytes(&self) -> usize {
        match self {
            Work::Append { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Whether it must not share the fate of others: what lies around something damaged may be damaged as well.
    fn is_alone(&self) -> bool {
        matches!(self, Work::Drop(_))
    }

    /// Tells whoever waits for it.
    pub(super) fn answer(self, result: impl FnOnce() -> io::Result<()>) {
        if let Work::Results { ticket, .. } | Work::Segment { ticket, .. } = self {
            // An error means that nobody waits any more.
            let _ = ticket.reply.send(result());
        }
    }
}

impl SegmentRows {
    pub(super) fn bytes(&self) -> usize {
        self.ends.as_ref().map_or(0, Vec::len) + self.blocks.iter().map(Vec::len).sum::<usize>()
    }

    /// Takes the first so many blocks off, to be written before the rest.
    pub(super) fn split_off_front(&mut self, count: usize) -> SegmentRows {
        let rest = self.blocks.split_off(count);
        let blocks = std::mem::replace(&mut self.blocks, rest);
        let first = self.first;
        self.first += count as u32;
        SegmentRows { segment: self.segment, first, blocks, ends: None }
    }
}

/// See above.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    bytes: usize,
    /// Why nothing is taken.
    failing: Option<String>,
    /// How often entries of the journal were lost.
    failures: u64,
    /// Of these, how many whoever appends has said that it knows.
    known: u64,
    /// Rows are marked in the index.
    marked: bool,
    /// The database is of no use to its readers.
    reopen: bool,
    closed: bool,
}

/// What the writer is to do next.
pub(super) enum Turn {
    /// Write this group, and what is marked in the index.
    Write(Vec<Work>),
    /// Open the database again.
    Reopen,
    /// See whether the disk is well again.
    Retry,
    /// Nothing, now.
    Idle,
    /// End.
    End,
}

impl Queue {
    pub(super) fn new() -> Queue {
        let room = Arc::new(Semaphore::new(QUEUE_BYTES / UNIT));
        Queue { state: Mutex::default(), wake: Condvar::new(), room }
    }

    /// Waits until there is room for so many bytes. What is larger than the queue has all of it to itself.
    pub(super) async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let units = (bytes / UNIT + 1).min(QUEUE_BYTES / UNIT);
        self.room.clone().acquire_many_owned(units as u32).await.expect("it is never closed")
    }

    /// Puts something into the queue.
    ///
    /// # Errors
    /// If nothing is written at present, or any more.
    pub(super) fn push(&self, work: Work) -> io::Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(io::Error::other("this node's store is closed"));
        }
        if let Some(why) = &state.failing {
            return Err(io::Error::other(format!("nothing is written until the disk is well again: {why}")));
        }
        // What comes behind a gap of which its writer does not know yet would seem to be whole; a `forget` above all.
        if state.known < state.failures && matches!(work, Work::Append { .. } | Work::Forget { .. }) {
            return Err(io::Error::other("entries of the journal before this one were lost"));
        }
        state.bytes += work.bytes();
        state.works.push_back(work);
        self.wake.notify_one();
        Ok(())
    }

    /// Rows are marked in the index.
    pub(super) fn marked(&self) {
        self.state().marked = true;
        self.wake.notify_one();
    }

    /// Has the database opened again.
    pub(super) fn reopen(&self) {
        self.state().reopen = true;
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_one();
    }

    /// Waits for something to do. What waits is taken together, and if that is little, what comes within `gather` as well.
    pub(super) fn next(&self, gather: Duration, pause: Duration) -> Turn {
        let mut state = self.state();
        if state.failing.is_some() {
            let until = Instant::now() + pause;
            while !state.closed {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Turn::Retry;
                }
                state = self.wait(state, left);
            }
            return Turn::End;
        }
        while state.is_idle() {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + gather;
        while !state.closed && !state.reopen && state.bytes < GROUP_BYTES {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        state.take()
    }

    /// What there is to do now.
    pub(super) fn poll(&self) -> Turn {
        let mut state = self.state();
        match state.failing.is_some() {
            true => Turn::Retry,
            false if state.is_idle() => Turn::Idle,
            false => state.take(),
        }
    }

    /// Takes nothing from now on, and gives back what waits.
    pub(super) fn fail(&self, why: String) -> Vec<Work> {
        let mut state = self.state();
        state.failing = Some(why);
        state.failures += 1;
        state.reopen = false;
        state.bytes = 0;
        state.works.drain(..).collect()
    }

    /// Whoever appends knows of one more failure, and that it is over. When it knows of all, it is listened to again.
    pub(super) fn resume(&self) {
        self.state().known += 1;
    }

    /// Takes what comes again.
    pub(super) fn recover(&self) {
        self.state().failing = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.works.is_empty() && !self.marked && !self.reopen && !self.closed
    }

    /// What is in the queue is written before it ends.
    fn take(&mut self) -> Turn {
        if std::mem::take(&mut self.reopen) {
            return Turn::Reopen;
        }
        let marked = std::mem::take(&mut self.marked);
        if self.works.is_empty() && !marked {
            return if self.closed { Turn::End } else { Turn::Idle };
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(work) =
            self.works.pop_front_if(|next| group.is_empty() || bytes + next.bytes() <= GROUP_BYTES && !next.is_alone())
        {
            bytes += work.bytes();
            let alone = work.is_alone();
            group.push(work);
            if alone {
                break;
            }
        }
        self.bytes -= bytes;
        Turn::Write(group)
    }
}
