//! The journal of a daemon: the core's notes in the store, and what the store tells the loop.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use evenkeel_core::journal::{Journal, Note};
use evenkeel_net::records::InvalidRecord;

use super::engine::{Order, Orders};
use super::traces;
use crate::store::{OpenError, Store, Watcher};
use crate::telemetry::Telemetry;

/// Writes notes into the store.
pub(super) struct Notes(pub(super) Store);

impl Journal for Notes {
    fn append(&mut self, number: u64, note: Note) {
        match evenkeel_net::notes::to_bytes(&note) {
            Ok(bytes) => self.0.journal.append(number, bytes.to_vec()),
            // It came in a frame, or was made of what did: it cannot be larger than one.
            Err(error) => panic!("a note that cannot be written down: {error}"),
        }
    }

    fn forget(&mut self, before: u64) {
        self.0.journal.forget(before);
    }
}

/// Reads all notes of earlier runs. `path`: of the store, for the error.
///
/// # Errors
/// If one is not what was written: what follows from it cannot be known then.
pub(super) fn read(store: &Store, path: &Path) -> Result<Vec<(u64, Note)>, OpenError> {
    let mut notes = Vec::new();
    store.journal.entries(|number, bytes| notes.push((number, evenkeel_net::notes::from_bytes(bytes))))?;
    let note = |(number, note): (u64, Result<Note, InvalidRecord>)| {
        let why = |error| format!("note {number} of its journal cannot be read: {error}");
        note.map(|note| (number, note)).map_err(|error| OpenError::Corrupt { path: path.to_owned(), why: why(error) })
    };
    notes.into_iter().map(note).collect()
}

/// Tells the loop what the store has to tell.
pub(super) struct ToLoop {
    pub(super) orders: Orders,
    /// Set when it is known who this node is, if there is a collector.
    pub(super) telemetry: Arc<OnceLock<Telemetry>>,
}

impl Watcher for ToLoop {
    fn synced(&self, through: u64) {
        self.orders.send(Order::Synced(through));
    }

    // The store's health says why.
    fn failed(&self, _why: &str) {
        self.orders.send(Order::DiskFails);
    }

    fn recovered(&self) {
        self.orders.send(Order::DiskWorks);
    }

    fn committed(&self, took: Duration, writes: usize) {
        if let Some(telemetry) = self.telemetry.get() {
            traces::commit(telemetry, took, writes);
        }
    }
}
