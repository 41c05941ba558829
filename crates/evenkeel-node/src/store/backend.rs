//! The file below the database. With syncing off, for clusters that live in a temporary directory, it is the same file
//! and the same code, and only the wait for the disk is left out.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Makes the storage below the database, each time that it is opened.
pub(super) type Opener = Box<dyn Fn(Access) -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// When the store is.
    First,
    /// After an error.
    Again,
    /// After something that looked like damage: all of it is read, and refused unless it is as it was written.
    Checked,
    /// After an error, only to be read: the disk takes nothing.
    Read,
}

/// Opens the file, which is there and not empty: an empty one would be taken for a new database.
///
/// After an error: where syncing failed, the system may hold in memory what never came to the disk, and take it
/// for written: the database must not build on that, so it is read from the disk.
pub(super) fn open_file(path: &Path, sync: bool, access: Access) -> io::Result<Box<dyn StorageBackend>> {
    let file = File::options().read(true).write(access != Access::Read).open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
    }
    if sync && access != Access::First {
        // What is still to be written stays, and will be; an error would mean that there is no such memory.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    over_file(file, sync)
}

/// Makes a file, and what is left of one that was not finished goes.
pub(super) fn create_file(path: &Path, sync: bool) -> io::Result<Box<dyn StorageBackend>> {
    over_file(File::options().read(true).write(true).create(true).truncate(true).open(path)?, sync)
}

/// Gives a file its name, on the disk as well.
pub(super) fn name_file(from: &Path, to: &Path, sync: bool) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(directory) if sync => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

fn over_file(file: File, sync: bool) -> io::Result<Box<dyn StorageBackend>> {
    let backend = FileBackend::new(file).map_err(io::Error::other)?;
    Ok(if sync { Box::new(backend) } else { Box::new(Layer { below: Box::new(backend), sync: false }) })
}

/// The database wants a type and not a box; and syncing can be left out.
#[derive(Debug)]
pub(super) struct Layer {
    below: Box<dyn StorageBackend>,
    sync: bool,
}

impl Layer {
    /// Over this, and like it.
    pub(super) fn over(below: Box<dyn StorageBackend>) -> Layer {
        Layer { below, sync: true }
    }
}

impl StorageBackend for Layer {
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.sync { self.below.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.below.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}
