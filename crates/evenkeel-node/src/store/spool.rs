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
        self.file.write_all_at(bytes, offset)?;
        Ok(Extent { offset, size })
    }

    /// Reads a part.
    pub fn read(&self, extent: Extent) -> io::Result<Bytes> {
        let mut bytes = vec![0; extent.size as usize];
        self.file.read_exact_at(&mut bytes, extent.offset)?;
        Ok(Bytes::from(bytes))
    }
}

impl Extent {
    /// A part of this part.
    pub fn part(self, from: u32, to: u32) -> Extent {
        assert!(from <= to && to <= self.size, "{from}..{to} of {}", self.size);
        Extent { offset: self.offset + u64::from(from), size: to - from }
    }
}
