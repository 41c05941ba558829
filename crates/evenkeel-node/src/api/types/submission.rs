//! A new batch on its way in: the header line, the document lines after it, and the answer.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use evenkeel_core::batch::{Allocate, BatchOptions};
use evenkeel_core::ids::BatchId;
use serde::{Deserialize, Serialize};

use super::{Schema, text};

/// First line of an upload: everything about the batch but its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBatch {
    /// Version of the JSON; may be left out.
    #[serde(default)]
    pub schema: Schema,
    /// The command template: program and arguments, with placeholders.
    pub command: Vec<String>,
    /// What is asked of the nodes.
    #[serde(default)]
    pub options: SubmitOptions,
    /// How many documents follow, if the sender knows: an upload with any other number of them is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u32>,
}

impl NewBatch {
    /// A batch of this command with default options.
    pub fn new(command: Vec<String>) -> NewBatch {
        NewBatch { schema: Schema, command, options: SubmitOptions::default(), documents: None }
    }
}

/// Options of a new batch. What is left out is as the node that takes the batch has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmitOptions {
    /// How often a failed document is tried again.
    pub retries: u32,
    /// Time before the first retry, like `"1s"`; doubled for each further one, up to five minutes.
    #[serde(with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
    /// Time after which a document's process group is killed, like `"10m"`; left out: never.
    #[serde(with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// First spread over the nodes: `lpt`, `uniform` or `pareto`.
    pub allocate: Allocate,
    /// Most bytes kept of each of standard output and standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<u64>,
    /// Nodes that keep the batch, each payload and each result, where so many live: 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u32>,
}

impl SubmitOptions {
    /// As the protocol has them, with `defaults` for what was left out.
    pub fn complete(&self, defaults: &BatchOptions) -> BatchOptions {
        BatchOptions {
            allocate: self.allocate,
            retries: self.retries,
            backoff_millis: self.backoff.map_or(defaults.backoff_millis, millis),
            timeout_millis: self.timeout.map(millis).or(defaults.timeout_millis),
            capture_bytes: self.capture.unwrap_or(defaults.capture_bytes),
            copies: self.copies.unwrap_or(defaults.copies),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One document of an upload, as a client writes it: a line of its own.
///
/// The server reads the same form with a parser that borrows (`api::upload`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentLine<'a> {
    /// The payload, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Cow<'a, str>>,
    /// The payload in base64, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// Predicted cost; left out: the number of bytes in the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

impl<'a> DocumentLine<'a> {
    /// A document with this payload, as text if it is text.
    pub fn new(payload: &'a [u8], length: Option<u64>) -> DocumentLine<'a> {
        match std::str::from_utf8(payload) {
            Ok(text) => DocumentLine { payload: Some(Cow::Borrowed(text)), payload_base64: None, length },
            Err(_) => DocumentLine { payload: None, payload_base64: Some(STANDARD.encode(payload)), length },
        }
    }
}

/// The batch is accepted: from now on its documents survive the loss of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Version of the JSON.
    pub schema: Schema,
    /// Its id.
    #[serde(with = "text")]
    pub batch: BatchId,
    /// Number of its documents.
    pub documents: u32,
    /// On how many nodes it is stored.
    pub copies: u32,
    /// What the submitter should know, for example that there are fewer copies than asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
