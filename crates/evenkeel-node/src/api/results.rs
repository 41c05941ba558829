//! `/v1/batches/ID/results`: results as lines of JSON, fetched and sent at the pace at which the client reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use super::answer::{InPath, InQuery, in_time};
use super::backend::{Backend, Results, Wanted};
use super::types::{Problem, ResultLine};
use super::{Api, naming};

/// Lines are sent together up to so many bytes, if they are there.
const FRAME: usize = 64 << 10;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    follow: bool,
    failed: bool,
}

pub(super) async fn stream<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
    InQuery(Parameters { follow, failed }): InQuery<Parameters>,
) -> Result<Response, Problem> {
    let results = in_time(async {
        let batch = naming::batch(&*api.backend, &id).await?;
        api.backend.results(batch, Wanted { follow, failed }).await
    })
    .await?;
    let body = Body::from_stream(Frames { results: Some(results), frame: Vec::new() });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Results as frames of whole lines. A problem is the last line: the HTTP status has long been sent.
struct Frames {
    results: Option<Results>,
    frame: Vec<u8>,
}

impl Frames {
    fn push(&mut self, line: &impl Serialize) {
        serde_json::to_writer(&mut self.frame, line).expect("the line is made of strings and numbers");
        self.frame.push(b'\n');
    }

    fn flush(&mut self) -> Poll<Option<Result<Bytes, Infallible>>> {
        let frame = std::mem::take(&mut self.frame);
        Poll::Ready((!frame.is_empty()).then(|| Ok(Bytes::from(frame))))
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(results) = &mut self.results {
            let next = match results.poll_next_unpin(cx) {
                Poll::Pending if self.frame.is_empty() => return Poll::Pending,
                Poll::Pending => return self.flush(),
                Poll::Ready(next) => next,
            };
            match next {
                Some(Ok(record)) => self.push(&ResultLine::from(&record)),
                Some(Err(problem)) => {
                    self.push(&problem);
                    self.results = None;
                }
                None => self.results = None,
            }
            if self.frame.len() >= FRAME {
                return self.flush();
            }
        }
        self.flush()
    }
}
