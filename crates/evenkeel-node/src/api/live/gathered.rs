//! The node's events between two frames: those of single documents counted, the others kept as they are.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use evenkeel_core::change::Outcome;
use futures_util::{FutureExt, Stream, StreamExt};

use crate::api::types::{Event, Numbered, Ran};

/// Events that a frame may have. What is more is counted.
const TOLD: usize = 40;

/// Events kept for pages that are opened, or come back.
const KEPT: usize = 100;

/// What has been heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered {
    recent: VecDeque<Arc<Numbered>>,
    /// Id of the newest event that has been seen.
    last: u64,
    /// Id of the newest event that is no longer kept.
    forgotten: u64,
    news: News,
}

/// What has been heard since the last frame.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    pub(super) ran: Ran,
    pub(super) events: Vec<Numbered>,
    pub(super) untold: u64,
}

impl News {
    pub(super) fn is_nothing(&self) -> bool {
        self.ran == Ran::default() && self.events.is_empty() && self.untold == 0
    }
}

impl Gathered {
    /// Hears all that is there, without waiting.
    pub(super) fn read(&mut self, events: &mut Pin<&mut impl Stream<Item = Arc<Numbered>>>) {
        while let Some(Some(event)) = events.next().now_or_never() {
            self.hear(event);
        }
    }

    fn hear(&mut self, event: Arc<Numbered>) {
        let first = self.last == 0;
        self.last = event.id;
        let ran = &mut self.news.ran;
        match &event.event {
            Event::DocumentStarted { .. } => ran.started += 1,
            Event::DocumentEnded { outcome: Outcome::Done, .. } => ran.done += 1,
            Event::DocumentEnded { outcome: Outcome::Cancelled, .. } => ran.cancelled += 1,
            Event::DocumentEnded { outcome: Outcome::Failed, .. } => {
                ran.failed += 1;
                self.keep(event);
            }
            // The picture has these of all nodes.
            Event::DocumentsMoved { .. } => {}
            // What happened before anybody watched is not missed by those who begin to.
            Event::Missed { .. } if first => self.forgotten = event.id,
            Event::Missed { count } => self.news.untold += count.unwrap_or_default(),
            _ => self.keep(event),
        }
    }

    fn keep(&mut self, event: Arc<Numbered>) {
        if self.news.events.len() < TOLD {
            self.news.events.push(Numbered::clone(&event));
        } else {
            self.news.untold += 1;
        }
        if self.recent.len() == KEPT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.forgotten = oldest.id;
        }
        self.recent.push_back(event);
    }

    /// What has been heard since this was asked last.
    pub(super) fn news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// The same events for readers that come later.
    pub(super) fn recent(&self) -> Gathered {
        Gathered { news: News::default(), ..self.clone() }
    }

    /// Id of the newest event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Events after that one, and whether there may have been others. `None`: all that are kept.
    pub(super) fn since(&self, after: Option<u64>) -> (Vec<Numbered>, bool) {
        // An id that this node has not given is of another run of it whose clock was ahead.
        let strange = after.is_some_and(|after| after > self.last);
        let from = after.filter(|_| !strange).unwrap_or_default();
        let events = self.recent.iter().filter(|event| event.id > from).map(|event| Numbered::clone(event)).collect();
        (events, after.is_some() && (strange || from < self.forgotten))
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::{Attempt, BatchId, DocNumber, Generation, NodeId};

    use super::*;
    use crate::api::EventLog;

    fn gathered(log: &Arc<EventLog>) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.read(&mut std::pin::pin!(log.read(Some(0))));
        gathered
    }

    fn cancelled(number: u64) -> Event {
        Event::BatchCancelled { batch: BatchId(number) }
    }

    fn ended(number: u32, outcome: Outcome) -> Event {
        Event::DocumentEnded { batch: BatchId(1), document: DocNumber(number), outcome, node: NodeId([1; 16]) }
    }

    #[test]
    fn documents_are_counted_and_what_is_rare_is_told() {
        let log = EventLog::new(Generation(7));
        let attempt = Attempt(1);
        (0..500).for_each(|number| {
            log.publish(Event::DocumentStarted { batch: BatchId(1), document: DocNumber(number), attempt });
            log.publish(ended(number, Outcome::Done));
        });
        log.publish(ended(500, Outcome::Failed));
        log.publish(cancelled(1));
        let mut gathered = gathered(&log);
        let news = gathered.news();
        assert_eq!(news.ran, Ran { started: 500, done: 500, failed: 1, cancelled: 0 });
        let told: Vec<Event> = news.events.into_iter().map(|numbered| numbered.event).collect();
        assert_eq!((told, news.untold), (vec![ended(500, Outcome::Failed), cancelled(1)], 0));
        assert!(gathered.news().is_nothing());
        assert_eq!(gathered.last(), 8_002);
    }

    #[test]
    fn a_storm_of_events_is_cut_and_counted() {
        let log = EventLog::new(Generation(7));
        (0..1_000).for_each(|number| log.publish(ended(number, Outcome::Failed)));
        let news = gathered(&log).news();
        assert_eq!((news.events.len(), news.untold, news.ran.failed), (TOLD, 1_000 - TOLD as u64, 1_000));
    }

    #[test]
    fn one_who_comes_back_hears_what_was_meanwhile_and_whether_that_is_all() {
        let log = EventLog::new(Generation(7));
        (0..3).for_each(|number| log.publish(cancelled(number)));
        let few = gathered(&log);
        let ids =
            |(events, missed): (Vec<Numbered>, bool)| (events.iter().map(|event| event.id).collect::<Vec<_>>(), missed);
        assert_eq!(ids(few.since(None)), (vec![7_001, 7_002, 7_003], false));
        assert_eq!(ids(few.since(Some(7_002))), (vec![7_003], false));
        assert_eq!(ids(few.since(Some(7_003))), (vec![], false));
        // Ids of an earlier run, and of one whose clock was ahead.
        assert_eq!(ids(few.since(Some(5_009))), (vec![7_001, 7_002, 7_003], true));
        assert_eq!(ids(few.since(Some(9_000))), (vec![7_001, 7_002, 7_003], true));

        (3..200).for_each(|number| log.publish(cancelled(number)));
        let many = gathered(&log);
        assert_eq!(many.since(None).0.len(), KEPT);
        assert!(many.since(Some(7_050)).1 && !many.since(Some(7_100)).1);
    }
}
