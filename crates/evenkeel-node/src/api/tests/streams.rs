//! Results and events as they flow.

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_net::records::{Captured, Exit};
use reqwest::{Method, Response};

use super::fake::{OLD, record};
use super::{Served, refused, until};
use crate::api::types::{ErrorCode, Event, Numbered, Problem, ResultLine, ResultsLine};

/// Reads text from a stream as it comes.
struct Reader {
    response: Response,
    text: String,
}

impl Reader {
    fn new(response: Response) -> Reader {
        assert!(response.status().is_success(), "{}", response.status());
        Reader { response, text: String::new() }
    }

    /// The text up to `end`, which is read too and dropped; `None` at the end of the stream.
    async fn next(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.text.split_once(end) {
                let part = part.to_owned();
                self.text = rest.to_owned();
                return Some(part);
            }
            let chunk = self.response.chunk().await.expect("a chunk")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    async fn result(&mut self) -> Option<ResultsLine> {
        let line = self.next("\n").await?;
        Some(ResultsLine::parse(&line).unwrap_or_else(|error| panic!("{error} in {line}")))
    }

    async fn event(&mut self) -> Numbered {
        let frame = self.next("\n\n").await.expect("an event");
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).expect("a field").trim();
        let event: Numbered = serde_json::from_str(field("data:")).expect("an event");
        assert_eq!((field("id:"), field("event:")), (event.id.to_string().as_str(), event.event.name()));
        event
    }
}

fn result(line: Option<ResultsLine>) -> ResultLine {
    match line {
        Some(ResultsLine::Result(result)) => *result,
        other => panic!("not a result: {other:?}"),
    }
}

#[tokio::test]
async fn results_are_lines() {
    let served = Served::new().await;
    let response = served.get(&format!("/v1/batches/{OLD}/results")).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut reader = Reader::new(response);
    let first = result(reader.result().await);
    assert_eq!(first, ResultLine::from(&record(0, Outcome::Done)));
    assert_eq!((first.stdout.as_deref(), first.stdout_bytes()), (Some("text\n"), &b"text\n"[..]));
    assert_eq!((first.stderr.as_deref(), first.stderr_bytes()), (None, &b"\xff\0"[..]));
    assert_eq!((first.wall_seconds, first.started_at.to_string().as_str()), (1.5, "2026-01-02T02:50:45.000001Z"));
    assert_eq!(result(reader.result().await).exit, Exit::Signal(9));
    assert_eq!(reader.result().await, None);
}

#[tokio::test]
async fn only_failures_if_asked() {
    let served = Served::new().await;
    let mut reader = Reader::new(served.get(&format!("/v1/batches/{OLD}/results?failed=true")).await);
    assert_eq!(result(reader.result().await).outcome, Outcome::Failed);
    assert_eq!(reader.result().await, None);
}

#[tokio::test]
async fn a_follower_hears_each_result_as_it_comes_and_the_end() {
    let served = Served::new().await;
    let mut reader = Reader::new(served.get(&format!("/v1/batches/{OLD}/results?follow=true")).await);
    assert_eq!(result(reader.result().await).document.0, 0);
    assert_eq!(result(reader.result().await).document.0, 1);
    let follower = served.fake.followers.lock().expect("a lock").pop().expect("a follower");
    for number in 2..5 {
        follower.send(Ok(record(number, Outcome::Done))).expect("it listens");
        assert_eq!(result(reader.result().await).document.0, number);
    }
    drop(follower);
    assert_eq!(reader.result().await, None);
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_reason() {
    let served = Served::new().await;
    let mut reader = Reader::new(served.get(&format!("/v1/batches/{OLD}/results?follow=true")).await);
    let follower = served.fake.followers.lock().expect("a lock").pop().expect("a follower");
    let reason = Problem::new(ErrorCode::Unavailable, "the nodes that hold the rest are gone").hint("ask again");
    follower.send(Err(reason.clone())).expect("it listens");
    follower.send(Ok(record(9, Outcome::Done))).expect("it listens");
    result(reader.result().await);
    result(reader.result().await);
    assert_eq!(reader.result().await, Some(ResultsLine::Problem(reason)));
    assert_eq!(reader.result().await, None);
}

#[tokio::test]
async fn a_follower_that_leaves_is_let_go() {
    let served = Served::new().await;
    let reader = Reader::new(served.get(&format!("/v1/batches/{OLD}/results?follow=true")).await);
    let follower = served.fake.followers.lock().expect("a lock").pop().expect("a follower");
    drop(reader);
    until("the stream is dropped", || follower.is_closed()).await;
}

#[tokio::test]
async fn a_bad_question_for_results_is_refused() {
    let served = Served::new().await;
    let ask = async |query: &str| served.get(&format!("/v1/batches/{OLD}/results?{query}")).await;
    refused(ask("follow=maybe").await, ErrorCode::BadRequest, "follow").await;
    refused(ask("folow=true").await, ErrorCode::BadRequest, "unknown field `folow`").await;
    refused(served.get("/v1/batches/00/results").await, ErrorCode::NotFound, "there is no batch").await;
}

#[test]
fn a_character_cut_in_two_counts_as_cut_off() {
    let captured = |bytes: &'static [u8], dropped| {
        let mut record = record(0, Outcome::Done);
        record.stdout = Captured { bytes: Bytes::from_static(bytes), dropped };
        let line = ResultLine::from(&record);
        (line.stdout, line.stdout_base64, line.stdout_dropped)
    };
    assert_eq!(captured(b"a\xc3", 5), (Some("a".to_owned()), None, 6));
    assert_eq!(captured(b"a\xc3", 0), (None, Some(b"a\xc3".to_vec()), 0), "it was never a character");
    assert_eq!(captured(b"\xffa\xc3", 5), (None, Some(b"\xffa\xc3".to_vec()), 5), "it is not text");
}

#[tokio::test]
async fn events_come_with_their_ids_and_can_be_resumed() {
    let served = Served::new().await;
    let event = |number: u64| Event::BatchCancelled { batch: BatchId(number) };
    let mut reader = Reader::new(served.get("/v1/events").await);
    served.fake.publish(event(1));
    let first = reader.event().await;
    assert_eq!(first.event, event(1));
    drop(reader);

    served.fake.publish(event(2));
    let resume = async |id: u64| {
        let request = served.request(Method::GET, "/v1/events").header("last-event-id", id.to_string());
        Reader::new(request.send().await.expect("an answer"))
    };
    let mut reader = resume(first.id).await;
    assert_eq!(reader.event().await.event, event(2));

    (3..20).for_each(|number| served.fake.publish(event(number)));
    let mut late = resume(first.id).await;
    assert_eq!(late.event().await.event, Event::Missed { count: Some(10) });
    assert_eq!(late.event().await.event, event(12));
    let mut stranger = resume(5).await;
    assert_eq!(stranger.event().await.event, Event::Missed { count: None });

    let nonsense = served.request(Method::GET, "/v1/events").header("last-event-id", "x").send().await;
    refused(nonsense.expect("an answer"), ErrorCode::BadRequest, "Last-Event-ID is a number").await;
}
