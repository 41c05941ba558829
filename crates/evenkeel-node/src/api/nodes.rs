//! `/v1/nodes`: the cluster as this node sees it, and asking a node to leave.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{InPath, in_time};
use super::backend::Backend;
use super::types::{Draining, Nodes, Problem, Schema};
use super::{Api, naming};

pub(super) async fn list<B: Backend>(State(api): State<Arc<Api<B>>>) -> Result<Json<Nodes>, Problem> {
    in_time(api.backend.nodes()).await.map(Json)
}

pub(super) async fn drain<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InPath(id): InPath<String>,
) -> Result<(StatusCode, Json<Draining>), Problem> {
    in_time(async {
        let nodes = api.backend.nodes().await?.nodes;
        let node = naming::node(&nodes, &id)?;
        api.backend.drain(node.id).await?;
        Ok((StatusCode::ACCEPTED, Json(Draining { schema: Schema, node: node.id, name: node.name.clone() })))
    })
    .await
}
