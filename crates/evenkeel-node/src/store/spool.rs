//! An append-only file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// A part of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    offset: u64,
    size: u32,
}

/// Bytes appended to a file that nobody else can open, read back by place.
#[derive(Debug)]
pub struct Spool {
    file: File,
    end: AtomicU64,
}

impl Spool {
    /// An empty spool in this directory.
    pub fn create(directory: &Path) -> io::Result<Spool> {
        Ok(Spool { file: tempfile::tempfile_in(directory)?, end: AtomicU64::new(0) })
    }

    /// Appends bytes; at most 4 GiB at once.
    pub fn append(&self, bytes: &[u8]) -> io::Result<Extent> {
        let size = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let offset = self.end.fetch_add(u64::from(size), Ordering::Relaxed);
        let extent = Extent { offset, size };
        // A disk that is full keeps nothing of what it did not take whole.
        self.file.write_all_at(bytes, offset).inspect_err(|_| self.release(extent))?;
        Ok(extent)
    }

    /// Reads a part.
    pub fn read(&self, extent: Extent) -> io::Result<Bytes> {
        let mut bytes = vec![0; extent.size as usize];
        self.file.read_exact_at(&mut bytes, extent.offset)?;
        Ok(Bytes::from(bytes))
    }

    /// Gives a part's room on the disk back. It reads as zeros from then on.
    pub fn release(&self, extent: Extent) {
        let how = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        // A file system that cannot do it only keeps what would be gone with the process anyway.
        let _ = rustix::fs::fallocate(&self.file, how, extent.offset, u64::from(extent.size));
    }

    /// Sees whether so many bytes find room on the disk.
    pub(super) fn probe(&self, bytes: usize) -> io::Result<()> {
        let extent = self.append(&vec![0; bytes]);
        let synced = self.file.sync_data();
        self.release(extent?);
        synced
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }
}

impl Extent {
    /// A part of this part.
    pub fn part(self, from: u32, to: u32) -> Extent {
        assert!(from <= to && to <= self.size, "{from}..{to} of {}", self.size);
        Extent { offset: self.offset + u64::from(from), size: to - from }
    }
}
