//! Whether the data directory takes what is written to it, and how fast.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::seldom::Seldom;

/// How the last write went, and what all of them took.
#[derive(Debug)]
pub struct Health {
    trouble: Mutex<Option<String>>,
    damage: OnceLock<String>,
    doubts: AtomicU32,
    line: Seldom,
    born: Instant,
    /// Microseconds after `born` at which the commit under way began; 0: there is none.
    begun: AtomicU64,
    commits: Mutex<Histogram>,
    failures: AtomicU64,
    journal_bytes: AtomicU64,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            trouble: Mutex::default(),
            damage: OnceLock::new(),
            doubts: AtomicU32::new(0),
            line: Seldom::default(),
            born: Instant::now(),
            begun: AtomicU64::new(0),
            commits: Mutex::default(),
            failures: AtomicU64::new(0),
            journal_bytes: AtomicU64::new(0),
        }
    }
}

impl Health {
    /// Why nothing can be written; `None` if it can.
    pub fn trouble(&self) -> Option<String> {
        self.state().clone()
    }

    /// What is damaged where it is written to: nothing will be written until the file is another one.
    pub fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// For how long the commit under way has been; zero if there is none. A disk may hang without an error.
    pub fn writing(&self) -> Duration {
        match self.begun.load(Relaxed) {
            0 => Duration::ZERO,
            begun => Duration::from_micros(self.now().saturating_sub(begun)),
        }
    }

    /// How long the commits took that succeeded, their syncs included.
    pub fn commits(&self) -> Histogram {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Bytes of entries that were written to the journal.
    pub fn journal_bytes(&self) -> u64 {
        self.journal_bytes.load(Relaxed)
    }

    /// Takes the time of a commit.
    pub(crate) fn commits_with<T, E>(&self, commit: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let begun = self.now().max(1);
        self.begun.store(begun, Relaxed);
        let committed = commit();
        self.begun.store(0, Relaxed);
        match &committed {
            Ok(_) => {
                let took = Duration::from_micros(self.now().saturating_sub(begun));
                self.commits.lock().unwrap_or_else(PoisonError::into_inner).observe(took);
            }
            Err(_) => drop(self.failures.fetch_add(1, Relaxed)),
        }
        committed
    }

    /// Notes that entries of so many bytes are in the journal.
    pub(super) fn journal_grew(&self, bytes: usize) {
        self.journal_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes that a write failed. A full disk fails every one: that is no line for each.
    pub(super) fn ill(&self, why: &str) {
        *self.state() = Some(why.to_owned());
        if let Some(unsaid) = self.line.due() {
            tracing::error!(unsaid, "cannot write to the data directory; copies go to other nodes: {why}");
        }
    }

    /// Notes that a write has found damage where a reader finds none, and returns how many have since one succeeded.
    pub(super) fn doubt(&self) -> u32 {
        1 + self.doubts.fetch_add(1, Relaxed)
    }

    /// Notes that no write will succeed. The first reason is the one to be told.
    pub(super) fn spoilt(&self, why: &str) {
        if self.damage.set(why.to_owned()).is_ok() {
            tracing::error!("the store is damaged where it is written to; a restart sets it aside: {why}");
        }
        *self.state() = Some(why.to_owned());
    }

    /// Notes that a write succeeded.
    pub(super) fn well(&self) {
        self.doubts.store(0, Relaxed);
        if self.state().take().is_some() {
            tracing::info!("the data directory can be written to again");
        }
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_micros() as u64
    }

    fn state(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_lasts_is_seen_and_each_is_counted_once() {
        let health = Health::default();
        assert_eq!(health.writing(), Duration::ZERO);
        let written: Result<(), ()> = health.commits_with(|| {
            std::thread::sleep(Duration::from_millis(2));
            assert!(health.writing() >= Duration::from_millis(1));
            Ok(())
        });
        assert_eq!((written, health.writing(), health.failures()), (Ok(()), Duration::ZERO, 0));
        assert_eq!(health.commits_with(|| Err::<(), ()>(())), Err(()));
        assert_eq!((health.commits().count(), health.failures(), health.writing()), (1, 1, Duration::ZERO));
    }
}
