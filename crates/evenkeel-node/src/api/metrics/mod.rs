//! What a node tells Prometheus: a room for each part of it.
//!
//! Labels are bounded by the number of nodes and of routes: nothing here grows with batches, documents, or what clients
//! send. `docs/monitoring.md` explains every family; a test compares the two.

mod balance;
mod cluster;
mod documents;
mod health;
mod process;
mod requests;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use evenkeel_net::Traffic;

pub use crate::histogram::Histogram;
pub use balance::{Balance, Measured, desired_nodes};
pub use cluster::Peers;
pub use documents::Documents;
pub use health::Health;
pub use process::Process;
pub(super) use requests::Requests;
pub use store::Store;
use text::Text;

/// Figures of one node at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Version of the program.
    pub version: String,
    /// Commit that it was built from; empty if the build did not say.
    pub commit: String,
    /// What only the node's loop knows; `None` while that does not answer, and its families are left out then.
    pub core: Option<Core>,
    /// Whether the node makes progress.
    pub health: Health,
    /// What has gone over the wire.
    pub traffic: Traffic,
    /// Its disk.
    pub store: Store,
    /// Its process.
    pub process: Process,
}

/// What only the node's loop knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Core {
    /// Its documents, and everybody's.
    pub documents: Documents,
    /// How work is levelled.
    pub balance: Balance,
    /// The nodes as it holds them.
    pub peers: Peers,
}

impl Snapshot {
    /// In the text format of Prometheus, with what the API itself has counted. `uploads`: those under way.
    pub(super) fn to_prometheus(&self, requests: &Requests, uploads: usize) -> String {
        let mut out = Text::default();
        out.family("evenkeel_build_info", "gauge", "The program: its version, and the commit if the build said it.");
        out.sample("evenkeel_build_info", &[("version", &self.version), ("commit", &self.commit)], 1);
        self.health.write(&mut out);
        if let Some(core) = &self.core {
            core.documents.write(&mut out);
            core.balance.write(&mut out);
            core.peers.write(&mut out);
        }
        cluster::write_traffic(&self.traffic, &mut out);
        self.store.write(&mut out);
        requests.write(uploads, &mut out);
        self.process.write(&mut out);
        out.into_string()
    }
}
