//! The one thread that writes: what waits together is written together, and shares one sync.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use redb::WriteTransaction;
use tokio::sync::oneshot;

use super::{Health, Medium, Watcher, io_error, out_of_order, tables};

/// Bytes that one transaction takes, about: those at its front wait for all of it.
const GROUP: usize = 16 << 20;

/// Time between two tries while the disk fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes that a disk must take before it is believed to have recovered.
const PROBE: usize = 1 << 20;

/// What to do once a write is synced.
pub(super) type Then = Box<dyn FnOnce() + Send>;

type Change = Box<dyn FnOnce(&WriteTransaction) -> Result<Then, redb::Error> + Send>;

/// Something to be written.
pub(super) enum Job {
    /// A note.
    Note { number: u64, bytes: Vec<u8> },
    /// The notes below this number are not needed any more.
    Forget { before: u64 },
    /// Anything else.
    Write { change: Change, bytes: usize, done: Option<oneshot::Sender<io::Result<()>>> },
    /// The end.
    Close,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Note { bytes, .. } => bytes.len(),
            Job::Write { bytes, .. } => *bytes,
            Job::Forget { .. } | Job::Close => 0,
        }
    }
}

pub(super) struct Writer {
    medium: Arc<Medium>,
    gather: Duration,
    watcher: Arc<dyn Watcher>,
    health: Arc<Health>,
    /// The disk failed and has not recovered.
    failed: bool,
}

/// What a group has done, to be told once it is synced.
#[derive(Default)]
struct Written {
    noted: Option<u64>,
    then: Vec<Then>,
    done: Vec<oneshot::Sender<io::Result<()>>>,
}

impl Writer {
    pub(super) fn new(medium: Arc<Medium>, gather: Duration, watcher: Arc<dyn Watcher>, health: Arc<Health>) -> Writer {
        Writer { medium, gather, watcher, health, failed: false }
    }

    /// Writes one thing by itself.
    pub(super) fn write_now(&mut self, job: Job) {
        let closing = matches!(job, Job::Close);
        self.take(vec![job]);
        if closing {
            self.medium.close();
        }
    }

    /// Writes until it is told to close, or nobody can ask for anything any more.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let first = if self.failed {
                match queue.recv_timeout(PAUSE) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => {
                        self.try_again();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match queue.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                }
            };
            let (group, closing) = self.gather(first, queue);
            self.take(group);
            if closing {
                break;
            }
        }
        self.medium.close();
    }

    fn take(&mut self, group: Vec<Job>) {
        if self.failed {
            group.into_iter().for_each(refuse);
            self.try_again();
        } else {
            self.write(group);
        }
    }

    /// What waits behind the first job, and whether the last is the end.
    fn gather(&self, first: Job, queue: &Receiver<Job>) -> (Vec<Job>, bool) {
        let until = Instant::now() + self.gather;
        let mut bytes = first.bytes();
        let mut closing = matches!(first, Job::Close);
        let mut group = vec![first];
        while bytes < GROUP && !closing {
            let next = match queue.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(job) => job,
                    Err(_) => break,
                },
            };
            bytes += next.bytes();
            closing = matches!(next, Job::Close);
            group.push(next);
        }
        (group, closing)
    }

    fn write(&mut self, group: Vec<Job>) {
        let mut written = Written::default();
        // What is damaged may trip the database itself up. It is opened anew then, as after any other failure.
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(group, &mut written)));
        match self.health.note(committed.unwrap_or_else(|_| Err(damaged()))) {
            Ok(()) => {
                written.then.into_iter().for_each(|then| then());
                // An error means that nobody waits any more.
                written.done.into_iter().for_each(|done| drop(done.send(Ok(()))));
                if let Some(through) = written.noted {
                    self.watcher.synced(through);
                }
            }
            Err(error) => {
                self.failed = true;
                self.watcher.failed(&error.to_string());
                let again = || io::Error::new(error.kind(), error.to_string());
                written.done.into_iter().for_each(|done| drop(done.send(Err(again()))));
            }
        }
    }

    /// Writes a group and syncs it. Whoever is to be told is in `written` also if that fails.
    fn commit(&self, group: Vec<Job>, written: &mut Written) -> io::Result<()> {
        let mut changes = Vec::new();
        let (mut notes, mut forget) = (Vec::new(), None);
        for job in group {
            match job {
                Job::Note { number, bytes } => {
                    written.noted = Some(number);
                    notes.push((number, bytes));
                }
                Job::Forget { before } => forget = Some(before),
                Job::Write { change, done, .. } => {
                    changes.push(change);
                    written.done.extend(done);
                }
                Job::Close => {}
            }
        }
        if notes.is_empty() && forget.is_none() && changes.is_empty() {
            return Ok(());
        }
        let transaction = self.medium.begin_write()?;
        let mut all = || -> Result<(), redb::Error> {
            if !notes.is_empty() || forget.is_some() {
                let mut journal = transaction.open_table(tables::JOURNAL)?;
                for (number, bytes) in &notes {
                    journal.insert(number, bytes.as_slice())?;
                }
                if let Some(before) = forget {
                    journal.retain_in(..before, |_, _| false)?;
                }
            }
            for change in changes.drain(..) {
                written.then.push(change(&transaction)?);
            }
            Ok(())
        };
        all().map_err(io_error)?;
        transaction.commit().map_err(|error| io_error(error.into()))
    }

    /// Opens the file anew, as a database that had an error takes nothing more, and looks whether it can be written to.
    fn try_again(&mut self) {
        let probe = || -> Result<(), redb::Error> {
            self.medium.open()?;
            for bytes in [PROBE, 0] {
                let transaction = self.medium.begin_write().map_err(redb::Error::Io)?;
                transaction.open_table(tables::MARKS)?.insert("probe", vec![1; bytes].as_slice())?;
                transaction.commit()?;
            }
            Ok(())
        };
        let probed =
            catch_unwind(AssertUnwindSafe(probe)).map_or_else(|_| Err(damaged()), |probed| probed.map_err(io_error));
        if self.health.note(probed).is_ok() {
            self.failed = false;
            self.watcher.recovered();
        }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the store is damaged where it was to be written to")
}

/// Tells whoever brings something while the disk fails that it is not written.
fn refuse(job: Job) {
    if let Job::Write { done: Some(done), .. } = job {
        drop(done.send(Err(out_of_order())));
    }
}
