//! What machines ask: probes, metrics and the description of the API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Api;
use super::answer::in_time;
use super::backend::Backend;
use super::types::Problem;

/// Kept by hand; the tests compare its routes with the router's, and its examples and schemas with the types.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn livez<B: Backend>(State(api): State<Arc<Api<B>>>) -> Result<&'static str, Problem> {
    api.backend.live().map(|()| "ok\n")
}

pub(super) async fn readyz<B: Backend>(State(api): State<Arc<Api<B>>>) -> Result<String, Problem> {
    api.backend.ready().map(|()| match api.backend.remark() {
        Some(remark) => format!("ok; {remark}\n"),
        None => "ok\n".to_owned(),
    })
}

pub(super) async fn metrics<B: Backend>(State(api): State<Arc<Api<B>>>) -> Result<impl IntoResponse, Problem> {
    let snapshot = in_time(api.backend.metrics()).await?;
    let uploads = api.settings.max_uploads.saturating_sub(api.uploads.available_permits());
    let text = snapshot.to_prometheus(&api.requests, uploads);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
