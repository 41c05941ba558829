//! What a node keeps on its disk: its journal, payloads of segments, and results. One file, one writing thread.
//!
//! Whoever writes waits until what was written is synced, or is told that it is; many writes share one sync. Every value
//! has a checksum that is looked at whenever it is read. Knows nothing of who should hold what, nor what a note says.

mod backend;
mod checked;
mod fetched;
mod health;
mod journal;
mod lists;
mod payloads;
mod results;
mod segment;
mod spool;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::{Semaphore, oneshot};

pub use health::Health;
use lists::Lists;
pub use payloads::Payloads;
pub use results::Results;
pub use segment::SegmentBytes;
pub use spool::{Extent, Spool};
use writer::{Job, Then, Writer};

/// Name of the file in the data directory.
pub const FILE: &str = "store.redb";

/// Bytes that may wait to be written before whoever brings more has to wait too.
const ROOM: usize = 64 << 20;

/// Bytes of memory for pages that were read or are to be written.
const CACHE: usize = 64 << 20;

/// How a store is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Sync what is written. Without, all is lost with the power, and nothing waits for the disk.
    pub sync: bool,
    /// How long a write waits for others that share its sync. Those that come while a sync is under way share the next one
    /// in any case.
    pub gather: Duration,
    /// Write where it is asked for, instead of in a thread: what is asked for is done when the call returns.
    pub inline: bool,
}

/// Told by the writing thread what becomes of the journal and of the disk. No call may block.
pub trait Watcher: Send + Sync {
    /// All notes up to this one are on the disk.
    fn synced(&self, through: u64);

    /// A write or a sync has failed. Until [`Watcher::recovered`] nothing is written, and notes are dropped.
    fn failed(&self, why: &str);

    /// The disk takes writes again. The journal has a gap: all that matters must be noted anew.
    fn recovered(&self);
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system does not let it.
    #[error("cannot open {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{} is damaged: {why}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer program has written it.
    #[error("{} has format {found}, and this version knows formats up to {known}: use the version that wrote it, or a newer one", path.display(), known = tables::FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// Opens the database anew: at the start, and after the disk has failed.
type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The database, or none while the disk fails.
struct Medium {
    database: RwLock<Option<Database>>,
    open: Opener,
    path: PathBuf,
    /// Values that were not what was written.
    corrupt: AtomicU64,
}

impl Medium {
    fn open(&self) -> Result<(), DatabaseError> {
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Two at a time would not know of each other.
        *place = None;
        *place = Some((self.open)()?);
        Ok(())
    }

    fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn begin_read(&self) -> io::Result<ReadTransaction> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().ok_or_else(out_of_order)?.begin_read().map_err(|error| io_error(error.into()))
    }

    fn begin_write(&self) -> io::Result<WriteTransaction> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().ok_or_else(out_of_order)?.begin_write().map_err(|error| io_error(error.into()))
    }
}

/// A store. Clones are handles of the same one.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    medium: Arc<Medium>,
    queue: Queue,
    room: Semaphore,
    lists: Lists,
    health: Arc<Health>,
}

/// Where what is to be written goes.
enum Queue {
    /// To the writing thread.
    Thread(std::sync::mpsc::Sender<Job>, Mutex<Option<JoinHandle<()>>>),
    /// It is written at once.
    Inline(Mutex<Writer>),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.medium.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in this directory, or makes one. After a crash all of it is read, which takes about a second for a
    /// gigabyte.
    ///
    /// # Errors
    /// If it cannot be opened, is damaged or of a newer format. Nothing is changed then.
    pub fn open(directory: &Path, options: StoreOptions, watcher: Arc<dyn Watcher>) -> Result<Store, OpenError> {
        let path = directory.join(FILE);
        let file = path.clone();
        let open = Box::new(move || {
            let options_of_file = || File::options().read(true).write(true).create(true).truncate(false).open(&file);
            let backend = backend::Backend::new(options_of_file()?, options.sync)?;
            Database::builder().set_cache_size(CACHE).create_with_backend(backend)
        });
        Store::open_with(path, open, options, watcher)
    }

    fn open_with(
        path: PathBuf,
        open: Opener,
        options: StoreOptions,
        watcher: Arc<dyn Watcher>,
    ) -> Result<Store, OpenError> {
        let medium =
            Arc::new(Medium { database: RwLock::new(None), open, path: path.clone(), corrupt: AtomicU64::new(0) });
        let found = guarded(&path, || {
            medium.open()?;
            let transaction = medium.begin_write().map_err(redb::Error::Io)?;
            let found = tables::prepare(&transaction)?;
            if found <= tables::FORMAT {
                transaction.commit()?;
            }
            Ok(found)
        })?;
        if found > tables::FORMAT {
            return Err(OpenError::Newer { path, found });
        }
        let lists = Lists::read(&medium)?;
        let health = Arc::new(Health::default());
        let writer = Writer::new(medium.clone(), options.gather, watcher, health.clone());
        let queue = if options.inline {
            Queue::Inline(Mutex::new(writer))
        } else {
            let (jobs, queue) = std::sync::mpsc::channel();
            let thread = std::thread::Builder::new().name("evenkeel-store".to_owned());
            let thread = thread.spawn(move || writer.run(&queue)).map_err(|source| OpenError::Io { path, source })?;
            Queue::Thread(jobs, Mutex::new(Some(thread)))
        };
        Ok(Store(Arc::new(Shared { medium, queue, room: Semaphore::new(ROOM), lists, health })))
    }

    /// Whether the disk takes what is written to it.
    pub fn health(&self) -> &Arc<Health> {
        &self.0.health
    }

    /// Bytes on the disk.
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.0.medium.path).map_or(0, |file| file.len())
    }

    /// Values that were read and were not what had been written. They are no longer held.
    pub fn corrupt_reads(&self) -> u64 {
        self.0.medium.corrupt.load(Ordering::Relaxed)
    }

    /// Writes what has been asked for so far, and gives the file free. Whatever is asked for later fails.
    pub async fn close(self) {
        self.send(Job::Close);
        let Queue::Thread(_, writer) = &self.0.queue else { return };
        let writer = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It waits for the disk, and others run on this runtime.
        let joined = tokio::task::spawn_blocking(move || writer.map(JoinHandle::join)).await;
        if !matches!(joined, Ok(None | Some(Ok(())))) {
            tracing::error!("the thread that writes the store has panicked");
        }
    }

    /// The same, of a store that was only just opened.
    pub fn abandon(self) {
        self.send(Job::Close);
        if let Queue::Thread(_, writer) = &self.0.queue
            && let Some(writer) = writer.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // An error means that it has panicked, which has been printed.
            let _ = writer.join();
        }
    }

    /// A mark that was set; `None` if it never was.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn mark(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let read = self.read()?;
        let marks = read.open_table(tables::MARKS).map_err(|error| io_error(error.into()))?;
        let Some(sealed) = marks.get(name).map_err(|error| io_error(error.into()))? else { return Ok(None) };
        let mark = checked::unseal(name.as_bytes(), sealed.value());
        mark.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("the mark {name} is damaged")))
    }

    /// Sets a mark. Returns once it is synced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn set_mark(&self, name: &'static str, value: Vec<u8>) -> io::Result<()> {
        self.write(value.len(), move |transaction| {
            let sealed = checked::seal(name.as_bytes(), &value);
            transaction.open_table(tables::MARKS)?.insert(name, sealed.as_slice())?;
            Ok(nothing())
        })
        .await
    }

    fn read(&self) -> io::Result<ReadTransaction> {
        self.0.medium.begin_read()
    }

    /// Reads something that may be damaged in ways that the database does not expect.
    fn look<T>(&self, read: impl FnOnce() -> Result<T, redb::Error>) -> io::Result<T> {
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(redb::Error::Corrupted(String::new())))
            .map_err(io_error)
    }

    fn send(&self, job: Job) {
        match &self.0.queue {
            // An error means that the writer has ended, which whoever waits for an answer hears by its absence.
            Queue::Thread(jobs, _) => drop(jobs.send(job)),
            Queue::Inline(writer) => writer.lock().unwrap_or_else(PoisonError::into_inner).write_now(job),
        }
    }

    /// Writes something of about so many bytes, together with others. Returns once it is synced; `change` returns what to
    /// do then, before anybody hears of it.
    async fn write(
        &self,
        bytes: usize,
        change: impl FnOnce(&WriteTransaction) -> Result<Then, redb::Error> + Send + 'static,
    ) -> io::Result<()> {
        let room = self.0.room.acquire_many(bytes.clamp(1, ROOM) as u32).await.map_err(io::Error::other)?;
        let (done, answer) = oneshot::channel();
        self.send(Job::Write { change: Box::new(change), bytes, done: Some(done) });
        let answer = answer.await.unwrap_or_else(|_| Err(out_of_order()));
        drop(room);
        answer
    }

    /// Writes something soon. If it fails the disk does, and the store's health tells.
    fn write_soon(
        &self,
        bytes: usize,
        change: impl FnOnce(&WriteTransaction) -> Result<Then, redb::Error> + Send + 'static,
    ) {
        self.send(Job::Write { change: Box::new(change), bytes, done: None });
    }

    /// Says that something is not what was written.
    fn tell_corrupt(&self, what: &dyn std::fmt::Display) {
        self.0.medium.corrupt.fetch_add(1, Ordering::Relaxed);
        let file = self.0.medium.path.display();
        tracing::error!(%file, "{what} is damaged on the disk; other nodes have it, and this one no longer");
    }
}

fn nothing() -> Then {
    Box::new(|| ())
}

fn out_of_order() -> io::Error {
    io::Error::other("the store is closed, or its disk failed and has not recovered yet")
}

/// An error of the database as one of the system, which it is at bottom more often than not.
fn io_error(error: redb::Error) -> io::Error {
    match error {
        redb::Error::Io(error) => error,
        redb::Error::Corrupted(why) => io::Error::new(io::ErrorKind::InvalidData, why),
        error => io::Error::other(error.to_string()),
    }
}

/// Opens or walks a file that may be damaged in ways that nobody has thought of.
fn guarded<T>(path: &Path, open: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, OpenError> {
    let corrupt = |why: String| OpenError::Corrupt { path: path.to_owned(), why };
    let error = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(opened)) => return Ok(opened),
        Ok(Err(error)) => error,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            return Err(corrupt(text.unwrap_or("the database cannot make anything of it").to_owned()));
        }
    };
    match error {
        redb::Error::Io(source) => match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Err(corrupt(source.to_string())),
            _ => Err(OpenError::Io { path: path.to_owned(), source }),
        },
        error => Err(corrupt(error.to_string())),
    }
}
