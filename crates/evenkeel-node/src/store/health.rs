//! Whether the data directory takes what is written to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::seldom::Seldom;

/// How the last write went.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<Option<String>>,
    line: Seldom,
}

impl Health {
    /// Why nothing can be written; `None` if it can.
    pub fn trouble(&self) -> Option<String> {
        self.state().clone()
    }

    /// Notes that a write failed. A full disk fails every one: that is no line for each.
    pub(super) fn ill(&self, why: &str) {
        *self.state() = Some(why.to_owned());
        if let Some(unsaid) = self.line.due() {
            tracing::error!(unsaid, "cannot write to the data directory; copies go to other nodes: {why}");
        }
    }

    /// Notes that a write succeeded.
    pub(super) fn well(&self) {
        if self.state().take().is_some() {
            tracing::info!("the data directory can be written to again");
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
