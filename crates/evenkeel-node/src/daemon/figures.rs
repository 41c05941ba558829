//! Figures for monitoring that need not be asked of the loop.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Inner;
use crate::api::metrics::{Core, Health, Process, Snapshot, Store};
use crate::histogram::Histogram;

/// Time that the system has to tell how full a disk is: one that hangs does not.
const DISK_PATIENCE: Duration = Duration::from_secs(1);

/// The commit that the program was built from, if whoever built it has said.
const COMMIT: &str = match option_env!("EVENKEEL_COMMIT") {
    Some(commit) => commit,
    None => "",
};

impl Inner {
    /// Everything, with what the loop has told.
    pub(super) async fn snapshot(&self, core: Option<Core>, copies_missing: u64, turns: Histogram) -> Snapshot {
        let directory = self.data_dir.clone();
        let disk = tokio::task::spawn_blocking(move || (disk(&directory), Process::read()));
        let (disk, process) =
            tokio::time::timeout(DISK_PATIENCE, disk).await.ok().and_then(Result::ok).unwrap_or_default();
        let store = self.store.health();
        Snapshot {
            version: self.oneself.version.clone(),
            commit: COMMIT.to_owned(),
            core,
            health: Health {
                live: self.live().is_ok(),
                ready: self.ready().is_ok(),
                loop_lag: self.pulse.lag(),
                turns,
                time: self.surroundings.unix_micros() as f64 / 1e6,
                gossip_age: self.network.gossip_age(),
                idle: self.pulse.idle().map_or(Duration::ZERO, |idle| idle.since),
            },
            traffic: self.network.traffic(),
            store: Store {
                copies_missing,
                payload_segments: self.store.payloads.entrusted().len() as u64,
                results: self.store.results.count(),
                copies_given_up: self.plan.given_up.load(Ordering::Relaxed),
                bytes: self.store.size(),
                damaged: self.store.corrupt_reads(),
                failing: store.trouble().is_some(),
                commits: store.commits(),
                failures: store.failures(),
                writing: store.writing(),
                journal_bytes: store.journal_bytes(),
                disk,
            },
            process,
        }
    }
}

/// Size of the file system that a directory is on, and what of it may be written yet.
fn disk(directory: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some((found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize))
}
