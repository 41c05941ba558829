//! The database in its file, which can be opened again while it is in use, as it must be after an error of the disk.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, TryLockError};

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::Trouble;
use super::backend::{Access, Layer, Opener};
use super::overlay::Overlay;

/// How far a repair says to be when it has found that the last commit is not whole, and before it has looked at the one before.
const FELL_BACK: std::ops::Range<f64> = 0.2..0.5;

/// See above.
pub(super) struct Reopenable {
    path: PathBuf,
    opener: Opener,
    /// Bytes of pages that are kept in memory.
    cache: usize,
    /// `None` while it cannot be opened.
    database: RwLock<Option<Opened>>,
}

struct Opened {
    database: Database,
    /// It may be written to.
    writable: bool,
}

impl Reopenable {
    /// Not open yet.
    pub(super) fn new(path: PathBuf, opener: Opener, cache: usize) -> Reopenable {
        Reopenable { path, opener, cache, database: RwLock::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file; 0 if there is none to be seen.
    pub(super) fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// Closes the database if it is open, and opens it, which repairs what a crash or an error has left behind. Whoever is
    /// reading is waited for.
    pub(super) fn open(&self, access: Access) -> Result<(), Trouble> {
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // It holds the lock of the file.
        if let Some(before) = place.take() {
            self.drop(before);
        }
        let opened = Trouble::guard(|| {
            let mut backend = (self.opener)(access)?;
            if access == Access::Read {
                backend = Box::new(Overlay::over(backend)?);
            }
            let mut builder = Database::builder();
            builder.set_cache_size(self.cache).set_check_integrity_on_open(access == Access::Checked);
            let file = self.path.display().to_string();
            builder.set_repair_callback(move |repair| {
                if FELL_BACK.contains(&repair.progress()) {
                    tracing::warn!(file, "the last commit is torn, or damaged: the one before it is tried");
                }
            });
            Ok(builder.create_with_backend(Layer::over(backend))?)
        });
        *place = Some(Opened { database: opened?, writable: access != Access::Read });
        Ok(())
    }

    /// Closes it for good.
    pub(super) fn close(&self) {
        if let Some(opened) = self.database.write().unwrap_or_else(PoisonError::into_inner).take() {
            self.drop(opened);
        }
    }

    fn drop(&self, opened: Opened) {
        let closed = Trouble::guard(|| {
            drop(opened.database);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, file = %self.path.display(), "the store was not closed cleanly");
        }
    }

    /// Does something with it. Does not wait while it is opened again: that may take as long as reading all of the file, and
    /// there are those who must not wait for so long.
    fn with<T>(&self, what: impl FnOnce(&Opened) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let place = match self.database.try_read() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(opened) = place.as_ref().and_then(|place| place.as_ref()) else {
            return Err(Trouble::Unavailable(format!("{} is not open", self.path.display())));
        };
        Trouble::guard(|| what(opened))
    }

    /// Reads what the last commit has left.
    pub(super) fn read<T>(&self, what: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.with(|opened| what(&opened.database.begin_read()?))
    }

    /// Changes it.
    pub(super) fn write<T>(&self, what: impl FnOnce(&Database) -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.with(|opened| match opened.writable {
            true => what(&opened.database),
            false => Err(Trouble::Unavailable("it can only be read".to_owned())),
        })
    }
}

impl std::fmt::Debug for Reopenable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reopenable").field("path", &self.path).finish_non_exhaustive()
    }
}
