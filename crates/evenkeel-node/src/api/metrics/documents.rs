//! Documents: how many are in which state, and what becomes of them here.

use super::text::Text;
use crate::histogram::{self, Histogram};

/// See above.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// Documents of all batches without outcome and without process.
    pub waiting: u64,
    /// Documents of all batches that have a process.
    pub running: u64,
    /// Documents of all batches that succeeded.
    pub done: u64,
    /// Documents of all batches whose every attempt failed.
    pub failed: u64,
    /// Documents of all batches that were cancelled first.
    pub cancelled: u64,
    /// Documents that this node owns and that have no outcome.
    pub own_pending: u64,
    /// Sum of their lengths.
    pub own_length_pending: u64,
    /// Slots of this node in use.
    pub own_running: u32,
    /// Slots of this node.
    pub max_process: u32,
    /// Documents that this node ever started.
    pub started: u64,
    /// Documents that ended here, by outcome.
    pub ended: [(&'static str, u64); 3],
    /// Attempts that failed here and were followed by another.
    pub retried: u64,
    /// How long documents ran here.
    pub durations: Histogram,
}

impl Default for Documents {
    fn default() -> Documents {
        Documents {
            waiting: 0,
            running: 0,
            done: 0,
            failed: 0,
            cancelled: 0,
            own_pending: 0,
            own_length_pending: 0,
            own_running: 0,
            max_process: 0,
            started: 0,
            ended: [("done", 0), ("failed", 0), ("cancelled", 0)],
            retried: 0,
            durations: Histogram::new(histogram::OF_DOCUMENTS),
        }
    }
}

impl Documents {
    pub(super) fn write(&self, out: &mut Text) {
        let help = "Documents of the whole cluster, as this node knows them. Do not sum over nodes.";
        out.family("evenkeel_documents", "gauge", help);
        for (state, count) in [
            ("waiting", self.waiting),
            ("running", self.running),
            ("done", self.done),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
        ] {
            out.sample("evenkeel_documents", &[("state", state)], count);
        }
        let help = "Documents that this node owns and that have no outcome.";
        out.gauge("evenkeel_documents_pending", help, self.own_pending);
        out.gauge("evenkeel_document_length_pending", "Sum of the lengths of those.", self.own_length_pending);
        out.gauge("evenkeel_documents_running", "Slots of this node in use.", self.own_running);
        out.gauge("evenkeel_max_process", "Slots of this node.", self.max_process);
        out.counter("evenkeel_documents_started_total", "Documents started by this node.", self.started);
        let help = "Documents that ended on this node, by outcome.";
        out.counters("evenkeel_documents_ended_total", help, "outcome", self.ended);
        let help = "Attempts that failed on this node and were followed by another.";
        out.counter("evenkeel_document_retries_total", help, self.retried);
        let help = "How long documents ran on this node, each attempt for itself.";
        out.histogram("evenkeel_document_duration_seconds", help, &self.durations);
    }
}
