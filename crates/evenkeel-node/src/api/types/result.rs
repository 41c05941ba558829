//! One line of a batch's results: how a document ended and what it wrote.

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocNumber, Epoch, NodeId};
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Problem, Schema, text};

/// Result of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// Version of the JSON.
    pub schema: Schema,
    /// The batch.
    #[serde(with = "text")]
    pub batch: BatchId,
    /// The document's number in it.
    pub document: DocNumber,
    /// How the document ended.
    pub outcome: Outcome,
    /// How the process ended: `{"status": 0}`, `{"signal": 9}`, `"timed_out"`, `{"not_started": "why"}` or `"poison"`.
    pub exit: Exit,
    /// Which attempt decided, from 1.
    pub attempt: Attempt,
    /// The epoch under which it ran.
    pub epoch: Epoch,
    /// The node that ran it.
    #[serde(with = "text")]
    pub node: NodeId,
    /// When the process started, by its node's clock.
    pub started_at: Timestamp,
    /// Wall time.
    pub wall_seconds: f64,
    /// User CPU time.
    pub user_seconds: f64,
    /// System CPU time.
    pub system_seconds: f64,
    /// Peak resident memory.
    pub max_rss_bytes: u64,
    /// Standard output, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// Standard output, if it is not text.
    #[serde(default, with = "text::base64_bytes", skip_serializing_if = "Option::is_none")]
    pub stdout_base64: Option<Vec<u8>>,
    /// Bytes of standard output that were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stdout_dropped: u64,
    /// Standard error, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// Standard error, if it is not text.
    #[serde(default, with = "text::base64_bytes", skip_serializing_if = "Option::is_none")]
    pub stderr_base64: Option<Vec<u8>>,
    /// Bytes of standard error that were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stderr_dropped: u64,
}

impl ResultLine {
    /// What was kept of standard output.
    pub fn stdout_bytes(&self) -> &[u8] {
        bytes(&self.stdout, &self.stdout_base64)
    }

    /// What was kept of standard error.
    pub fn stderr_bytes(&self) -> &[u8] {
        bytes(&self.stderr, &self.stderr_base64)
    }
}

impl From<&ResultRecord> for ResultLine {
    fn from(record: &ResultRecord) -> ResultLine {
        let stdout = Output::from(&record.stdout);
        let stderr = Output::from(&record.stderr);
        ResultLine {
            schema: Schema,
            batch: record.doc.batch,
            document: record.doc.number,
            outcome: record.outcome,
            exit: record.exit.clone(),
            attempt: record.attempt,
            epoch: record.epoch,
            node: record.node,
            started_at: timestamp(record.started_unix_micros),
            wall_seconds: record.wall_micros as f64 / 1e6,
            user_seconds: record.user_micros as f64 / 1e6,
            system_seconds: record.system_micros as f64 / 1e6,
            max_rss_bytes: record.max_rss_bytes,
            stdout: stdout.text,
            stdout_base64: stdout.bytes,
            stdout_dropped: stdout.dropped,
            stderr: stderr.text,
            stderr_base64: stderr.bytes,
            stderr_dropped: stderr.dropped,
        }
    }
}

/// A line of a stream of results: the last one may be the problem that ended it early.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultsLine {
    /// A result.
    Result(Box<ResultLine>),
    /// The stream ends here, before its time.
    Problem(Problem),
}

impl ResultsLine {
    /// Reads a line. Written out, because serde's own choice between two types copies every output once more.
    ///
    /// # Errors
    /// If the line is neither: says why it is not a result.
    pub fn parse(line: &str) -> Result<ResultsLine, serde_json::Error> {
        serde_json::from_str(line)
            .map(ResultsLine::Result)
            .or_else(|error| serde_json::from_str(line).map(ResultsLine::Problem).map_err(|_| error))
    }
}

/// Captured output as JSON can hold it.
struct Output {
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    dropped: u64,
}

impl From<&Captured> for Output {
    fn from(captured: &Captured) -> Output {
        match std::str::from_utf8(&captured.bytes) {
            Ok(text) => Output { text: Some(text.to_owned()), bytes: None, dropped: captured.dropped },
            // The limit may have cut a character in two: its first bytes count as cut off, and the rest stays text.
            Err(error) if captured.dropped > 0 && error.error_len().is_none() => {
                let (text, broken) = captured.bytes.split_at(error.valid_up_to());
                Output {
                    text: Some(String::from_utf8_lossy(text).into_owned()),
                    bytes: None,
                    dropped: captured.dropped.saturating_add(broken.len() as u64),
                }
            }
            Err(_) => Output { text: None, bytes: Some(captured.bytes.to_vec()), dropped: captured.dropped },
        }
    }
}

/// A time beyond what a calendar holds, as only a node with a broken clock can send, is shown as the last that it does.
fn timestamp(unix_micros: u64) -> Timestamp {
    i64::try_from(unix_micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or(Timestamp::MAX)
}

fn bytes<'a>(text: &'a Option<String>, bytes: &'a Option<Vec<u8>>) -> &'a [u8] {
    text.as_ref().map(String::as_bytes).or(bytes.as_deref()).unwrap_or_default()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
