//! The journal of a daemon: the core's notes in the store, and what the store tells the loop.

use evenkeel_core::journal::{Journal, Note};

use super::engine::{Order, Orders};
use crate::store::{OpenError, Store, Watcher};

/// Writes notes into the store.
pub(super) struct Notes(pub(super) Store);

impl Journal for Notes {
    fn append(&mut self, number: u64, note: Note) {
        match evenkeel_net::notes::to_bytes(&note) {
            Ok(bytes) => self.0.append(number, &bytes),
            // It came in a frame, or was made of what did: it cannot be larger than one.
            Err(error) => panic!("a note that cannot be written down: {error}"),
        }
    }

    fn forget(&mut self, before: u64) {
        self.0.forget(before);
    }
}

/// Reads all notes of earlier runs.
///
/// # Errors
/// If one is not what was written.
pub(super) fn read(store: &Store) -> Result<Vec<(u64, Note)>, OpenError> {
    let mut notes = Vec::new();
    store.notes(|number, bytes| {
        let note = evenkeel_net::notes::from_bytes(&bytes).map_err(|error| format!("cannot be read: {error}"))?;
        notes.push((number, note));
        Ok(())
    })?;
    Ok(notes)
}

/// Tells the loop what the store has to tell.
pub(super) struct ToLoop(pub(super) Orders);

impl Watcher for ToLoop {
    fn synced(&self, through: u64) {
        self.0.send(Order::Synced(through));
    }

    // The store's health says why.
    fn failed(&self, _why: &str) {
        self.0.send(Order::DiskFails);
    }

    fn recovered(&self) {
        self.0.send(Order::DiskWorks);
    }
}
