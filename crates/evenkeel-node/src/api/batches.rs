//! `/v1/batches`: what there is, how it stands, and changing one's mind. Uploads are in `upload`, results in `results`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use evenkeel_core::ids::DocId;

use super::answer::{InPath, in_time};
use super::backend::Backend;
use super::documents::number_of;
use super::types::{Accepted, BatchStatus, Batches, Explanation, Problem, Schema};
use super::{Api, naming};

pub(super) async fn list<B: Backend>(State(api): State<Arc<Api<B>>>) -> Result<Json<Batches>, Problem> {
    let batches = in_time(api.backend.batches()).await?;
    Ok(Json(Batches { schema: Schema, batches }))
}

pub(super) async fn show<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
) -> Result<Json<BatchStatus>, Problem> {
    in_time(async { api.backend.batch(naming::batch(&*api.backend, &id).await?).await }).await.map(Json)
}

pub(super) async fn cancel<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
) -> Result<Json<BatchStatus>, Problem> {
    in_time(async { api.backend.cancel(naming::batch(&*api.backend, &id).await?).await }).await.map(Json)
}

pub(super) async fn remove<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
) -> Result<Json<BatchStatus>, Problem> {
    in_time(async { api.backend.remove(naming::batch(&*api.backend, &id).await?).await }).await.map(Json)
}

/// Not bounded in time: the payloads of the failed documents may have to come from other nodes, and are stored anew.
pub(super) async fn retry<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let accepted = api.backend.retry(naming::batch(&*api.backend, &id).await?).await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

pub(super) async fn explain<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath((id, number)): InPath<(String, String)>,
) -> Result<Json<Explanation>, Problem> {
    let number = number_of(&number)?;
    in_time(async {
        let batch = naming::batch(&*api.backend, &id).await?;
        api.backend.explain(DocId { batch, number }).await
    })
    .await
    .map(Json)
}
