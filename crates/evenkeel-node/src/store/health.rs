//! Whether the data directory takes what is written to it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::seldom::Seldom;

/// How the last write went.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<Option<String>>,
    line: Seldom,
}

impl Health {
    /// Why the last write failed; `None` if it did not.
    pub fn trouble(&self) -> Option<String> {
        self.state().clone()
    }

    /// Notes how a write went, and says what changes. A full disk fails every write: that is no line for each.
    pub(super) fn note<T>(&self, written: io::Result<T>) -> io::Result<T> {
        let now = written.as_ref().err().map(io::Error::to_string);
        let before = std::mem::replace(&mut *self.state(), now);
        match &written {
            Err(error) => {
                if let Some(unsaid) = self.line.due() {
                    tracing::error!(%error, unsaid, "cannot write to the data directory; copies go to other nodes");
                }
            }
            Ok(_) if before.is_some() => tracing::info!("the data directory can be written to again"),
            Ok(_) => {}
        }
        written
    }

    fn state(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
