//! That a store is damaged where it is written to, noted beside it for the next start of its node. A file that is closed cleanly
//! afterwards would be taken for a good one.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::FILE;

fn place(store: &Path) -> PathBuf {
    store.with_extension("redb.damage")
}

/// Notes what is wrong with the store in this file.
pub(super) fn note(store: &Path, why: &str) -> io::Result<()> {
    let mut file = File::create(place(store))?;
    writeln!(file, "{why}")?;
    file.sync_all()
}

/// What an earlier run has noted of the store in a directory.
pub fn noted(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place(&directory.join(FILE))).ok()?;
    Some(text.trim_end().to_owned())
}

/// Forgets it: the store is another one from now on.
///
/// # Errors
/// If that cannot be written.
pub fn forget(directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(place(&directory.join(FILE))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
