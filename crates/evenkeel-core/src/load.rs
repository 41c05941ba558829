//! What nodes tell each other of themselves, and the stale picture that each has of the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Generation, NodeId};
use crate::units::Length;

/// What a node gossips of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Documents it owns that have no outcome, running ones included.
    pub pending: u64,
    /// Documents that hold a slot.
    pub running: u32,
    /// Its slots, as many as it has now.
    pub max_process: u32,
    /// Slots that it was started with. Static: takeover weights use it. Were they to follow `max_process`, two nodes that have
    /// heard different values would name different heirs, and holders of copies would change with every change of load.
    pub static_slots: u32,
    /// Work in hand: lengths (or counts) of what waits, what is left of what runs, and what it has granted but not yet received.
    pub work: f64,
    /// Speed that it is held to have before anything was measured, 1 = nominal. Static: takeover weights use it.
    pub bench: f64,
    /// `ln(length finished / seconds / bench)`: the measured rate; 0 before anything was measured.
    pub ln_rate: f64,
    /// Squared standard error of `ln_rate`; infinite before anything was measured.
    #[serde(with = "maybe_infinite")]
    pub rate_variance: f64,
    /// Shortest document that may move away; `None` if there is none.
    pub shortest: Option<Length>,
    /// Longest document that may move away; `None` if there is none.
    pub longest: Option<Length>,
    /// Documents in transfers under way from or to this node.
    pub in_flight: u64,
    /// It gives everything away and takes nothing.
    pub draining: bool,
    /// Number of records in its log.
    pub head: u64,
    /// Hash of everything it has seen: two nodes whose digests differ have something to tell each other.
    pub digest: u64,
    /// Hash of its state: two nodes that have seen the same and whose states differ know something that is in no log.
    pub state: u64,
    /// How far it is from equilibrium, by its own view: the largest gain one of its documents could have by moving.
    pub regret: f64,
    /// Documents ever started here in this generation.
    pub started: u64,
    /// Documents whose process was killed here, or whose result was dropped, because another owner had them.
    pub duplicates: u64,
    /// Documents that this generation has claimed from dead owners.
    pub taken_over: u64,
    /// Documents that this generation has given away.
    pub moved: u64,
}

impl Load {
    /// Static capacity: slots at the start times nominal speed. Rendezvous weights use it, since every node must agree on it.
    pub fn static_capacity(&self) -> f64 {
        f64::from(self.static_slots) * self.bench
    }
}

/// One live node as another sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Which run of it.
    pub generation: Generation,
    /// What it said last.
    pub load: Load,
}

/// A node's gossiped, stale picture of all *live* nodes, itself included or not: its own entry is never used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The live nodes.
    pub live: BTreeMap<NodeId, Peer>,
}

/// JSON has no infinity: it is written as -1, which no variance can be.
mod maybe_infinite {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(if value.is_finite() { *value } else { -1.0 })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Ok(if value >= 0.0 { value } else { f64::INFINITY })
    }
}
