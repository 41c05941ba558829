//! The body of every answer that is not a success: what, where, and what to do.

use std::fmt;

use evenkeel_core::ids::{BatchId, DocId};
use serde::{Deserialize, Serialize};

use super::Schema;

/// What kind of problem it is. The command line's exit status and the HTTP status follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request makes no sense.
    BadRequest,
    /// A line of an upload makes no sense.
    BadLine,
    /// There is no such batch, document, node or route.
    NotFound,
    /// A prefix or name stands for more than one.
    Ambiguous,
    /// The route exists, for another method.
    MethodNotAllowed,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request comes from a foreign web page.
    Forbidden,
    /// The state of the thing does not allow it.
    Conflict,
    /// A document, a line or the whole upload is larger than this node takes.
    TooLarge,
    /// Not a content type that uploads may have.
    UnsupportedMediaType,
    /// Nothing arrived for too long.
    Timeout,
    /// This node has its hands full, is starting or is leaving: try another, or later.
    Unavailable,
    /// A defect of this node, or of its disk.
    Internal,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Version of the JSON.
    pub schema: Schema,
    /// What kind of problem it is.
    pub error: ErrorCode,
    /// What, and where.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Line of the upload, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Problem {
        Problem { schema: Schema, error, message: message.into(), hint: None, line: None }
    }

    /// There is no such batch.
    pub fn no_such_batch(id: BatchId) -> Problem {
        Problem::new(ErrorCode::NotFound, format!("there is no batch {id}"))
            .hint("`evenkeel status` lists the batches that this node knows")
    }

    /// There is no such document.
    pub fn no_such_document(doc: DocId, documents: u32) -> Problem {
        let message = format!("there is no document {doc}: batch {} has {documents}, numbered from 0", doc.batch);
        Problem::new(ErrorCode::NotFound, message)
    }

    /// With what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// With the line of the upload, from 1.
    pub fn line(mut self, line: u64) -> Problem {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for Problem {}
