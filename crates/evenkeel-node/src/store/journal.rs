//! The journal: notes by number, opaque here.

use redb::ReadableTable;

use super::writer::Job;
use super::{OpenError, Store, checked, guarded, tables};

impl Store {
    /// Takes a note; [`super::Watcher::synced`] tells when it is on the disk. Does not wait.
    pub fn append(&self, number: u64, note: &[u8]) {
        self.send(Job::Note { number, bytes: checked::seal(&place(number), note) });
    }

    /// Drops the notes below this number, once those that were taken before are on the disk. Does not wait.
    pub fn forget(&self, before: u64) {
        self.send(Job::Forget { before });
    }

    /// Reads the whole journal, in order.
    ///
    /// # Errors
    /// If a note is not what was written: what follows from it cannot be known then.
    pub fn notes(&self, mut each: impl FnMut(u64, Vec<u8>) -> Result<(), String>) -> Result<(), OpenError> {
        let path = &self.0.medium.path;
        let damaged = |number: u64, why: &str| OpenError::Corrupt {
            path: path.clone(),
            why: format!("note {number} of its journal {why}"),
        };
        let wrong = guarded(path, || {
            let read = self.read().map_err(redb::Error::Io)?;
            let journal = read.open_table(tables::JOURNAL)?;
            for note in journal.iter()? {
                let (number, sealed) = note?;
                let number = number.value();
                match checked::unseal(&place(number), sealed.value()) {
                    Some(note) => {
                        if let Err(why) = each(number, note) {
                            return Ok(Some(damaged(number, &why)));
                        }
                    }
                    None => return Ok(Some(damaged(number, "is not what was written"))),
                }
            }
            Ok(None)
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

fn place(number: u64) -> [u8; 9] {
    let mut place = [b'j'; 9];
    place[1..].copy_from_slice(&number.to_le_bytes());
    place
}
