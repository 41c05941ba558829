//! `POST /v1/batches`: a batch is read as it arrives, and handed on group by group at the pace at which it is stored.
//!
//! Nothing is accepted before the last byte is here and every line is good: an upload that breaks off leaves nothing.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use futures_util::{Stream, StreamExt};

use super::answer::InQuery;
use super::backend::{Backend, Document, Upload};
use super::lines::{Limits, Lines};
use super::types::{Accepted, ErrorCode, Problem};
use super::{Api, ApiSettings, document, header};

/// Documents that are handed on together, at most.
const GROUP: usize = 1_024;

/// Payload bytes that are handed on together, unless a single document is larger.
const GROUP_BYTES: usize = 1 << 20;

/// After a refusal so much of the rest is read and thrown away, for so long: a client that is still sending
/// would otherwise see its connection reset, and not the reason.
const LINGER_BYTES: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(5);

pub(super) async fn create<B: Backend>(
    State(api): State<Arc<Api<B>>>,
    InQuery(parameters): InQuery<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Accepted>), Problem> {
    let form = Form::of(&headers);
    let settings = &api.settings;
    // Escapes may make a text six times as long as its payload.
    let line = match form {
        Ok(Form::Text) => settings.max_payload,
        _ => settings.max_payload.saturating_mul(6).saturating_add(64 << 10),
    };
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let limits = Limits { line, body: settings.max_upload, idle: settings.upload_idle };
    let mut lines = Lines::new(body.into_data_stream(), limits);
    let count = api.requests.upload();
    match receive(&api, form, parameters, &mut lines).await {
        Ok(accepted) => {
            count.accepted(accepted.documents);
            let location = [(LOCATION, format!("/v1/batches/{}", accepted.batch))];
            Ok((StatusCode::CREATED, location, Json(accepted)))
        }
        Err(problem) => {
            count.refused();
            // A client that fell silent has nothing on the way.
            if problem.error != ErrorCode::Timeout {
                tokio::spawn(linger(lines.into_rest()));
            }
            Err(problem)
        }
    }
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A header line, and a line of JSON for each document.
    Json,
    /// A line of text for each document; the header is in the query.
    Text,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Form, Problem> {
        let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")).unwrap_or_default();
        match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Form::Json),
            "text/plain" => Ok(Form::Text),
            _ => {
                let message = format!("the content type {given:?} means nothing here");
                Err(Problem::new(ErrorCode::UnsupportedMediaType, message).hint(
                    "send application/x-ndjson (a header line, then a document a line), \
                     or text/plain (a document a line) with ?command=...",
                ))
            }
        }
    }
}

async fn receive<B, S, E>(
    api: &Api<B>,
    form: Result<Form, Problem>,
    parameters: Vec<(String, String)>,
    lines: &mut Lines<S>,
) -> Result<Accepted, Problem>
where
    B: Backend,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let form = form?;
    let _permit = api.uploads.try_acquire().map_err(|_| {
        let message = format!("{} uploads are under way here, and that is the limit", api.settings.max_uploads);
        Problem::new(ErrorCode::Unavailable, message).hint("try again, or try another node")
    })?;
    let header = match form {
        Form::Text => header::from_query(parameters)?,
        Form::Json => header::from_first_line(parameters, lines).await?,
    };
    header::check(&header, &api.settings)?;
    let announced = header.documents;
    let mut upload = api.backend.begin(header).await?;
    let documents = push_documents(form, &api.settings, lines, &mut upload).await?;
    check_count(documents, announced)?;
    upload.finish().await
}

async fn push_documents<S, E>(
    form: Form,
    settings: &ApiSettings,
    lines: &mut Lines<S>,
    upload: &mut impl Upload,
) -> Result<u32, Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    let mut documents: u32 = 0;
    let mut group = Group::default();
    while let Some(line) = lines.next().await? {
        let document = match form {
            Form::Json if line.trim_ascii().is_empty() => continue,
            Form::Json => document::from_json(&line, settings.max_payload),
            Form::Text => document::from_text(line, settings.max_payload),
        };
        let document = document.map_err(|problem| problem.line(lines.number()))?;
        if documents == settings.max_documents {
            let message = format!("more than {documents} documents, the most that this node takes in one batch");
            return Err(Problem::new(ErrorCode::TooLarge, message)
                .hint("split it into several batches, or raise http.max_documents on this node")
                .line(lines.number()));
        }
        documents += 1;
        if let Some(full) = group.add(document) {
            upload.push(full).await?;
        }
    }
    if !group.documents.is_empty() {
        upload.push(group.documents).await?;
    }
    Ok(documents)
}

/// Documents that wait to be handed on together.
#[derive(Default)]
struct Group {
    documents: Vec<Document>,
    bytes: usize,
}

impl Group {
    /// Adds a document; gives the group away if it is full.
    fn add(&mut self, document: Document) -> Option<Vec<Document>> {
        self.bytes += document.payload.len();
        self.documents.push(document);
        if self.documents.len() < GROUP && self.bytes < GROUP_BYTES {
            return None;
        }
        self.bytes = 0;
        let next = Vec::with_capacity(self.documents.len());
        Some(std::mem::replace(&mut self.documents, next))
    }
}

fn check_count(documents: u32, announced: Option<u32>) -> Result<(), Problem> {
    match announced {
        _ if documents == 0 => {
            Err(Problem::new(ErrorCode::BadRequest, "no documents").hint("a batch has at least one document"))
        }
        Some(announced) if announced != documents => {
            let message = format!("{announced} documents were announced, {documents} came; nothing was accepted");
            Err(Problem::new(ErrorCode::BadRequest, message).hint("send the batch again"))
        }
        _ => Ok(()),
    }
}

/// Reads on for a while and drops what comes, beside the answer that is being sent.
async fn linger<E>(rest: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let mut read = 0;
    let mut rest = rest.take_while(|chunk| {
        read += chunk.as_ref().map_or(LINGER_BYTES, Bytes::len);
        std::future::ready(read < LINGER_BYTES)
    });
    // Either way the connection is closed next: by the client, which has its answer, or by dropping the rest.
    let _ = tokio::time::timeout(LINGER, async { while rest.next().await.is_some() {} }).await;
}
