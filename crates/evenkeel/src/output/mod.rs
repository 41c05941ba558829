//! What a person or a program gets to see of a job: each document's output, the job log, a file per document, progress,
//! the summary, tables, and the exit status.
//!
//! Everything here is fed with finished documents and writes bytes. Where they ran and how they got here is not known.

pub mod ending;
pub mod exit;
pub mod joblog;
pub mod named;
pub mod numbering;
pub mod order;
pub mod printer;
pub mod progress;
mod renumber;
pub mod results_dir;
pub mod resume;
pub mod shell;
pub mod summary;
pub mod table;

use std::fmt;
use std::io::{self, Write};

use evenkeel_core::ids::DocNumber;
use evenkeel_net::records::ResultRecord;

/// Says something to the user, on standard error. That nobody listens is no reason to stop.
pub fn tell(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "evenkeel: {message}");
}

/// A finished document as outputs see it.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// Its place in the input, from 0. Not its number in the batch, which is lower if `--resume` skipped earlier ones.
    pub number: DocNumber,
    /// Its result.
    pub record: &'a ResultRecord,
    /// Name of the node that ran it.
    pub host: &'a str,
    /// The command that ran, as a person would type it.
    pub command: &'a [u8],
}

#[cfg(test)]
mod sample {
    //! Finished documents for tests.

    use bytes::Bytes;
    use evenkeel_core::change::Outcome;
    use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, NodeId};
    use evenkeel_net::records::{Captured, Exit, ResultRecord};

    use super::Finished;

    /// A result of document `number` that wrote this and ended well.
    pub(crate) fn record(number: u32, stdout: &str, stderr: &str) -> ResultRecord {
        let captured = |text: &str| Captured { bytes: Bytes::copy_from_slice(text.as_bytes()), dropped: 0 };
        ResultRecord {
            doc: DocId { batch: BatchId(1), number: DocNumber(number) },
            epoch: Epoch::FIRST,
            attempt: Attempt(1),
            node: NodeId([0; 16]),
            outcome: Outcome::Done,
            exit: Exit::Status(0),
            started_unix_micros: 1_795_420_515_491_499,
            wall_micros: 1_507_499,
            user_micros: 0,
            system_micros: 0,
            max_rss_bytes: 0,
            stdout: captured(stdout),
            stderr: captured(stderr),
        }
    }

    /// It, as outputs see it.
    pub(crate) fn finished(record: &ResultRecord) -> Finished<'_> {
        Finished { number: record.doc.number, record, host: "one", command: b"echo x" }
    }
}
