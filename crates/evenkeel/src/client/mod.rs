//! A typed client of a node's HTTP API: a method for each route that the program uses.
//!
//! Knows URLs, the token, and the types of `evenkeel_node::api::types`; must not know what the answers are wanted for or
//! how they are shown.

mod error;
mod events;
mod health;
mod results;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evenkeel_core::ids::{BatchId, DocNumber};
use evenkeel_node::api::types::{Accepted, BatchStatus, Batches, Contents, Draining, Explanation, Nodes, Problem};
use futures_util::TryStream;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

pub use error::ClientError;
pub use events::EventStream;
pub use health::Health;
pub use results::{Received, ResultStream};

use crate::cli::client::ClientArgs;
use crate::cli::name::{BatchName, DocumentName};
use crate::output::exit::{CommandResult, ExitStatus, Failure};

/// Time that a node has to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Time that a node has for an answer; it gives up by itself, with a better message, somewhat earlier.
const ANSWER: Duration = Duration::from_secs(60);

/// Time that a node has to submit failed documents again: their payloads may have to come from other nodes.
const RETRY: Duration = Duration::from_secs(600);

/// Silence after which a peer is probed, so that a host that has lost its power does not keep us waiting for ever.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Largest answer that is read, streams aside.
const LARGEST_ANSWER: usize = 256 << 20;

/// Talks to one node, which answers for its cluster.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<HeaderValue>,
}

impl Client {
    /// A client of the node that these arguments name. Connects to nothing yet.
    pub fn new(arguments: &ClientArgs) -> Result<Client, Failure> {
        let token = arguments.token()?.map(|token| {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).expect("a checked token is printable ASCII");
            value.set_sensitive(true);
            value
        });
        // A proxy is for the world outside, and a redirect would carry the token who knows where.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_keepalive(KEEPALIVE)
            .user_agent(concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::says(ExitStatus::Failure, format!("cannot make an HTTP client: {error}")))?;
        Ok(Client { http, url: arguments.http.clone(), token })
    }

    /// The same for another node.
    pub fn at(&self, url: Url) -> Client {
        Client { url, ..self.clone() }
    }

    /// The node's URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Every batch, newest first.
    pub async fn batches(&self) -> Result<Batches, ClientError> {
        self.ask(Method::GET, &["v1", "batches"], ANSWER).await
    }

    /// One batch.
    pub async fn batch(&self, batch: &BatchName) -> Result<BatchStatus, ClientError> {
        self.ask(Method::GET, &["v1", "batches", batch.as_str()], ANSWER).await.map_err(|error| error.about(batch))
    }

    /// Digests of a batch's documents, from this number on.
    pub async fn contents(&self, batch: BatchId, from: DocNumber) -> Result<Contents, ClientError> {
        let request = self.request(Method::GET, &["v1", "batches", &batch.to_string(), "contents"]);
        let answer = async {
            let response = request.query(&[("from", from.0)]).send().await.map_err(|error| self.failed(&error))?;
            self.read(response).await
        };
        tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(self.silent(ANSWER)))
    }

    /// Cancels a batch.
    pub async fn cancel(&self, batch: &BatchName) -> Result<BatchStatus, ClientError> {
        self.ask(Method::DELETE, &["v1", "batches", batch.as_str()], ANSWER).await.map_err(|error| error.about(batch))
    }

    /// Removes a batch that has ended. Tells how it stood.
    pub async fn remove(&self, batch: &BatchName) -> Result<BatchStatus, ClientError> {
        let asked = self.ask(Method::POST, &["v1", "batches", batch.as_str(), "remove"], ANSWER).await;
        asked.map_err(|error| error.about(batch))
    }

    /// Submits the failed documents of a batch as a new one.
    pub async fn retry(&self, batch: &BatchName) -> Result<Accepted, ClientError> {
        let asked = self.ask(Method::POST, &["v1", "batches", batch.as_str(), "retry"], RETRY).await;
        asked.map_err(|error| error.about(batch))
    }

    /// Everything known of one document.
    pub async fn explain(&self, document: &DocumentName) -> Result<Explanation, ClientError> {
        let number = document.number.to_string();
        let path = ["v1", "batches", document.batch.as_str(), "documents", &number];
        self.ask(Method::GET, &path, ANSWER).await.map_err(|error| error.about(&document.batch))
    }

    /// The nodes, and how well the work is spread.
    pub async fn nodes(&self) -> Result<Nodes, ClientError> {
        self.ask(Method::GET, &["v1", "nodes"], ANSWER).await
    }

    /// Asks a node to give everything away and leave; `self` is the one that is talked to.
    pub async fn drain(&self, node: &str) -> Result<Draining, ClientError> {
        self.ask(Method::POST, &["v1", "nodes", node, "drain"], ANSWER).await
    }

    /// Uploads a batch: a header line and the documents, as lines of JSON. Bounded in time by the caller alone.
    pub async fn upload<S>(&self, lines: S) -> Result<Accepted, ClientError>
    where
        S: TryStream<Ok = Bytes, Error = std::io::Error> + Send + 'static,
    {
        let request = self.request(Method::POST, &["v1", "batches"]).header(CONTENT_TYPE, "application/x-ndjson");
        let answer = request.body(Body::wrap_stream(lines)).send().await;
        self.read(answer.map_err(|error| self.failed(&error))?).await
    }

    /// Begins to read the results of a batch; with `follow` until its last document has ended.
    pub async fn results(&self, batch: &BatchName, follow: bool, failed: bool) -> Result<ResultStream, ClientError> {
        let request = self.request(Method::GET, &["v1", "batches", batch.as_str(), "results"]);
        let request = request.query(&[("follow", follow), ("failed", failed)]);
        let answer = tokio::time::timeout(ANSWER, request.send()).await;
        let response = answer.map_err(|_| self.silent(ANSWER))?.map_err(|error| self.failed(&error))?;
        match response.status().is_success() {
            // Of a batch at work nothing may come for hours.
            true => Ok(ResultStream::new(response, (!follow).then_some(ANSWER))),
            false => Err(self.refusal(response).await.about(batch)),
        }
    }

    /// Begins to hear what happens: from now on or, if the same node was heard before, after the event with this id.
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, ClientError> {
        let mut request = self.request(Method::GET, &["v1", "events"]);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let answer = tokio::time::timeout(ANSWER, request.send()).await;
        let response = answer.map_err(|_| self.silent(ANSWER))?.map_err(|error| self.failed(&error))?;
        match response.status().is_success() {
            true => Ok(EventStream::new(response)),
            false => Err(self.refusal(response).await),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut().expect("an HTTP URL has a path").pop_if_empty().extend(path);
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        within: Duration,
    ) -> Result<T, ClientError> {
        let answer = async {
            let response = self.request(method, path).send().await.map_err(|error| self.failed(&error))?;
            self.read(response).await
        };
        tokio::time::timeout(within, answer).await.unwrap_or_else(|_| Err(self.silent(within)))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(response).await);
        }
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(status, error.to_string()))
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        match self.body(response).await {
            Ok(body) => match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => ClientError::Refused(problem),
                Err(_) => self.strange(status, format!("HTTP status {status}")),
            },
            Err(error) => error,
        }
    }

    async fn body(&self, mut response: Response) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(self.strange(response.status(), format!("more than {LARGEST_ANSWER} bytes in one answer")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        ClientError::of_transport(&self.url, error)
    }

    fn silent(&self, after: Duration) -> ClientError {
        ClientError::Silent { url: self.url.clone(), after }
    }

    fn strange(&self, status: StatusCode, reason: String) -> ClientError {
        ClientError::Strange { url: self.url.clone(), status: status.as_u16(), reason }
    }
}

/// Runs what talks to a node, to its end.
pub fn run(work: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
