//! The stream of what changes.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use evenkeel_core::ids::{Attempt, DocNumber, NodeId};
use evenkeel_core::state::Passage;
use reqwest::{Method, Response};

use super::fake::OLD;
use super::{Served, refused};
use crate::api::types::{BatchState, ErrorCode, Event, Frame, Moved, Ran};

/// Reads frames as they come.
struct Watcher {
    response: Response,
    text: String,
    /// Id of the last event it has.
    id: u64,
}

impl Watcher {
    async fn new(served: &Served, after: Option<u64>) -> Watcher {
        let mut request = served.request(Method::GET, "/v1/live");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Watcher { response, text: String::new(), id: 0 }
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(data) = field("data:") else { continue };
                self.id = field("id:").expect("an id").parse().expect("a number");
                let frame: Frame = serde_json::from_str(data).expect("a frame");
                assert_eq!(field("event:"), Some(if frame.full { "picture" } else { "change" }));
                return frame;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = chunk.await.expect("in time").expect("a chunk").expect("more");
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

fn started(number: u32) -> Event {
    Event::DocumentStarted { batch: OLD, document: DocNumber(number), attempt: Attempt(1) }
}

#[tokio::test]
async fn first_comes_everything_and_then_what_is_different() {
    let served = Served::new().await;
    let mut watcher = Watcher::new(&served, None).await;
    let first = watcher.next().await;
    assert!(first.full && !first.missed);
    assert_eq!((first.nodes.len(), first.batches.len(), first.batches_known), (5, 3, Some(3)));
    assert_eq!(first.equilibrium.expect("it is told")["in_equilibrium"], true);

    let (from, to) = (NodeId([0x11; 16]), NodeId([0x22; 16]));
    served.fake.passages.lock().expect("a lock").push(Passage { from, to, claimed: false, documents: 7 });
    let change = watcher.next().await;
    assert!(!change.full);
    assert_eq!(change.moved, [Moved { from, to, claimed: false, documents: 7 }]);
    assert!(change.nodes.is_empty() && change.batches.is_empty() && change.events.is_empty());

    served.fake.state.batches.lock().expect("a lock").get_mut(&OLD).expect("a batch").state = BatchState::Cancelled;
    let change = watcher.next().await;
    let changed = serde_json::json!({"id": OLD.to_string(), "state": "cancelled"});
    assert_eq!(serde_json::to_value(change.batches).expect("JSON"), serde_json::json!([changed]));
    assert!(change.moved.is_empty());

    (0..1_000).for_each(|number| served.fake.publish(started(number)));
    served.fake.publish(Event::BatchCancelled { batch: OLD });
    let mut ran = Ran::default();
    let mut events = Vec::new();
    while events.is_empty() {
        let change = watcher.next().await;
        ran.started += change.ran.started + change.untold;
        events = change.events;
    }
    // The fake's log keeps eight events: what it lost is counted all the same.
    assert_eq!((ran.started, events.len()), (1_000, 1));
    assert_eq!(events[0].id, watcher.id);
}

#[tokio::test]
async fn one_look_serves_all_who_watch_and_nobody_looks_for_nobody() {
    let served = Served::new().await;
    let mut watchers = Vec::new();
    for _ in 0..10 {
        watchers.push(Watcher::new(&served, None).await);
    }
    for watcher in &mut watchers {
        assert!(watcher.next().await.full);
    }
    served.fake.publish(Event::BatchCancelled { batch: OLD });
    for watcher in &mut watchers {
        assert_eq!(watcher.next().await.events.len(), 1);
    }
    let looks = served.fake.looks.load(SeqCst);
    assert!(looks < 10, "{looks} looks for ten who watch");
    drop(watchers);
    // Two looks are half a second apart: where there has been none for three times that, nobody looks.
    let mut before = usize::MAX;
    while std::mem::replace(&mut before, served.fake.looks.load(SeqCst)) != before {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
    assert!(Watcher::new(&served, None).await.next().await.full, "and then somebody does again");
}

#[tokio::test]
async fn who_comes_back_hears_the_events_between() {
    let served = Served::new().await;
    served.fake.publish(Event::BatchCancelled { batch: OLD });
    let mut watcher = Watcher::new(&served, None).await;
    let first = watcher.next().await;
    assert_eq!(first.events.len(), 1, "what happened a moment before it is opened, a page shows too");
    let last = watcher.id;
    drop(watcher);
    served.fake.publish(Event::BatchFinished { batch: OLD, done: 1, failed: 0, cancelled: 9 });
    let mut again = Watcher::new(&served, Some(last)).await;
    let mut frame = again.next().await;
    assert!(frame.full && !frame.missed);
    // The picture may be of a look before it: then it is in the next frame.
    while frame.events.is_empty() {
        frame = again.next().await;
    }
    assert_eq!(frame.events.iter().map(|event| event.event.name()).collect::<Vec<_>>(), ["batch_finished"]);
    let stranger = Watcher::new(&served, Some(3)).await.next().await;
    assert!(stranger.missed && stranger.events.len() == 2, "an id of an earlier run");

    let nonsense = served.request(Method::GET, "/v1/live").header("last-event-id", "x").send().await;
    refused(nonsense.expect("an answer"), ErrorCode::BadRequest, "Last-Event-ID is a number").await;
}
