//! A client of a node's HTTP API.

use std::time::Duration;

use anyhow::{Context, ensure};
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{
    Accepted, BatchStatus, DocumentLine, Draining, Explanation, NewBatch, Nodes, ResultLine, ResultsLine,
};
use serde::de::DeserializeOwned;

/// Longest time that a request may take: a node that hangs is found out.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks one node.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// A client of the node at this URL.
    pub fn new(base: &str) -> Api {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().expect("a client without TLS");
        Api { base: base.to_owned(), client }
    }

    /// The node's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(text)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let text = self.text(self.client.get(format!("{}{path}", self.base))).await?;
        serde_json::from_str(&text).with_context(|| format!("{path} answered {text}"))
    }

    /// The nodes as this one sees them.
    pub async fn nodes(&self) -> anyhow::Result<Nodes> {
        self.get("/v1/nodes").await
    }

    /// All metrics, as they are told.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        self.text(self.client.get(format!("{}/metrics", self.base))).await
    }

    /// A metric without labels.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("there is no {name} in {text}"))?.parse()?)
    }

    /// How a batch stands.
    pub async fn batch(&self, id: BatchId) -> anyhow::Result<BatchStatus> {
        self.get(&format!("/v1/batches/{id}")).await
    }

    /// Everything known of a document.
    pub async fn explain(&self, id: BatchId, number: u32) -> anyhow::Result<Explanation> {
        self.get(&format!("/v1/batches/{id}/documents/{number}")).await
    }

    /// What a document was submitted with.
    pub async fn payload(&self, id: BatchId, number: u32) -> anyhow::Result<String> {
        self.text(self.client.get(format!("{}/v1/batches/{id}/documents/{number}/payload", self.base))).await
    }

    /// Submits a batch.
    pub async fn submit(&self, batch: &NewBatch, documents: &[DocumentLine<'_>]) -> anyhow::Result<Accepted> {
        let mut body = serde_json::to_vec(batch)?;
        for document in documents {
            body.push(b'\n');
            serde_json::to_writer(&mut body, document)?;
        }
        let request = self.client.post(format!("{}/v1/batches", self.base)).body(body);
        let text = self.text(request.header("content-type", "application/x-ndjson")).await?;
        serde_json::from_str(&text).with_context(|| format!("the submission was answered with {text}"))
    }

    /// The results there are, by number of their documents.
    ///
    /// # Errors
    /// Also if the stream ends with a problem, or names a document twice.
    pub async fn results(&self, id: BatchId) -> anyhow::Result<Vec<ResultLine>> {
        self.read_results(&format!("/v1/batches/{id}/results")).await
    }

    /// The same once all are there.
    ///
    /// # Errors
    /// The same.
    pub async fn all_results(&self, id: BatchId) -> anyhow::Result<Vec<ResultLine>> {
        self.read_results(&format!("/v1/batches/{id}/results?follow=true")).await
    }

    async fn read_results(&self, path: &str) -> anyhow::Result<Vec<ResultLine>> {
        let text = self.text(self.client.get(format!("{}{path}", self.base))).await?;
        let mut results = Vec::new();
        for line in text.lines() {
            match ResultsLine::parse(line)? {
                ResultsLine::Result(result) => results.push(*result),
                ResultsLine::Problem(problem) => anyhow::bail!("after {} results: {problem}", results.len()),
            }
        }
        results.sort_by_key(|result| result.document);
        let twice = results.windows(2).find(|pair| pair[0].document == pair[1].document);
        ensure!(twice.is_none(), "two results of one document: {twice:?}");
        Ok(results)
    }

    /// Cancels a batch.
    pub async fn cancel(&self, id: BatchId) -> anyhow::Result<BatchStatus> {
        let text = self.text(self.client.delete(format!("{}/v1/batches/{id}", self.base))).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Removes a batch.
    pub async fn remove(&self, id: BatchId) -> anyhow::Result<BatchStatus> {
        let text = self.text(self.client.post(format!("{}/v1/batches/{id}/remove", self.base))).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Submits the failed documents of a batch again.
    pub async fn retry(&self, id: BatchId) -> anyhow::Result<Accepted> {
        let text = self.text(self.client.post(format!("{}/v1/batches/{id}/retry", self.base))).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks a node, by its name, to leave.
    pub async fn drain(&self, name: &str) -> anyhow::Result<Draining> {
        let text = self.text(self.client.post(format!("{}/v1/nodes/{name}/drain", self.base))).await?;
        Ok(serde_json::from_str(&text)?)
    }
}
