//! The journal: numbered entries, opaque here, that are read when the node starts.

use std::sync::Arc;

use super::queue::Work;
use super::tables::{self, JOURNAL, journal_place};
use super::{Handles, OpenError};

/// The journal of a store. Clones are handles of the same.
///
/// Nothing here waits: whoever appends is told by the store's [`Watcher`](super::Watcher) what is on the disk.
#[derive(Debug, Clone)]
pub struct Journal(pub(super) Arc<Handles>);

impl Journal {
    /// Appends an entry, which is on the disk once the watcher has been told of this number or a higher one. An entry of
    /// the same number is replaced. While the disk fails it is dropped: from [`Watcher::failed`](super::Watcher::failed) to
    /// [`Watcher::recovered`](super::Watcher::recovered) entries are missing, and what they said must be written anew.
    pub fn append(&self, number: u64, bytes: Vec<u8>) {
        // The watcher has said what an error would.
        let _ = self.0.write(Work::Append { number, bytes });
    }

    /// Drops all entries of lower numbers, together with or after what was appended before. While the disk fails it does
    /// nothing.
    pub fn forget(&self, before: u64) {
        let _ = self.0.write(Work::Forget { before });
    }

    /// Whoever appends has heard of one [`Watcher::recovered`](super::Watcher::recovered), and will write anew what was lost.
    /// Until it has heard of each, entries are dropped, also when the disk is well again.
    pub fn resume(&self) {
        self.0.queue.resume();
    }

    /// Gives all entries, in the order of their numbers.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] if one is not as it was written: those before it have been given.
    pub fn entries(&self, mut entry: impl FnMut(u64, &[u8])) -> Result<(), OpenError> {
        let read = self.0.database.read(|txn| {
            tables::each(txn, JOURNAL, |number, sealed| {
                entry(number, &journal_place(number).open(sealed)?);
                Ok(())
            })
        });
        read.map_err(|trouble| OpenError::from_trouble(self.0.database.path(), trouble))
    }
}
