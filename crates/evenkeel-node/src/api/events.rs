//! `/v1/events`: what happens, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse;
use futures_util::{Stream, StreamExt};

use super::Api;
use super::backend::Backend;
use super::types::{ErrorCode, Numbered, Problem};

/// Silence after which a comment is sent, so that neither end, nor a proxy between them, holds the stream for dead.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn stream<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    headers: HeaderMap,
) -> Result<sse::Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let after = last_event_id(&headers)?;
    let events = api.backend.events().read(after).map(|event| Ok(frame(&event)));
    Ok(sse::Sse::new(events).keep_alive(sse::KeepAlive::new().interval(KEEP_ALIVE)))
}

pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    match value.to_str().ok().map(str::trim) {
        // What a browser sends before it has received any.
        Some("") => Ok(None),
        text => text.and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| {
            Problem::new(ErrorCode::BadRequest, format!("Last-Event-ID is a number, not {value:?}"))
                .hint("leave it out to hear what happens from now on")
        }),
    }
}

fn frame(event: &Numbered) -> sse::Event {
    let json = serde_json::to_string(event).expect("an event is made of strings and numbers");
    sse::Event::default().id(event.id.to_string()).event(event.event.name()).data(json)
}
