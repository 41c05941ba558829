//! The disk: what is on it, how fast it is, and how much room is left.

use std::time::Duration;

use super::Histogram;
use super::text::Text;

/// See above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Store {
    /// Segments of payloads and results held here that have too few copies.
    pub copies_missing: u64,
    /// Segments of payloads held here.
    pub payload_segments: u64,
    /// Results held here.
    pub results: u64,
    /// Of both, how many were given up here because others have enough copies.
    pub copies_given_up: u64,
    /// Bytes of the store.
    pub bytes: u64,
    /// Things found damaged in it since the node started.
    pub damaged: u64,
    /// Whether it cannot be written to.
    pub failing: bool,
    /// Whether its disk is short of room.
    pub low: bool,
    /// How long its commits took, their syncs included. How many there were is its count.
    pub commits: Histogram,
    /// Writes that failed.
    pub failures: u64,
    /// For how long the commit under way has been; zero if there is none.
    pub writing: Duration,
    /// Bytes of notes appended to the journal.
    pub journal_bytes: u64,
    /// Room on the file system of the data directory, and of that what is left; `None` if the system does not tell.
    pub disk: Option<(u64, u64)>,
}

impl Store {
    pub(super) fn write(&self, out: &mut Text) {
        let help = "Payload segments and results held here that fewer live nodes have than should.";
        out.gauge("evenkeel_copies_missing", help, self.copies_missing);
        let help = "Segments of payloads held here, of 4,096 documents at most.";
        out.gauge("evenkeel_payload_segments", help, self.payload_segments);
        out.gauge("evenkeel_results_held", "Results of documents held here.", self.results);
        let help = "Payload segments and results given up here because others have enough copies.";
        out.counter("evenkeel_copies_given_up_total", help, self.copies_given_up);
        out.gauge("evenkeel_store_bytes", "Bytes of the node's store on its disk.", self.bytes);
        let help = "Things found damaged in the node's store.";
        out.counter("evenkeel_store_damaged_total", help, self.damaged);
        let help = "1 while the node's store cannot be written to.";
        out.gauge("evenkeel_store_failing", help, u8::from(self.failing));
        let help = "1 while the disk has less room than store.low_water, and the node takes no batches.";
        out.gauge("evenkeel_store_low", help, u8::from(self.low));
        let help = "How long commits of the node's store took, their syncs included.";
        out.histogram("evenkeel_store_commit_seconds", help, &self.commits);
        let help = "Writes of the node's store that failed.";
        out.counter("evenkeel_store_failures_total", help, self.failures);
        let help = "For how long the commit under way has been; 0 if there is none.";
        out.gauge("evenkeel_store_commit_age_seconds", help, self.writing.as_secs_f64());
        let help = "Bytes of notes that the node has appended to its journal.";
        out.counter("evenkeel_journal_bytes_total", help, self.journal_bytes);
        let Some((size, free)) = self.disk else { return };
        let help = "Bytes of the file system that the data directory is on.";
        out.gauge("evenkeel_disk_size_bytes", help, size);
        let help = "Bytes of it that this node could still write.";
        out.gauge("evenkeel_disk_free_bytes", help, free);
    }
}
