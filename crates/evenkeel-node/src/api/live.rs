//! `/v1/live`: the cluster as it changes, as server-sent events: everything once, then what became different.
//!
//! What it costs does not depend on how many documents run. Events of single documents are counted, not told; one look at
//! the node serves all who watch; looks are as far apart as their bytes and the node's time for them ask for, and nobody
//! looks while nobody watches. A reader that falls behind gets everything anew.

mod gathered;
mod picture;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse;
use futures_util::Stream;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use self::gathered::Gathered;
use self::picture::Picture;
use super::Api;
use super::backend::Backend;
use super::events::{KEEP_ALIVE, last_event_id};
use super::types::{Frame, Problem};

/// Shortest time between two looks. Loads are gossiped once a second.
const PACE: Duration = Duration::from_millis(500);

/// Longest time between two looks: what a page shows is never older, however large the cluster is.
const LONGEST_PACE: Duration = Duration::from_secs(5);

/// Bytes a second that changes may take on average, for each reader: 100 busy nodes need about as many.
const BYTES_A_SECOND: usize = 16 << 10;

/// A look may take so much of the time between two: the node has other things to do.
const SHARE_OF_TIME: u32 = 25;

/// Time between two looks at the log of events, which keeps some thousands of them.
const GATHERING: Duration = Duration::from_millis(100);

/// Changes kept for readers that are a little behind.
const KEPT: usize = 16;

/// What all readers share.
#[derive(Debug, Default)]
pub(super) struct Live {
    shared: Mutex<Shared>,
    /// Number of the last change; readers wait for it.
    turn: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    readers: usize,
    /// Whether somebody looks.
    looking: bool,
    turn: u64,
    /// As it was at that turn. `None`: nobody has looked yet.
    picture: Option<Arc<Picture>>,
    gathered: Gathered,
    /// The last changes, the newest of them with the number `turn`.
    changes: VecDeque<Arc<Told>>,
}

/// A frame on its way to readers.
#[derive(Debug)]
struct Told {
    id: u64,
    name: &'static str,
    json: String,
}

pub(super) async fn stream<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    headers: HeaderMap,
) -> Result<sse::Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let after = last_event_id(&headers)?;
    let reader = Reader::new(&api, after);
    let frames = futures_util::stream::unfold(reader, async |mut reader| {
        let told = reader.next().await?;
        let event = sse::Event::default().id(told.id.to_string()).event(told.name).data(&told.json);
        Some((Ok(event), reader))
    });
    Ok(sse::Sse::new(frames).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One who watches.
struct Reader {
    live: Arc<Live>,
    turn: watch::Receiver<u64>,
    /// Number of the last change it has; `None`: it has nothing yet.
    place: Option<u64>,
    /// The last event that it had earlier.
    after: Option<u64>,
}

impl Reader {
    fn new<B: Backend>(api: &Arc<Api<B>>, after: Option<u64>) -> Reader {
        let live = Arc::clone(&api.live);
        let mut shared = live.shared();
        shared.readers += 1;
        if !shared.looking {
            shared.looking = true;
            // Whoever is left from before gets everything anew.
            shared.turn += 1;
            tokio::spawn(look(Arc::clone(api)));
        }
        drop(shared);
        let turn = live.turn.subscribe();
        Reader { live, turn, place: None, after }
    }

    async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            // Seen before it is looked for: a change between the two wakes the wait below.
            self.turn.mark_unchanged();
            if let Some(told) = self.there() {
                return Some(told);
            }
            self.turn.changed().await.ok()?;
            if !self.live.shared().looking {
                return None;
            }
        }
    }

    fn there(&mut self) -> Option<Arc<Told>> {
        let shared = self.live.shared();
        let picture = shared.picture.as_ref()?;
        let behind = self.place.map(|place| (shared.turn - place) as usize);
        match behind {
            Some(0) => None,
            Some(behind) if behind <= shared.changes.len() => {
                self.place = self.place.map(|place| place + 1);
                Some(Arc::clone(&shared.changes[shared.changes.len() - behind]))
            }
            _ => {
                let (picture, turn) = (Arc::clone(picture), shared.turn);
                let (events, missed) = shared.gathered.since(self.after);
                let id = shared.gathered.last();
                drop(shared);
                self.place = Some(turn);
                // Should it fall behind later, these are no news.
                self.after = Some(id);
                let frame = Frame { full: true, events, missed, ..picture.whole() };
                Some(Arc::new(told(id, "picture", &frame)))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.live.shared().readers -= 1;
    }
}

impl Live {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here can panic half-way through a change.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(id: u64, name: &'static str, frame: &Frame) -> Told {
    let json = serde_json::to_string(frame).expect("a frame is made of strings and numbers");
    Told { id, name, json }
}

/// Looks at the node for as long as anybody watches. Ends when the node does not answer any more: then so do the readers.
async fn look<B: Backend>(api: Arc<Api<B>>) {
    let log = api.backend.events();
    // Everything that is kept: what happened a moment before a page was opened is of interest too.
    let mut events = std::pin::pin!(log.read(Some(0)));
    let mut gathered = Gathered::default();
    let mut last: Option<Arc<Picture>> = None;
    loop {
        let begun = Instant::now();
        gathered.read(&mut events);
        let taken = Picture::take(&*api.backend).await;
        let busy = begun.elapsed();
        let picture = match taken {
            Ok(picture) => Arc::new(picture),
            Err(problem) => {
                tracing::debug!(%problem, "nobody can watch this node any more");
                break;
            }
        };
        let bytes = show(&api.live, last.as_ref(), &picture, &mut gathered);
        last = Some(picture);
        let for_bytes = Duration::from_secs(bytes as u64) / BYTES_A_SECOND as u32;
        let pause = PACE.max(for_bytes).max(busy * SHARE_OF_TIME).min(LONGEST_PACE);
        while begun.elapsed() < pause {
            tokio::time::sleep(GATHERING.min(pause.saturating_sub(begun.elapsed()))).await;
            gathered.read(&mut events);
            if api.live.shared().readers == 0 {
                break;
            }
        }
        let mut shared = api.live.shared();
        if shared.readers == 0 {
            shared.stop();
            return;
        }
    }
    api.live.shared().stop();
    api.live.turn.send_modify(|turn| *turn += 1);
}

/// Shows readers what has become different, if anything has. Returns the bytes that each is sent.
fn show(live: &Live, last: Option<&Arc<Picture>>, picture: &Arc<Picture>, gathered: &mut Gathered) -> usize {
    let news = gathered.news();
    let change = last.and_then(|last| picture.since(last));
    let mut shared = live.shared();
    shared.gathered = gathered.recent();
    shared.picture = Some(Arc::clone(picture));
    let mut bytes = 0;
    if last.is_some() && (change.is_some() || !news.is_nothing()) {
        let frame = change.unwrap_or_else(|| Picture::nothing(picture.at));
        let frame = Frame { ran: news.ran, events: news.events, untold: news.untold, ..frame };
        let told = told(gathered.last(), "change", &frame);
        bytes = told.json.len();
        if shared.changes.len() == KEPT {
            shared.changes.pop_front();
        }
        shared.changes.push_back(Arc::new(told));
        shared.turn += 1;
    }
    let turn = shared.turn;
    drop(shared);
    // Those who have nothing yet wait for the first picture, which is no change.
    live.turn.send_replace(turn);
    bytes
}

impl Shared {
    fn stop(&mut self) {
        self.looking = false;
        self.picture = None;
        self.changes.clear();
    }
}

/// A moment, as frames have it.
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader is told next, if it is told anything: whether it is everything, and the number of batches.
    fn next(reader: &mut Reader) -> Option<(bool, Option<u64>)> {
        let frame: Frame = serde_json::from_str(&reader.there()?.json).expect("a frame");
        Some((frame.full, frame.batches_known))
    }

    #[test]
    fn a_reader_is_told_each_change_and_everything_anew_if_it_falls_behind() {
        let live = Arc::new(Live::default());
        live.shared().readers = 1;
        let mut reader = Reader { turn: live.turn.subscribe(), live: Arc::clone(&live), place: None, after: None };
        assert_eq!(next(&mut reader), None);
        let mut gathered = Gathered::default();
        let mut last = None;
        let mut batches = |number| {
            let picture = Arc::new(Picture::of_batches(number));
            let bytes = show(&live, last.as_ref(), &picture, &mut gathered);
            last = Some(picture);
            bytes
        };
        assert_eq!(batches(7), 0, "the first picture is no change");
        assert_eq!(next(&mut reader), Some((true, Some(7))));
        assert_eq!(next(&mut reader), None);
        assert_eq!(batches(7), 0, "nothing is different");
        assert_eq!(next(&mut reader), None);

        let few = KEPT as u64;
        (8..8 + few).for_each(|number| assert!(batches(number) > 0));
        for number in 8..8 + few {
            assert_eq!(next(&mut reader), Some((false, Some(number))));
        }
        assert_eq!(next(&mut reader), None);

        (100..=100 + few).for_each(|number| assert!(batches(number) > 0));
        assert_eq!(next(&mut reader), Some((true, Some(100 + few))));
        assert_eq!(next(&mut reader), None);
        assert_eq!(live.shared().changes.len(), KEPT);
    }
}
