//! `/v1/batches/ID/documents` and `contents`: a batch's documents, or their digests, a page at a time, and the payload of one.
//!
//! A batch may have millions. Whatever is asked for, an answer has a bounded number of them, and the node has looked at a
//! bounded number.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use evenkeel_core::ids::{DocId, DocNumber};
use serde::Deserialize;

use super::answer::{InPath, InQuery, in_time};
use super::backend::{Backend, Listing};
use super::types::{Contents, Documents, ErrorCode, Problem};
use super::{Api, naming};

/// Documents of a page, unless the client says otherwise.
const PAGE: usize = 100;

/// Most documents of a page: about 200 kB.
const LARGEST_PAGE: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parameters {
    state: Option<String>,
    node: Option<String>,
    from: u32,
    limit: Option<usize>,
}

pub(super) async fn list<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
    InQuery(parameters): InQuery<Parameters>,
) -> Result<Json<Documents>, Problem> {
    let bad = |message: String| Problem::new(ErrorCode::BadRequest, message);
    let state = parameters.state.map(|name| name.parse()).transpose().map_err(bad)?;
    let limit = parameters.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(bad(format!("limit is {limit}")).hint(format!("a page has 1 to {LARGEST_PAGE} documents")));
    }
    in_time(async {
        let batch = naming::batch(&*api.backend, &id).await?;
        let node = match &parameters.node {
            Some(name) => Some(naming::node(&api.backend.nodes().await?.nodes, name)?.id),
            None => None,
        };
        let wanted = Listing { state, node, from: DocNumber(parameters.from), limit };
        api.backend.documents(batch, wanted).await
    })
    .await
    .map(Json)
}

/// Where a page of digests begins.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Begin {
    from: u32,
}

pub(super) async fn contents<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
    InQuery(Begin { from }): InQuery<Begin>,
) -> Result<Json<Contents>, Problem> {
    in_time(async {
        let batch = naming::batch(&*api.backend, &id).await?;
        api.backend.contents(batch, DocNumber(from)).await
    })
    .await
    .map(Json)
}

/// As bytes to be saved: a browser must not take a stranger's payload for a page of this node.
pub(super) async fn payload<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath((id, number)): InPath<(String, String)>,
) -> Result<Response, Problem> {
    let number = number_of(&number)?;
    let bytes = in_time(async {
        let batch = naming::batch(&*api.backend, &id).await?;
        api.backend.payload(DocId { batch, number }).await
    })
    .await?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_DISPOSITION, "attachment")];
    Ok((kind, bytes).into_response())
}

/// The number of a document, as it stands in a path.
pub(super) fn number_of(text: &str) -> Result<DocNumber, Problem> {
    text.parse().map(DocNumber).map_err(|_| {
        Problem::new(ErrorCode::BadRequest, format!("{text:?} is not the number of a document"))
            .hint("documents are numbered from 0")
    })
}
