//! Who is let in, and how the server starts and stops.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fake::Fake;
use super::{SETTINGS, Served, refused};
use crate::api::types::ErrorCode;
use crate::api::{ApiSettings, Token, routes};

const TOKEN: &str = "0123456789abcdef";

async fn guarded() -> Served {
    Served::with(ApiSettings { token: Some(Token::new(TOKEN).expect("a token")), ..SETTINGS }).await
}

#[tokio::test]
async fn with_a_token_nothing_but_probes_is_open() {
    let served = guarded().await;
    for (path, _) in routes::<Fake>() {
        let response = served.get(path).await;
        if ["/livez", "/readyz"].contains(&path) {
            assert_eq!(response.status(), StatusCode::OK, "{path}");
        } else {
            refused(response, ErrorCode::Unauthorized, "asks for a token").await;
        }
    }
    refused(served.get("/nothing").await, ErrorCode::Unauthorized, "asks for a token").await;
    let wrong = served.request(Method::GET, "/v1/nodes").bearer_auth("0123456789abcdeF").send().await;
    refused(wrong.expect("an answer"), ErrorCode::Unauthorized, "not the token of this node").await;
    let right = served.request(Method::GET, "/v1/nodes").bearer_auth(TOKEN).send().await.expect("an answer");
    assert_eq!(right.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_without_token_is_refused_before_it_is_read() {
    let served = guarded().await;
    refused(served.upload("{\"command\": [\"true\"]}\n{\"payload\": \"\"}\n").await, ErrorCode::Unauthorized, "token")
        .await;
    assert!(served.fake.state.headers.lock().expect("a lock").is_empty());
}

#[tokio::test]
async fn without_a_token_foreign_web_pages_are_refused() {
    let served = Served::new().await;
    let upload = |origin: &str| {
        let request = served.request(Method::POST, "/v1/batches?command=true").header("content-type", "text/plain");
        request.header("origin", origin).body("x\n").send()
    };
    refused(
        upload("https://evil.example").await.expect("an answer"),
        ErrorCode::Forbidden,
        "does not answer web pages",
    )
    .await;
    let own = upload(&format!("http://{}", served.address)).await.expect("an answer");
    assert_eq!(own.status(), StatusCode::CREATED);
    let rebound = served.say("GET /v1/nodes HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(rebound.starts_with("HTTP/1.1 403 ") && rebound.contains("\"forbidden\""), "{rebound}");
}

#[tokio::test]
async fn answers_are_neither_kept_nor_guessed_at() {
    let response = Served::new().await.get("/v1/nodes").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn what_is_not_http_is_answered_or_closed_and_hurts_nobody() {
    let served = Served::new().await;
    for nonsense in ["\0\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01"]
    {
        let mut stream = served.connect().await;
        stream.write_all(nonsense.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("half closed");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{nonsense:?}");
    }
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    let mut stream = served.connect().await;
    // The server may close before all of it is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    assert_eq!(served.get("/livez").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_server_stops_when_told_even_with_a_stream_open() {
    let mut served = Served::new().await;
    let events = served.get("/v1/events").await;
    assert_eq!(events.status(), StatusCode::OK);
    served.stop.take().expect("running").send(()).expect("listening");
    tokio::time::timeout(Duration::from_secs(15), &mut served.server).await.expect("in time").expect("no panic");
    assert!(tokio::net::TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_server_stops_at_once_when_nothing_is_under_way() {
    let mut served = Served::new().await;
    // An idle connection is kept alive by the client's pool.
    assert_eq!(served.get("/livez").await.status(), StatusCode::OK);
    served.stop.take().expect("running").send(()).expect("listening");
    tokio::time::timeout(Duration::from_secs(3), &mut served.server).await.expect("at once").expect("no panic");
}
