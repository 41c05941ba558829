//! The last events of a node, in memory, with any number of readers that cannot slow the node down or make it grow.
//!
//! A ring of bounded size. A reader is a place in it: one that is overtaken is told how many events it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::ids::Generation;
use futures_util::Stream;
use jiff::Timestamp;
use tokio::sync::watch;

use super::types::{Event, Numbered, Schema};

/// Events kept for readers that lag or come back.
const KEPT: usize = 8_192;

/// Ids that one millisecond of a node's start time is worth. Ids of a later generation are larger as long as a node
/// does not live through more than a thousand events a millisecond, and stay exact in a JSON number.
const IDS_PER_MILLISECOND: u64 = 1_000;

/// The ring.
#[derive(Debug)]
pub struct EventLog {
    ring: Mutex<Ring>,
    /// Id that the next event will have; readers wait for it to change.
    head: watch::Sender<u64>,
    /// Id of the first event of this generation.
    first: u64,
    kept: usize,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Numbered>>,
    next: u64,
}

impl EventLog {
    /// An empty log of this run of a node, that keeps the last few thousand events.
    pub fn new(generation: Generation) -> Arc<EventLog> {
        EventLog::keeping(generation, KEPT)
    }

    /// The same, with a size of its own.
    pub fn keeping(generation: Generation, kept: usize) -> Arc<EventLog> {
        let first = generation.0.saturating_mul(IDS_PER_MILLISECOND).saturating_add(1);
        Arc::new(EventLog {
            ring: Mutex::new(Ring { events: VecDeque::new(), next: first }),
            head: watch::Sender::new(first),
            first,
            kept: kept.max(1),
        })
    }

    /// Appends an event. Never waits for a reader.
    pub fn publish(&self, event: Event) {
        let mut ring = self.ring();
        let id = ring.next;
        ring.next += 1;
        if ring.events.len() == self.kept {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(Numbered { schema: Schema, id, at: Timestamp::now(), event }));
        self.head.send_replace(ring.next);
    }

    /// Events from now on or, if `after` is given, those after that id.
    pub fn read(self: &Arc<Self>, after: Option<u64>) -> impl Stream<Item = Arc<Numbered>> + Send + use<> {
        let next = self.ring().next;
        let place = match after {
            None => Place { next, restarted: false },
            // An id of an earlier generation, or one that this node never gave: start over, and say so.
            Some(after) if after < self.first - 1 || after >= next => Place { next: self.first, restarted: true },
            Some(after) => Place { next: after + 1, restarted: false },
        };
        let reader = Reader { log: Arc::clone(self), head: self.head.subscribe(), place };
        futures_util::stream::unfold(reader, async |mut reader| Some((reader.next().await?, reader)))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing in here can panic half-way through a change.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event at a reader's place, and the place after it; `None` if it is yet to come.
    fn at(&self, place: &mut Place) -> Option<Arc<Numbered>> {
        let ring = self.ring();
        let oldest = ring.next - ring.events.len() as u64;
        if place.restarted || place.next < oldest {
            let count = (!place.restarted).then(|| oldest - place.next);
            *place = Place { next: oldest, restarted: false };
            // Its id is the last one missed, so that a reader that resumes after it gets what follows.
            let id = oldest - 1;
            let missed = Numbered { schema: Schema, id, at: Timestamp::now(), event: Event::Missed { count } };
            return Some(Arc::new(missed));
        }
        let event = ring.events.get((place.next - oldest) as usize)?;
        place.next += 1;
        Some(Arc::clone(event))
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// Id of the next event to be read.
    next: u64,
    /// The reader knows ids of an earlier generation.
    restarted: bool,
}

struct Reader {
    log: Arc<EventLog>,
    head: watch::Receiver<u64>,
    place: Place,
}

impl Reader {
    async fn next(&mut self) -> Option<Arc<Numbered>> {
        loop {
            // Seen before it is looked for: an event between the two wakes the wait below.
            self.head.mark_unchanged();
            if let Some(event) = self.log.at(&mut self.place) {
                return Some(event);
            }
            self.head.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use evenkeel_core::ids::BatchId;
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn event(number: u32) -> Event {
        Event::BatchAccepted { batch: BatchId(u64::from(number)), documents: number }
    }

    fn log_of(events: u32) -> Arc<EventLog> {
        let log = EventLog::keeping(Generation(7), 4);
        (0..events).for_each(|number| log.publish(event(number)));
        log
    }

    #[tokio::test]
    async fn a_new_reader_hears_only_what_comes() {
        let log = log_of(3);
        let mut reader = pin!(log.read(None));
        assert!(reader.next().now_or_never().is_none());
        log.publish(event(3));
        let heard = reader.next().await.expect("an event");
        assert_eq!((heard.id, &heard.event), (7_004, &event(3)));
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_misses_nothing_that_is_kept() {
        let log = log_of(3);
        let heard: Vec<u64> = log.read(Some(7_001)).take(2).map(|event| event.id).collect().await;
        assert_eq!(heard, [7_002, 7_003]);
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_how_many_it_missed_and_can_resume_from_there() {
        let log = log_of(10);
        let heard: Vec<_> = log.read(Some(7_002)).take(2).collect().await;
        assert_eq!(heard[0].event, Event::Missed { count: Some(4) });
        assert_eq!(heard[1].event, event(6));
        let resumed: Vec<_> = log.read(Some(heard[0].id)).take(1).collect().await;
        assert_eq!(resumed, heard[1..]);
    }

    #[tokio::test]
    async fn a_reader_of_an_earlier_generation_starts_over() {
        for stranger in [0, 6_999, 7_003, u64::MAX] {
            let heard: Vec<_> = log_of(2).read(Some(stranger)).take(3).map(|heard| heard.event.clone()).collect().await;
            assert_eq!(heard, [Event::Missed { count: None }, event(0), event(1)], "after {stranger}");
        }
    }

    #[tokio::test]
    async fn an_empty_log_can_be_resumed_by_anyone() {
        let mut reader = pin!(log_of(0).read(Some(5)));
        assert_eq!(reader.next().await.expect("a word").event, Event::Missed { count: None });
        assert!(reader.next().now_or_never().is_none());
    }
}
