//! Figures for monitoring that need not be asked of the loop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Inner;
use crate::api::metrics::{Core, Health, Process, Snapshot, Store};
use crate::histogram::Histogram;

/// The commit that the program was built from, if whoever built it has said.
const COMMIT: &str = match option_env!("EVENKEEL_COMMIT") {
    Some(commit) => commit,
    None => "",
};

impl Inner {
    /// Everything, with what the loop has told.
    pub(super) async fn snapshot(&self, core: Option<Core>, copies_missing: u64, turns: Histogram) -> Snapshot {
        let disk = self.room.measure().await;
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
                low: self.room.is_low(),
                commits: store.commits(),
                failures: store.failures(),
                writing: store.writing(),
                journal_bytes: store.journal_bytes(),
                disk,
            },
            process: Process::read(),
        }
    }
}
