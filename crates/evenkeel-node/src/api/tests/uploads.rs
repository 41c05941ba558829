//! Uploads: good ones, bad ones, broken ones and huge ones.

use std::convert::Infallible;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_core::batch::Allocate;
use evenkeel_core::units::Length;
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt;

use super::fake::resident_bytes;
use super::{SETTINGS, Served, json, problem, refused, until};
use crate::api::types::{Accepted, ErrorCode, NewBatch};
use crate::api::{ApiSettings, Document};

const HEADER: &str = "{\"command\": [\"sha256sum\", \"{}\"]}\n";

fn document(payload: &'static [u8], length: u64) -> Document {
    Document { payload: Bytes::from_static(payload), length: Length(length) }
}

#[tokio::test]
async fn json_lines_become_a_batch() {
    let served = Served::new().await;
    let body = concat!(
        r#"{"schema": 1, "command": ["sha256sum", "{}"], "documents": 4, "options": {"retries": 3, "#,
        r#""timeout": "1m 30s", "backoff": "250ms", "allocate": "pareto", "capture": 100}}"#,
        "\n{\"payload\": \"plain\"}\r\n\n",
        "{\"payload\": \"\\u00e4\\n\", \"length\": 9007199254740992}\n",
        "  {\"length\": 7, \"payload_base64\": \"/wA=\"}\n",
        "{\"payload\": \"\"}",
    );
    let response = served.upload(body).await;
    let location = response.headers()["location"].to_str().expect("text").to_owned();
    let accepted: Accepted = json(response, StatusCode::CREATED).await;
    assert_eq!((accepted.documents, accepted.warning.as_deref()), (4, Some("one copy")));
    assert_eq!(location, format!("/v1/batches/{}", accepted.batch));
    assert_eq!(served.get(&location).await.status(), StatusCode::OK);

    let header = served.fake.state.headers.lock().expect("a lock").remove(0);
    assert_eq!((header.options.retries, header.options.allocate), (3, Allocate::Pareto));
    assert_eq!(header.options.timeout, Some(Duration::from_secs(90)));
    assert_eq!((header.options.backoff, header.options.capture), (Some(Duration::from_millis(250)), Some(100)));
    let seen = served.fake.state.seen.lock().expect("a lock").clone();
    let expected =
        [document(b"plain", 5), document("\u{e4}\n".as_bytes(), 1 << 53), document(b"\xff\0", 7), document(b"", 0)];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn text_lines_become_a_batch() {
    let served = Served::new().await;
    let query = "command=grep&command=a+b%26c&retries=2&timeout=10s&backoff=1s&allocate=uniform&capture=5&documents=4";
    let request = served.request(Method::POST, &format!("/v1/batches?{query}"));
    let request = request.header("content-type", "text/plain; charset=utf-8");
    let response = request.body(b"one\n\n\xff{\"two\"}\r\nlast".to_vec()).send().await.expect("an answer");
    let accepted: Accepted = json(response, StatusCode::CREATED).await;
    assert_eq!(accepted.documents, 4);
    let header = served.fake.state.headers.lock().expect("a lock").remove(0);
    assert_eq!(header.command, ["grep", "a b&c"]);
    assert_eq!((header.options.retries, header.options.allocate), (2, Allocate::Uniform));
    let seen = served.fake.state.seen.lock().expect("a lock").clone();
    let expected = [document(b"one", 3), document(b"", 0), document(b"\xff{\"two\"}\r", 9), document(b"last", 4)];
    assert_eq!(seen, expected, "every byte but the newlines is payload");
}

#[tokio::test]
async fn a_bad_line_is_named_by_its_number_and_nothing_is_accepted() {
    let served = Served::new().await;
    let before = served.fake.state.batches.lock().expect("a lock").len();
    let long = format!("{{\"payload\": \"{}\"}}", "x".repeat(1_001));
    let longer = format!("{{\"payload\": \"{}\"}}", "x".repeat(100_000));
    for (line, error, words) in [
        ("{\"payload\": ", ErrorCode::BadLine, "not JSON at column 12"),
        ("[]", ErrorCode::BadLine, "a document is an object"),
        ("{}", ErrorCode::BadLine, "no payload"),
        ("{\"payload\": \"x\", \"length\": -1}", ErrorCode::BadLine, "the length -1 is negative"),
        ("{\"payload\": \"x\", \"length\": NaN}", ErrorCode::BadLine, "JSON has neither NaN nor Infinity"),
        ("{\"payload\": \"x\", \"length\": 18446744073709551616}", ErrorCode::BadLine, "too large: at most 2^53"),
        ("{\"payload\": \"x\", \"lengt\": 1}", ErrorCode::BadLine, "unknown field `lengt`"),
        (long.as_str(), ErrorCode::TooLarge, "a payload of 1001 bytes, and this node takes at most 1000"),
        (longer.as_str(), ErrorCode::TooLarge, "longer than"),
    ] {
        let good = "{\"payload\": \"x\"}\n".repeat(1_500);
        let response = served.upload(format!("{HEADER}{good}{line}\n{good}")).await;
        let problem = problem(response).await;
        assert_eq!((problem.error, problem.line), (error, Some(1_502)), "{line}: {problem}");
        assert!(problem.to_string().contains(words), "{words:?} in {problem}");
    }
    assert_eq!(served.fake.state.batches.lock().expect("a lock").len(), before);
    until("every upload is dropped", || served.fake.state.open.load(SeqCst) == 0).await;
    assert!(served.fake.state.begun.load(SeqCst) > 0);
}

#[tokio::test]
async fn a_bad_header_is_refused() {
    let served = Served::new().await;
    for (body, error, words) in [
        ("", ErrorCode::BadRequest, "the upload is empty"),
        ("\n \n", ErrorCode::BadRequest, "the upload is empty"),
        ("nonsense\n", ErrorCode::BadLine, "line 1: not JSON"),
        ("[[\"true\"]]\n", ErrorCode::BadLine, "the header is an object, not a list"),
        ("{\"payload\": \"x\"}\n", ErrorCode::BadLine, "the first line is the header"),
        ("{\"command\": \"true\"}\n", ErrorCode::BadLine, "invalid type: string"),
        ("{\"command\": []}\n", ErrorCode::BadRequest, "the command is empty"),
        ("{\"command\": [\"\"]}\n", ErrorCode::BadRequest, "the program, is empty"),
        ("{\"command\": [\"a\\u0000\"]}\n", ErrorCode::BadRequest, "NUL"),
        ("{\"command\": [\"{unknown}\"]}\n", ErrorCode::BadRequest, "unknown placeholder {unknown}"),
        ("{\"schema\": 2, \"command\": [\"true\"]}\n", ErrorCode::BadLine, "this is schema 2"),
        ("{\"command\": [\"true\"], \"options\": {\"retires\": 1}}\n", ErrorCode::BadLine, "unknown field `retires`"),
        (
            "{\"command\": [\"true\"], \"options\": {\"timeout\": \"5\"}}\n",
            ErrorCode::BadLine,
            "write a number and its unit",
        ),
        ("{\"command\": [\"true\"], \"options\": {\"timeout\": \"0s\"}}\n", ErrorCode::BadRequest, "a timeout of 0"),
        (
            "{\"command\": [\"true\"], \"options\": {\"retries\": -1}}\n",
            ErrorCode::BadLine,
            "invalid value: integer `-1`",
        ),
        ("{\"command\": [\"true\"], \"options\": {\"capture\": 1001}}\n", ErrorCode::TooLarge, "keeps at most 1000"),
        ("{\"command\": [\"true\"], \"documents\": 0}\n", ErrorCode::BadRequest, "at least one document"),
        ("{\"command\": [\"true\"], \"documents\": 4000000000}\n", ErrorCode::TooLarge, "at most 2000000"),
        ("{\"command\": [\"true\"]}\n\n", ErrorCode::BadRequest, "no documents"),
        (
            "{\"command\": [\"true\"], \"documents\": 2}\n{\"payload\": \"\"}\n",
            ErrorCode::BadRequest,
            "2 documents were announced, 1 came",
        ),
        ("{\"command\": [\"true\"]}\n{\"payload\": \"full\"}\n", ErrorCode::Internal, "the disk is full"),
    ] {
        let problem = problem(served.upload(body).await).await;
        assert_eq!(problem.error, error, "{body}: {problem}");
        assert!(problem.to_string().contains(words), "{words:?} in {problem}");
    }
}

#[tokio::test]
async fn a_bad_query_is_refused() {
    let served = Served::new().await;
    for (query, words) in [
        ("", "no command in the query"),
        ("?retries=1", "?command=sha256sum&command={}"),
        ("?command=x&retries=-1", "retries in the query is \"-1\", and should be a whole number"),
        ("?command=x&timeout=5", "a number and its unit, like 30s"),
        ("?command=x&allocate=best", "lpt, uniform or pareto"),
        ("?command=x&retires=1", "did you mean \"retries\"?"),
        ("?command=x&xyzzy=1", "there are command, retries"),
        ("?command=x&retries=1&retries=2", "\"retries\" twice"),
    ] {
        let request = served.request(Method::POST, &format!("/v1/batches{query}")).header("content-type", "text/plain");
        refused(request.body("x\n").send().await.expect("an answer"), ErrorCode::BadRequest, words).await;
    }
    let mixed = served.request(Method::POST, "/v1/batches?command=x").header("content-type", "application/x-ndjson");
    refused(mixed.body(HEADER).send().await.expect("an answer"), ErrorCode::BadRequest, "its first line").await;
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let served = Served::new().await;
    for content_type in [None, Some("application/x-www-form-urlencoded"), Some("application/json"), Some("text/csv")] {
        let mut request = served.request(Method::POST, "/v1/batches?command=true");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        refused(
            request.body("x\n").send().await.expect("an answer"),
            ErrorCode::UnsupportedMediaType,
            "application/x-ndjson",
        )
        .await;
    }
}

#[tokio::test]
async fn limits_of_a_batch_are_kept() {
    let served = Served::with(ApiSettings { max_documents: 3, max_upload: 200, ..SETTINGS }).await;
    let body = |documents: usize| format!("{HEADER}{}", "{\"payload\": \"x\"}\n".repeat(documents));
    assert_eq!(served.upload(body(3)).await.status(), StatusCode::CREATED);
    let problem = problem(served.upload(body(4)).await).await;
    assert_eq!((problem.error, problem.line), (ErrorCode::TooLarge, Some(5)), "{problem}");
    let padded = format!("{HEADER}{}", "\n".repeat(200));
    refused(served.upload(padded).await, ErrorCode::TooLarge, "larger than 200 bytes").await;
}

#[tokio::test]
async fn a_client_still_sending_hears_why_it_is_refused() {
    let served = Served::new().await;
    // Far more than the sockets hold between them, so that it is still being sent when the answer comes.
    let rest = "{\"payload\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n".repeat(600_000);
    let response = served.upload(format!("{HEADER}oops\n{rest}")).await;
    assert_eq!(problem(response).await.line, Some(2));
}

#[tokio::test]
async fn only_so_many_uploads_at_once() {
    let served = Served::with(ApiSettings { max_uploads: 1, ..SETTINGS }).await;
    let mut first = served.connect().await;
    let head = "POST /v1/batches?command=true HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n";
    first.write_all(format!("{head}Content-Length: 100\r\n\r\nbegun").as_bytes()).await.expect("sent");
    until("the first has begun", || served.fake.state.open.load(SeqCst) == 1).await;
    refused(
        served.upload(format!("{HEADER}{{\"payload\": \"x\"}}\n")).await,
        ErrorCode::Unavailable,
        "1 uploads are under way",
    )
    .await;
    drop(first);
    until("the first is dropped", || served.fake.state.open.load(SeqCst) == 0).await;
    assert_eq!(served.upload(format!("{HEADER}{{\"payload\": \"x\"}}\n")).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let served = Served::new().await;
    let before = served.fake.state.batches.lock().expect("a lock").len();
    let head = "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n";
    let documents = "{\"payload\": \"x\"}\n".repeat(3_000);
    for framing in ["Content-Length: 10000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nfffff\r\n"] {
        let begun = served.fake.state.begun.load(SeqCst);
        let mut stream = served.connect().await;
        stream.write_all(format!("{head}{framing}{HEADER}{documents}").as_bytes()).await.expect("sent");
        until("it has begun", || served.fake.state.begun.load(SeqCst) == begun + 1).await;
        assert_eq!(served.fake.state.open.load(SeqCst), 1);
        drop(stream);
        until("it is dropped", || served.fake.state.open.load(SeqCst) == 0).await;
    }
    assert!(served.fake.state.pushed.load(SeqCst) >= 1_024, "some documents had been handed on");
    assert_eq!(served.fake.state.batches.lock().expect("a lock").len(), before);
}

#[tokio::test]
async fn an_upload_that_falls_silent_is_given_up() {
    let served = Served::with(ApiSettings { upload_idle: Duration::from_millis(50), ..SETTINGS }).await;
    let answer = served
        .say(&format!(
            "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/jsonl\r\n\
             Content-Length: 1000\r\n\r\n{HEADER}"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("nothing arrived for 50ms"), "{answer}");
    until("it is dropped", || served.fake.state.open.load(SeqCst) == 0).await;
}

/// A body of so many chunks of lines, made as it is sent.
fn streamed(chunks: usize, chunk: Bytes) -> reqwest::Body {
    let header = futures_util::stream::iter([Bytes::from_static(HEADER.as_bytes())]);
    let chunks = futures_util::stream::iter(std::iter::repeat_n(chunk, chunks));
    reqwest::Body::wrap_stream(futures_util::StreamExt::map(
        futures_util::StreamExt::chain(header, chunks),
        Ok::<Bytes, Infallible>,
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_documents_pass_through_little_memory() {
    let served = Served::new().await;
    let chunk: String = (0..1_000)
        .map(|number| {
            format!("{{\"payload\": \"/some/directory/of/depth/number-{number:06}.html\", \"length\": {number}}}\n")
        })
        .collect();
    let before = resident_bytes();
    let begun = Instant::now();
    let response = served.upload(streamed(1_000, Bytes::from(chunk))).await;
    let accepted: Accepted = json(response, StatusCode::CREATED).await;
    let elapsed = begun.elapsed();
    let grown = served.fake.state.peak_memory.load(SeqCst).saturating_sub(before);
    println!("1,000,000 documents in {elapsed:?}, client and server together, {} KiB of memory more", grown >> 10);
    assert_eq!(accepted.documents, 1_000_000);
    assert_eq!(served.fake.state.pushed.load(SeqCst), 1_000_000);
    assert!(grown < 40 << 20, "{grown} bytes more");
}

#[tokio::test]
async fn a_slow_store_slows_the_client_down() {
    let served = Served::new().await;
    let stopped = served.fake.state.room.acquire_many(100).await.expect("open");
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let chunk = Bytes::from("{\"payload\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n".repeat(1_200));
    let (size, counter) = (chunk.len() as u64, std::sync::Arc::clone(&sent));
    let header = std::iter::once(Bytes::from_static(HEADER.as_bytes()));
    let chunks = header.chain((0..1_500).map(move |_| {
        counter.fetch_add(size, SeqCst);
        chunk.clone()
    }));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.map(Ok::<Bytes, Infallible>)));
    let request = served.request(Method::POST, "/v1/batches").header("content-type", "application/x-ndjson").body(body);
    let upload = tokio::spawn(request.send());

    until("it has begun", || served.fake.state.begun.load(SeqCst) == 1).await;
    // The sender stands still once every buffer between it and the store is full.
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = sent.load(SeqCst);
        if now == last && now > 0 {
            break;
        }
        last = now;
    }
    assert!(last < 40 << 20, "{last} bytes of 90 MB went into buffers");
    assert_eq!(served.fake.state.pushed.load(SeqCst), 0);
    drop(stopped);
    let accepted: Accepted = json(upload.await.expect("no panic").expect("an answer"), StatusCode::CREATED).await;
    assert_eq!(accepted.documents, 1_800_000);
}

#[test]
fn a_header_survives_the_wire() {
    let mut header = NewBatch::new(vec!["true".to_owned()]);
    header.options.timeout = Some(Duration::from_millis(1_500));
    header.documents = Some(3);
    let text = serde_json::to_string(&header).expect("JSON");
    assert_eq!(serde_json::from_str::<NewBatch>(&text).expect("a header"), header);
    assert!(text.contains("\"timeout\":\"1s 500ms\""), "{text}");
}
