//! The file under the database.

use std::fs::File;
use std::io;

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

/// A file whose syncs may be left out: of a cluster that lives and dies with its process nothing is read again after a
/// power cut, and so nothing needs to be waited for. All else is the same.
#[derive(Debug)]
pub(super) struct Backend {
    file: FileBackend,
    sync: bool,
}

impl Backend {
    pub(super) fn new(file: File, sync: bool) -> Result<Backend, DatabaseError> {
        Ok(Backend { file: FileBackend::new(file)?, sync })
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.sync { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
