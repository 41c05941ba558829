//! Tests of the API over a real socket, with a fake node behind it.

mod access;
mod description;
mod fake;
mod live;
mod page;
mod reading;
mod streams;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::fake::Fake;
use super::types::{ErrorCode, Problem};
use super::{ApiSettings, router, serve};

const SETTINGS: ApiSettings = ApiSettings {
    token: None,
    max_payload: 1_000,
    max_upload: 1 << 30,
    max_documents: 2_000_000,
    max_capture: 1_000,
    max_uploads: 4,
    upload_idle: Duration::from_secs(20),
};

/// A fake node that listens on a port of its own.
struct Served {
    fake: Arc<Fake>,
    address: SocketAddr,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Served {
    async fn new() -> Served {
        Served::with(SETTINGS).await
    }

    async fn with(settings: ApiSettings) -> Served {
        let fake = Arc::new(Fake::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let app = router(Arc::clone(&fake), settings);
        let server = tokio::spawn(serve(listener, app, async { drop(stopped.await) }));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Served { fake, address, client, stop: Some(stop), server }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    async fn send(&self, method: Method, path: &str) -> Response {
        self.request(method, path).send().await.expect("an answer")
    }

    async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path).await
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> T {
        json(self.get(path).await, StatusCode::OK).await
    }

    /// Uploads JSON lines.
    async fn upload(&self, body: impl Into<reqwest::Body>) -> Response {
        let request = self.request(Method::POST, "/v1/batches").header("content-type", "application/x-ndjson");
        request.body(body).send().await.expect("an answer")
    }

    /// A bare connection, to say what a proper client would not.
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Sends this text as it is and reads until the server closes.
    async fn say(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn json<T: DeserializeOwned>(response: Response, status: StatusCode) -> T {
    let (found, text) = (response.status(), response.text().await.expect("a body"));
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The problem that is the body, after a look at the status and the headers that go with it.
async fn problem(response: Response) -> Problem {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers().contains_key("www-authenticate"), status == StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers().contains_key("retry-after"), status == StatusCode::SERVICE_UNAVAILABLE);
    let problem: Problem = json(response, status).await;
    assert_eq!(status.as_u16(), problem.error.status(), "{problem}");
    problem
}

async fn refused(response: Response, error: ErrorCode, words: &str) {
    let problem = problem(response).await;
    assert_eq!(problem.error, error, "{problem}");
    assert!(problem.to_string().contains(words), "{words:?} in {problem}");
}

/// Waits until a condition of the fake holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
