//! Traces as a collector gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::ids::BatchId;
use evenkeel_core::units::Length;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::api::{Document, Upload};
use crate::config::Config;
use crate::daemon::{Daemon, Options};

const LONG: Duration = Duration::from_secs(180);

/// Spans by the node that sent them.
type Received = Arc<Mutex<Vec<(String, Span)>>>;

/// A collector that keeps what it gets.
async fn collector() -> (String, Received) {
    async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
        for part in request.resource_spans {
            let attributes = part.resource.expect("whose they are").attributes;
            assert_eq!(text(&attributes, "service.name"), "evenkeel");
            let node = text(&attributes, "service.instance.id");
            let spans = part.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.lock().unwrap().extend(spans.map(|span| (node.clone(), span)));
        }
        StatusCode::OK
    }
    let received = Received::default();
    let app = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, received)
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> &'a Value {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    let found = found.unwrap_or_else(|| panic!("no {key} in {attributes:?}"));
    found.value.as_ref().and_then(|value| value.value.as_ref()).expect("a value")
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match value(attributes, key) {
        Value::StringValue(text) => text.clone(),
        other => panic!("{key} is {other:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match value(attributes, key) {
        Value::IntValue(number) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

struct Run {
    daemon: Daemon,
    _directory: tempfile::TempDir,
}

async fn start(otlp: &str, sample: f64, seed: Option<&Daemon>) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = Some(directory.path().to_owned());
    config.node.max_process = 1.into();
    config.network.listen.set_port(0);
    config.network.seeds = seed.map(|seed| seed.address().to_string()).into_iter().collect();
    config.gossip.interval = Duration::from_millis(50);
    config.balance.rebalance_interval = Duration::from_millis(200);
    config.balance.takeover_delay = Duration::from_millis(200);
    config.telemetry.otlp = Some(otlp.to_owned());
    config.telemetry.sample = sample;
    let options = Options {
        config,
        keyring: None,
        token: None,
        http: false,
        keep_identity: true,
        outcomes: None,
        guardian: None,
    };
    Run { daemon: Daemon::start(options).await.unwrap(), _directory: directory }
}

/// Submits documents, of which one fails.
async fn submit(daemon: &Daemon, documents: usize, seconds: &str) -> BatchId {
    let script = format!("sleep {seconds}; test {{}} != bad");
    let mut upload = daemon.submission(["sh", "-c", &script].map(str::to_owned).to_vec(), BatchOptions::default());
    let payload = |number| if number == 0 { "bad" } else { "good" };
    let document = |number| Document { payload: payload(number).into(), length: Length(1) };
    upload.push((0..documents).map(document).collect()).await.unwrap();
    upload.finish().await.unwrap().batch
}

async fn finished(daemon: &Daemon, batch: BatchId) {
    let is_finished =
        move |node: &evenkeel_core::Node| node.state().batch(batch).is_some_and(|batch| batch.is_finished());
    if tokio::time::timeout(LONG, daemon.wait_until(is_finished)).await.is_err() {
        let health = daemon.inner.store.health();
        let (trouble, writing, commits) = (health.trouble(), health.writing(), health.commits().count());
        let left = daemon
            .ask(move |node| (node.waiting(), node.slots().collect::<Vec<_>>(), node.may_act(), node.gives_away()))
            .await;
        panic!(
            "documents did not end: {}; waiting, slots, acts, gives away: {left:?}; disk: {trouble:?}, {writing:?} at a \
             commit after {commits}; {:?}",
            daemon.inner.summary(),
            daemon.inner.pulse
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_hears_of_batches_documents_transfers_takeovers_and_commits() {
    const DOCUMENTS: usize = 30;
    let (url, received) = collector().await;
    let first = start(&url, 1.0, None).await;
    let batch = submit(&first.daemon, DOCUMENTS, "0.1").await;
    // Comes later, and is given some; goes before it has done them.
    let second = start(&url, 1.0, Some(&first.daemon)).await;
    let (me, other) = (first.daemon.me().node, second.daemon.me().node);
    let has_some = move |node: &evenkeel_core::Node| node.counters().started > 1 && node.waiting() > 1;
    tokio::time::timeout(LONG, second.daemon.wait_until(has_some)).await.expect("it is given some");
    second.daemon.stop().await;
    finished(&first.daemon, batch).await;
    first.daemon.stop().await;

    let received = received.lock().unwrap();
    let named =
        |name: &str| -> Vec<&(String, Span)> { received.iter().filter(|(_, span)| span.name == name).collect() };
    let names: BTreeSet<&str> = received.iter().map(|(_, span)| span.name.as_str()).collect();
    assert_eq!(names, ["commit", "document", "keep", "process", "submit", "takeover", "transfer"].into());
    let nodes: BTreeSet<&str> = received.iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, [me.to_string().as_str(), other.to_string().as_str()].into());
    assert!(received.iter().all(|(_, span)| span.end_time_unix_nano >= span.start_time_unix_nano));

    let [(_, upload)] = named("submit")[..] else { panic!("{:?}", named("submit")) };
    assert_eq!(text(&upload.attributes, "batch"), batch.to_string());
    assert_eq!((number(&upload.attributes, "documents"), number(&upload.attributes, "copies")), (DOCUMENTS as i64, 1));

    // Every document has a trace of its own, and runs of the same one are in the same, whichever node had them.
    let documents = named("document");
    let mut traces: BTreeMap<i64, BTreeSet<&[u8]>> = BTreeMap::new();
    for (_, span) in &documents {
        assert!(span.parent_span_id.is_empty(), "a run is the whole");
        traces.entry(number(&span.attributes, "document")).or_default().insert(&span.trace_id);
    }
    assert_eq!(traces.len(), DOCUMENTS);
    assert!(traces.values().all(|ids| ids.len() == 1), "{traces:?}");
    assert_eq!(traces.values().flatten().collect::<BTreeSet<_>>().len(), DOCUMENTS);
    let kept: Vec<&Span> =
        documents.iter().map(|(_, span)| span).filter(|span| span.attributes.iter().any(|a| a.key == "end")).collect();
    let failed: Vec<&&Span> = kept.iter().filter(|span| text(&span.attributes, "outcome") == "failed").collect();
    assert!(failed.iter().all(|span| number(&span.attributes, "document") == 0), "{failed:?}");
    assert!(!failed.is_empty() && failed[0].status.as_ref().is_some_and(|status| status.code == 2), "{failed:?}");
    for part in named("process").into_iter().chain(named("keep")) {
        let whole = documents.iter().find(|(_, span)| span.span_id == part.1.parent_span_id).expect("a parent");
        assert_eq!(whole.1.trace_id, part.1.trace_id);
        assert!(whole.1.start_time_unix_nano <= part.1.start_time_unix_nano);
    }
    let lasted = |span: &Span| Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano);
    let ended = named("process").into_iter().filter(|(_, span)| span.attributes.iter().any(|a| a.key == "success"));
    assert!(
        ended.clone().count() >= DOCUMENTS && ended.clone().all(|(_, span)| lasted(span) >= Duration::from_millis(90))
    );

    let given = named("transfer").into_iter().filter(|(node, _)| *node == me.to_string());
    let to_other = given.filter(|(_, span)| text(&span.attributes, "to") == other.to_string());
    let granted: i64 = to_other
        .filter(|(_, span)| span.attributes.iter().any(|attribute| attribute.key == "documents.granted"))
        .map(|(_, span)| number(&span.attributes, "documents.granted"))
        .sum();
    assert!(granted > 1, "{granted}");
    let (node, takeover) = named("takeover")[0];
    assert_eq!((node, text(&takeover.attributes, "from")), (&me.to_string(), other.to_string()));
    assert!(number(&takeover.attributes, "documents") > 1);
    // Some write nothing but who holds what.
    assert!(named("commit").iter().any(|(_, span)| number(&span.attributes, "writes") > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_costs_nothing_but_the_traces() {
    // A port that nobody listens on: it is reserved.
    let run = start("http://127.0.0.1:1", 1.0, None).await;
    let batch = submit(&run.daemon, 3, "0").await;
    finished(&run.daemon, batch).await;
    tokio::time::timeout(LONG, run.daemon.stop()).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sampled_is_not_sent() {
    let (url, received) = collector().await;
    let run = start(&url, 0.0, None).await;
    let batch = submit(&run.daemon, 3, "0").await;
    finished(&run.daemon, batch).await;
    run.daemon.stop().await;
    assert!(received.lock().unwrap().is_empty());
}
