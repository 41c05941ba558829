//! Why a store is not opened, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::Trouble;

/// Why a store was not opened. Nothing of it is changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened, read or written.
    #[error("cannot use {}: {source}; see that the disk is well and has room, and that the file is this user's", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else has it open.
    #[error("{} is in use by another process: each node needs its own data directory", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later build has written it.
    #[error(
        "{} has format {found}, and this build knows formats up to {known}: run the newer build, or move the file away to \
         start with nothing",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// It is not what was written.
    #[error("{} is damaged: {why}; move it away to start with nothing, other nodes have copies", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
}

impl OpenError {
    pub(super) fn from_trouble(path: &Path, trouble: Trouble) -> OpenError {
        let path = path.to_owned();
        match trouble {
            Trouble::Corrupt(why) | Trouble::Broken(why) => OpenError::Corrupt { path, why },
            Trouble::Io(source) => OpenError::Unusable { path, source },
            Trouble::Unavailable(why) => OpenError::Unusable { path, source: io::Error::other(why) },
            Trouble::InUse => OpenError::InUse { path },
        }
    }
}
