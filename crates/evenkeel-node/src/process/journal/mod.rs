//! The journal of children: what runs, in a file of the data directory, for the next run of the node.
//!
//! The guardian kills the documents of a node that died. If both are killed at once, nobody is left who knows of them, and they
//! would run on beside their successors. So each worker has a place in this file as well, and a node that starts ends whatever
//! of it still lives (`orphans.rs`) before it takes part.
//!
//! A page of the system's cache outlives every process, and no process outlives a reboot, so nothing is ever synced: an entry
//! costs three small writes for a document, of microseconds. The guardian has a table of its own, in memory: it must not depend
//! on a disk, nor on what the node's next run writes there.

mod orphans;
mod record;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::Pid;

use self::record::{Realm, Record, SIZE};
use super::places::Places;
use super::running::Run;
use super::stat::since_boot;
use crate::seldom::Seldom;

/// The journal of a node that runs.
#[derive(Debug)]
pub(super) struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    places: Mutex<Places>,
    unwritten: Seldom,
}

impl Journal {
    /// Ends what the journal in this file says to run, and begins a new one there. Nobody else may use the file, nor be starting
    /// anything for this node: the lock of the data directory sees to that, since a process that was being started when its
    /// node was killed holds it until it runs its own program.
    ///
    /// # Errors
    /// If the new one cannot be written. What is wrong with the old one is told in the log.
    pub(super) fn open(path: &Path, node: &str) -> io::Result<Journal> {
        let realm = Realm::here()?;
        end_earlier(path, realm, node);
        // A new file, and never the old one emptied: it is only gone when its processes are.
        let scratch = path.with_extension("new");
        let file = File::create(&scratch)?;
        file.write_all_at(&realm.encode(), 0)?;
        std::fs::rename(&scratch, path)?;
        Ok(Journal(Arc::new(Shared { file, places: Mutex::default(), unwritten: Seldom::default() })))
    }

    /// A place in it, for one run at a time.
    pub(super) fn place(&self) -> Place {
        let number = self.0.lock().take();
        Place { shared: self.0.clone(), number, starting: Cell::new(None) }
    }
}

fn end_earlier(path: &Path, realm: Realm, node: &str) {
    let shown = path.display();
    let (found, damaged) = match std::fs::read(path) {
        Ok(bytes) => match read(&bytes, realm) {
            Ok(found) => found,
            Err(Useless::Elsewhere) => {
                tracing::debug!("{shown} is of another boot of this machine: its processes are gone");
                return;
            }
            Err(Useless::NoJournal) => {
                tracing::warn!(
                    "{shown} is damaged: documents of an earlier run of this node, if any, are not looked for"
                );
                return;
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::warn!(%error, "{shown} cannot be read: documents of an earlier run of this node are not looked for");
            return;
        }
    };
    if damaged > 0 {
        tracing::warn!(damaged, "{shown} has damaged records, which are skipped");
    }
    let ended = orphans::end(&found, node);
    if ended.killed > 0 {
        tracing::warn!(
            documents = ended.killed,
            "documents of an earlier run of this node, which was killed together with its guardian, were still running, \
             and have been killed"
        );
    }
    if ended.left > 0 {
        tracing::error!(
            documents = ended.left,
            "documents of an earlier run of this node are still running and cannot be ended; they may run twice"
        );
    }
}

/// Why nothing can be done with a journal.
#[derive(Debug, PartialEq, Eq)]
enum Useless {
    NoJournal,
    /// Its process ids are of another boot, or another container.
    Elsewhere,
}

/// What a journal says to run, and how many of its records are damaged.
fn read(bytes: &[u8], realm: Realm) -> Result<(Vec<Record>, usize), Useless> {
    let (header, rest) = bytes.split_first_chunk::<SIZE>().ok_or(Useless::NoJournal)?;
    if Realm::decode(header).ok_or(Useless::NoJournal)? != realm {
        return Err(Useless::Elsewhere);
    }
    let (mut found, mut damaged) = (Vec::new(), 0);
    for (place, bytes) in (0..).zip(rest.chunks(SIZE)) {
        match bytes.try_into().map_err(|_| record::Damaged).and_then(|bytes| Record::decode(bytes, place)) {
            Ok(record) => found.extend(record),
            Err(record::Damaged) => damaged += 1,
        }
    }
    Ok((found, damaged))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("nothing panics while holding the places of the journal")
    }
}

/// One place in the journal, belonging to one worker.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    number: u32,
    /// What is being started, since when.
    starting: Cell<Option<(Run, Duration)>>,
}

impl Place {
    /// A process for this run is about to be started. If the node dies before it can say which, it is found by its environment.
    pub(super) fn starting(&self, run: Run) {
        let before = since_boot();
        self.starting.set(Some((run, before)));
        self.set(Some(&Record { run, before, started: None }));
    }

    /// It has been started.
    pub(super) fn started(&self, leader: Pid) {
        let (run, before) = self.starting.take().expect("a start is announced");
        self.set(Some(&Record { run, before, started: Some((leader, since_boot())) }));
    }

    /// It has ended. To be called before it is reaped: its id may be a stranger's afterwards.
    pub(super) fn ended(&self) {
        self.set(None);
    }

    fn set(&self, record: Option<&Record>) {
        let at = (u64::from(self.number) + 1) * SIZE as u64;
        if let Err(error) = self.shared.file.write_all_at(&Record::encode(record, self.number), at)
            && let Some(unsaid) = self.shared.unwritten.due()
        {
            let outcome = "a document may outlive this node and its guardian";
            tracing::warn!(%error, unsaid, "the journal of children cannot be written: {outcome}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended();
        self.shared.lock().give_back(self.number);
    }
}

#[cfg(test)]
mod tests;
