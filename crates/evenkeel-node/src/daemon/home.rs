//! The data directory of one node: nobody else's as long as it runs.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_core::ids::Generation;

/// Time that the last owner has to be gone: one that was killed may not have been cleared away yet, and a process that
/// it was just starting holds its files for an instant.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A data directory that is this node's alone. Given free when dropped, or when the process ends, however it does.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory if need be, and takes it.
    pub(super) async fn take(path: PathBuf) -> anyhow::Result<Home> {
        Home::take_within(path, PATIENCE).await
    }

    async fn take_within(path: PathBuf, patience: Duration) -> anyhow::Result<Home> {
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make the data directory {}", path.display()))?;
        let unlockable = || format!("cannot lock the data directory {}", path.display());
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .with_context(unlockable)?;
        let until = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::WouldBlock) => bail!(
                    "the data directory {} is in use by process {}: each node needs its own, choose another with \
                     --data-dir",
                    path.display(),
                    owner(&mut lock)
                ),
                Err(TryLockError::Error(error)) => return Err(error).with_context(unlockable),
            }
        }
        // For whoever is refused.
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).with_context(unlockable)?;
        Ok(Home { path, _lock: lock })
    }

    /// The generation of this run: the time, or one more than that of the last run if the clock has gone back. To the
    /// others the run with the highest generation is the node.
    pub(super) fn generation(&self, unix_millis: u64) -> anyhow::Result<Generation> {
        let file = self.path.join("generation");
        let last: u64 = match std::fs::read_to_string(&file) {
            Ok(text) => text
                .trim()
                .parse()
                .with_context(|| format!("{} holds no number; remove it if the clock is right", file.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let generation = unix_millis.max(last.saturating_add(1));
        self.replace(&file, generation).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Generation(generation))
    }

    /// Writes the number whole or not at all.
    fn replace(&self, file: &Path, number: u64) -> std::io::Result<()> {
        let scratch = self.path.join("generation.new");
        let mut new = File::create(&scratch)?;
        writeln!(new, "{number}")?;
        new.sync_all()?;
        std::fs::rename(&scratch, file)?;
        File::open(&self.path)?.sync_all()
    }
}

/// The process that uses a data directory at this moment, by what it wrote; `None` if none does.
pub fn user_of(directory: &Path) -> Option<String> {
    let mut lock = File::open(directory.join("lock")).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(owner(&mut lock)),
        // Given free again when the file is closed.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The process that has the lock, by what it wrote.
fn owner(lock: &mut File) -> String {
    let mut text = String::new();
    // It may be writing just now, or never have come to it.
    let _ = lock.read_to_string(&mut text);
    text.trim().parse::<u32>().map_or("unknown".to_owned(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/data");
        for _ in 0..2 {
            let home = Home::take(path.clone()).await.unwrap();
            let error = Home::take_within(path.clone(), Duration::ZERO).await.unwrap_err().to_string();
            let (place, pid) = (path.to_str().unwrap(), format!("process {}:", std::process::id()));
            assert!(error.contains(place) && error.contains(&pid) && error.contains("--data-dir"), "{error}");
            assert_eq!(user_of(&path), Some(std::process::id().to_string()));
            drop(home);
            assert_eq!(user_of(&path), None);
        }
    }

    #[tokio::test]
    async fn generations_rise_even_if_the_clock_goes_back() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::take(directory.path().to_owned()).await.unwrap();
        let generations = [1_000, 2_000, 1_500, 2_000, 3_000].map(|now| home.generation(now).unwrap().0);
        assert_eq!(generations, [1_000, 2_000, 2_001, 2_002, 3_000]);
        std::fs::write(directory.path().join("generation"), "soon").unwrap();
        let error = home.generation(1).unwrap_err().to_string();
        assert!(error.contains("generation holds no number"), "{error}");
    }
}
