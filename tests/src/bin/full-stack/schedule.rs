//! What happened, in order: the virtual time, where, and what. Two runs of one seed must have the same.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// Handles of one record. Datagrams are part of it, so it is a hash with a count, and no list.
#[derive(Clone)]
pub(crate) struct Schedule(Arc<Mutex<Record>>);

struct Record {
    hash: Xxh3,
    events: u64,
    print: bool,
}

impl Schedule {
    /// Nothing has happened yet. `print`: every event is printed, a line each.
    pub(crate) fn new(print: bool) -> Schedule {
        Schedule(Arc::new(Mutex::new(Record { hash: Xxh3::new(), events: 0, print })))
    }

    /// Something has happened at a host, now.
    pub(crate) fn note(&self, host: &str, event: impl Display) {
        self.note_at(turmoil::sim_elapsed().unwrap_or_default(), host, event);
    }

    /// The same, where no host is running to ask for the time.
    pub(crate) fn note_at(&self, now: Duration, host: &str, event: impl Display) {
        let line = format!("{:12.6} {host} {event}\n", now.as_secs_f64());
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.hash.update(line.as_bytes());
        record.events += 1;
        if record.print {
            // An error means that nobody reads on.
            let _ = std::io::stdout().write_all(line.as_bytes());
        }
    }

    /// The hash of everything, and how much it was.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (record.hash.digest(), record.events)
    }
}
