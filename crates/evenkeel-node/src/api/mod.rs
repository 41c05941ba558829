//! The HTTP API of a node. Any node answers for the whole cluster.
//!
//! Knows HTTP and JSON; what a node is and does it knows only as a [`Backend`]. Every answer that is not a success is a
//! [`types::Problem`]; nothing that a client sends is buffered without a bound.

mod answer;
mod backend;
mod batches;
mod document;
mod documents;
mod event_log;
mod events;
mod guard;
mod header;
mod lines;
mod live;
pub mod metrics;
mod monitoring;
mod naming;
mod nodes;
mod page;
mod results;
mod serve;
#[cfg(test)]
mod tests;
mod token;
pub mod types;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post};
use tokio::sync::Semaphore;

use crate::config::Config;
use metrics::Requests;

pub use backend::{Backend, Document, Listing, Results, Upload, Wanted};
pub use event_log::EventLog;
pub use header::{MAX_COMMAND, command_bytes};
pub use metrics::Snapshot;
pub use serve::serve;
pub use token::{Token, TokenError};

/// What an operator may set of the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The token that every request but `/livez`, `/readyz` and the page itself must bring; `None`: no token is asked for.
    pub token: Option<Token>,
    /// Largest payload of a document in bytes.
    pub max_payload: u64,
    /// Largest upload in bytes, the JSON around the payloads included.
    pub max_upload: u64,
    /// Most documents of a batch.
    pub max_documents: u32,
    /// Most bytes of each output that a batch may ask to be kept.
    pub max_capture: u64,
    /// Most uploads at the same time.
    pub max_uploads: usize,
    /// Silence after which an upload is given up.
    pub upload_idle: Duration,
}

impl ApiSettings {
    /// What of a configuration concerns the API; the token is read by the caller, with [`Token::find`].
    pub fn new(config: &Config, token: Option<Token>) -> ApiSettings {
        ApiSettings {
            token,
            max_payload: config.documents.max_payload,
            max_upload: config.http.max_upload,
            max_documents: config.http.max_documents,
            max_capture: config.processes.capture_max,
            max_uploads: config.http.max_uploads as usize,
            upload_idle: config.http.upload_idle,
        }
    }
}

/// What handlers share.
struct Api<B> {
    backend: Arc<B>,
    settings: ApiSettings,
    /// One permit for each upload under way.
    uploads: Semaphore,
    /// What all who watch are told.
    live: Arc<live::Live>,
    requests: Requests,
}

/// Every route with its methods. `openapi.json` describes the same ones; a test compares the two.
fn routes<B: Backend>() -> [(&'static str, MethodRouter<Arc<Api<B>>>); 17] {
    [
        ("/v1/batches", get(batches::list).post(upload::create)),
        ("/v1/batches/{id}", get(batches::show).merge(delete(batches::cancel))),
        ("/v1/batches/{id}/results", get(results::stream)),
        ("/v1/batches/{id}/retry", post(batches::retry)),
        ("/v1/batches/{id}/remove", post(batches::remove)),
        ("/v1/batches/{id}/documents", get(documents::list)),
        ("/v1/batches/{id}/contents", get(documents::contents)),
        ("/v1/batches/{id}/documents/{number}", get(batches::explain)),
        ("/v1/batches/{id}/documents/{number}/payload", get(documents::payload)),
        ("/v1/nodes", get(nodes::list)),
        ("/v1/nodes/{id}/drain", post(nodes::drain)),
        ("/v1/events", get(events::stream)),
        ("/v1/live", get(live::stream)),
        ("/v1/openapi.json", get(monitoring::openapi)),
        ("/metrics", get(monitoring::metrics)),
        ("/livez", get(monitoring::livez)),
        ("/readyz", get(monitoring::readyz)),
    ]
}

/// The API of one node, to be given to [`serve()`].
pub fn router<B: Backend>(backend: Arc<B>, settings: ApiSettings) -> Router {
    let uploads = Semaphore::new(settings.max_uploads);
    let (live, requests) = (Arc::default(), Requests::default());
    let api = Arc::new(Api { backend, settings, uploads, live, requests });
    routes()
        .into_iter()
        .chain(page::routes())
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(answer::unknown_route)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&api), guard::check))
        .with_state(api)
}
