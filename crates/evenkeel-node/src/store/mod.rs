//! What a node has on its disk besides its key: payloads of segments, results, and the journal of its state, in one
//! database, `store.redb`. Knows nothing of who should hold what, and nothing of what the journal says.
//!
//! All writing is done by one thread, in groups, each in one transaction (`writer.rs`). Every value has a checksum
//! (`checked.rs`): what is not as it was written is never given to anybody.

mod backend;
mod cache;
mod checked;
pub mod damage;
mod database;
mod error;
mod fetched;
mod health;
mod index;
mod inspect;
mod journal;
mod load;
mod overlay;
mod payloads;
mod queue;
mod reliance;
mod results;
mod rows;
mod segment;
mod shared;
mod spool;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod writer;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_net::records::SegmentId;
use tokio::sync::Notify;

pub use error::OpenError;
pub use health::Health;
pub use inspect::{BatchUse, Contents, inspect};
pub use journal::Journal;
pub use payloads::Payloads;
pub use queue::Item;
pub use reliance::RELIED;
pub use results::Results;
pub use segment::SegmentBytes;
pub use shared::Damaged;
pub use spool::{Extent, Spool};

use backend::{Access, Opener};
use cache::Cache;
use database::Reopenable;
use fetched::Fetched;
use queue::Queue;
use reliance::Reliance;
use shared::Shared;
use trouble::Trouble;

/// The file in the data directory.
pub const FILE: &str = "store.redb";

/// The same, while it is made.
const UNFINISHED: &str = "store.redb.new";

/// Bytes of unpacked blocks of payloads that are kept in memory.
const BLOCKS_CACHE: usize = 8 << 20;

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Wait for the disk. If not, what is written survives the process but not a power cut.
    pub sync: bool,
    /// Time for which a write waits for others to share its sync. 0: only what comes while another sync is in progress does.
    pub gather: Duration,
    /// Bytes of the file that are kept in memory, beside the system's own cache.
    pub cache: usize,
    /// Write on the thread of whoever has something to write, which waits: for simulated worlds, where nothing may happen
    /// beside the simulation's own thread.
    pub here: bool,
    /// Time for which nothing is given up of what somebody relies on.
    pub relied: Duration,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { sync: true, gather: Duration::ZERO, cache: 64 << 20, here: false, relied: RELIED }
    }
}

/// Told what becomes of the journal. Called by the writing thread, which waits for it to return; it must not use the store.
pub trait Watcher: Send + Sync {
    /// The journal's entries up to this number are on the disk.
    fn synced(&self, through: u64);
    /// Nothing can be written. Entries appended since [`Watcher::synced`] was last told, and until it recovers, are lost.
    fn failed(&self, error: &str);
    /// What comes from now on is written again.
    fn recovered(&self);
    /// A commit of so many writes has succeeded, and took so long. Nothing depends on it.
    fn committed(&self, _took: Duration, _writes: usize) {}
}

/// All handles of a store; with the last of them it is closed.
struct Handles(Arc<Shared>);

impl std::ops::Deref for Handles {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

/// A store, open. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Store {
    /// Payloads of segments.
    pub payloads: Payloads,
    /// Results of documents.
    pub results: Results,
    /// The journal of the node's state.
    pub journal: Journal,
}

impl Store {
    /// Batches of which payloads or results are held here.
    pub fn batches(&self) -> BTreeSet<BatchId> {
        self.payloads.0.index().batches()
    }

    /// Holds nothing of a batch any longer. The disk follows.
    pub fn remove_batch(&self, batch: BatchId) {
        self.payloads.remove_batch(batch);
        self.results.remove_batch(batch);
    }

    /// Segments of which payloads or results are held here.
    pub fn segments(&self) -> BTreeSet<SegmentId> {
        self.shared().index().all_segments()
    }

    /// Somebody relies on what is held here of a segment: for a while nothing of it is given up.
    pub fn rely(&self, segment: SegmentId) {
        self.shared().reliance.rely(segment);
    }

    /// Gives up payloads of a segment, results of it, or both, and returns how many segments and results that were. The disk
    /// follows; if it does not come to that, they are held again after a restart. `None`: somebody relies on it, or puts some
    /// of it, and nothing is given up.
    pub fn release(&self, segment: SegmentId, payloads: bool, results: &DocSet) -> Option<(usize, usize)> {
        let shared = self.shared();
        let released = shared.reliance.unless_relied(segment, || {
            let mut index = shared.index();
            let payloads = payloads && index.release(Item::Segment(segment));
            let docs = results.iter().map(|number| DocId { batch: segment.batch, number });
            let docs = docs.filter(|doc| tables::segment_of(*doc) == segment);
            (usize::from(payloads), docs.filter(|doc| index.release(Item::Result(*doc))).count())
        })?;
        if released.0 > 0 {
            shared.cache().forget(|other| other == segment);
        }
        shared.write_marked();
        Some(released)
    }

    /// Opens the store in a directory, and makes it if there is none. Blocks: after a crash the whole file is read.
    ///
    /// # Errors
    /// If it cannot be used, as the error says.
    pub fn open(directory: &Path, options: StoreOptions, watcher: Arc<dyn Watcher>) -> Result<Store, OpenError> {
        let path = directory.join(FILE);
        if !path.exists() {
            Store::create(directory, options)?;
        }
        let file = path.clone();
        let opener = Box::new(move |access| backend::open_file(&file, options.sync, access));
        let unusable = |source| OpenError::Unusable { path: directory.to_owned(), source };
        let spool = Spool::create(directory).map_err(unusable)?;
        Store::open_on(path, opener, spool, options, watcher)
    }

    /// Makes an empty store. It has its name when it is whole: the database would refuse what a crash left of it before.
    fn create(directory: &Path, options: StoreOptions) -> Result<(), OpenError> {
        let (path, new) = (directory.join(FILE), directory.join(UNFINISHED));
        let failed = |trouble| OpenError::from_trouble(&path, trouble);
        let file = new.clone();
        let opener = Box::new(move |_| backend::create_file(&file, options.sync));
        let database = Reopenable::new(new.clone(), opener, options.cache);
        database.open(Access::First).map_err(failed)?;
        database.write(tables::migrate).map_err(failed)?;
        database.close();
        backend::name_file(&new, &path, options.sync).map_err(|error| failed(error.into()))
    }

    /// Removes the store of a directory.
    ///
    /// # Errors
    /// If there is one and it cannot be removed.
    pub fn remove(directory: &Path) -> io::Result<()> {
        match std::fs::remove_file(directory.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => damage::forget(directory),
        }
    }

    fn open_on(
        path: PathBuf,
        opener: Opener,
        spool: Spool,
        options: StoreOptions,
        watcher: Arc<dyn Watcher>,
    ) -> Result<Store, OpenError> {
        let database = Reopenable::new(path.clone(), opener, options.cache);
        let failed = |trouble| OpenError::from_trouble(&path, trouble);
        database.open(Access::First).map_err(failed)?;
        if let tables::Found::Newer(found) = database.write(tables::migrate).map_err(failed)? {
            return Err(OpenError::Newer { path, found, known: tables::FORMAT });
        }
        let loaded = database.read(|txn| load::index(txn, &path)).map_err(failed)?;
        let shared = Arc::new(Shared {
            database,
            index: Mutex::new(loaded.index),
            queue: Queue::new(),
            health: Health::default(),
            fetched: Fetched::new(spool),
            cache: Mutex::new(Cache::new(BLOCKS_CACHE)),
            reliance: Reliance::new(options.relied),
            corrupt: AtomicU64::new(loaded.damaged),
            damaged: Mutex::default(),
            damage: Notify::new(),
            watcher,
            gather: options.gather,
            here: options.here,
            writing: Mutex::default(),
            writer: Mutex::default(),
        });
        if !options.here {
            let writer = shared.clone();
            let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer::run(&writer));
            let thread = thread.map_err(|source| OpenError::Unusable { path, source })?;
            *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        shared.write_marked();
        let handles = Arc::new(Handles(shared));
        Ok(Store { payloads: Payloads(handles.clone()), results: Results(handles.clone()), journal: Journal(handles) })
    }

    fn shared(&self) -> &Shared {
        &self.journal.0
    }

    /// Whether it can be written to.
    pub fn health(&self) -> &Health {
        &self.shared().health
    }

    /// Takes a node off all lists of holders. The disk follows.
    pub fn strike(&self, gone: NodeId) {
        self.shared().index().strike(gone);
        self.shared().write_marked();
    }

    /// Bytes on the disk.
    pub fn size(&self) -> u64 {
        self.shared().database.size()
    }

    /// How many things were found damaged since it was opened.
    pub fn corrupt_reads(&self) -> u64 {
        self.shared().corrupt.load(Ordering::Relaxed)
    }

    /// Waits until something that was held here is found to be damaged, and takes out all that has been. It is for one that waits.
    pub async fn damaged(&self) -> Vec<Damaged> {
        loop {
            let found = std::mem::take(&mut *self.shared().damaged());
            if !found.is_empty() {
                return found;
            }
            self.shared().damage.notified().await;
        }
    }

    /// Writes what waits, and closes the file: another store can then be opened there. All handles refuse everything from
    /// then on. Blocks until the disk has it.
    pub fn close(&self) {
        self.shared().close();
    }
}
