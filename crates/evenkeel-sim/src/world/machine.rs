//! A machine: a node while it is up, its clock, and what the world knows of it.

use std::collections::BTreeMap;

use evenkeel_core::Node;
use evenkeel_core::ids::{DocId, Epoch, Generation, NodeId, Origin};
use evenkeel_core::journal::Gate;
use evenkeel_core::settings::Settings;
use evenkeel_core::units::Micros;

use super::disk::Disk;
use super::gossip::Roll;

/// Number of a machine in its world, from 0. One that lost its key comes back as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub usize);

impl std::fmt::Display for MachineId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "machine {}", self.0)
    }
}

impl MachineId {
    /// The identity of its node: twelve bytes of chance, so that no order of machines is the order of ids, and its number.
    pub fn node(self, seed: u64) -> NodeId {
        let mut id = [0; 16];
        let hash = xxhash_rust::xxh3::xxh3_128_with_seed(&self.0.to_le_bytes(), seed);
        id[..12].copy_from_slice(&hash.to_le_bytes()[..12]);
        id[12..].copy_from_slice(&(self.0 as u32).to_be_bytes());
        NodeId(id)
    }

    /// The machine with this node identity.
    pub fn of(node: NodeId) -> MachineId {
        let number = node.0[12..].try_into().expect("four bytes");
        MachineId(u32::from_be_bytes(number) as usize)
    }
}

/// A process that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// When it began.
    pub since: Micros,
    /// When it ends by itself, if it does.
    pub ends: Option<Micros>,
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// Which.
    pub id: MachineId,
    /// Its node; `None` while it is down, and once it has left.
    pub node: Option<Node>,
    /// Counts its starts, so that what was under way to an earlier run is not taken for its own.
    pub life: u32,
    /// It has left for good, or lost its identity.
    pub gone: bool,
    /// What runs on it.
    pub processes: BTreeMap<(DocId, Epoch), Process>,
    /// It stands still until then.
    pub paused_until: Micros,
    /// Its documents take longer until then.
    pub slow_until: Micros,
    /// True speed.
    pub speed: f64,
    /// Slots that its present run was last told to have.
    pub slots: u32,
    /// Since when its present run lives.
    pub born: Micros,
    pub(super) me: NodeId,
    pub(super) disk: Disk,
    /// What waits for the disk.
    pub(super) gate: Gate,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) roll: Roll,
    /// What it says of itself.
    pub(super) own: std::sync::Arc<super::gossip::Rumour>,
    /// When it will be woken.
    pub(super) wake: Option<Micros>,
    /// Where it looks for its cluster.
    pub(super) seeds: Vec<MachineId>,
    /// Others that it does not hear, and until when.
    pub(super) deaf_to: BTreeMap<MachineId, Micros>,
}

impl Machine {
    /// Whether it is up, standing still or not.
    pub fn is_up(&self) -> bool {
        self.node.is_some()
    }

    /// Whether it is up and not standing still.
    pub fn is_running(&self, now: Micros) -> bool {
        self.is_up() && self.paused_until <= now
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its identity.
    pub fn identity(&self) -> NodeId {
        self.me
    }

    /// The identity of its present, or last, run.
    pub fn origin(&self) -> Origin {
        Origin { node: self.me, generation: Generation(u64::from(self.life)) }
    }

    /// The time that its node is told.
    pub(super) fn local(&self, now: Micros) -> Micros {
        self.clock.show(now.since(self.born))
    }

    /// When its clock will show so much.
    pub(super) fn when(&self, local: Micros) -> Micros {
        self.born + self.clock.when(local)
    }
}

/// A clock that runs a little fast or slow, and may have jumped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// Gain in millionths.
    pub(super) drift: i64,
    /// Sum of its jumps.
    pub(super) jumped: Micros,
}

impl Clock {
    fn show(self, elapsed: Micros) -> Micros {
        let gained = i128::from(elapsed.0) * i128::from(self.drift) / 1_000_000;
        Micros((i128::from(elapsed.0) + gained) as u64) + self.jumped
    }

    /// The least time after which it shows that much, or more.
    fn when(self, shown: Micros) -> Micros {
        let wanted = i128::from(shown.since(self.jumped).0);
        let elapsed = wanted * 1_000_000 / i128::from(1_000_000 + self.drift);
        let elapsed = Micros(elapsed as u64);
        // Rounding: a microsecond or two more may be needed.
        (0..3).map(|more| elapsed + Micros(more)).find(|time| self.show(*time) >= shown).unwrap_or(elapsed + Micros(3))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_clock_is_read_when_it_shows_what_was_waited_for(
            shown in 0..1u64 << 40, drift in -5_000i64..5_000, jumped in 0..1u64 << 30,
        ) {
            let clock = Clock { drift, jumped: Micros(jumped) };
            let due = clock.when(Micros(shown));
            prop_assert!(clock.show(due) >= Micros(shown));
            prop_assert!(shown <= jumped || clock.show(due).since(Micros(shown)) <= Micros(3));
        }
    }

    #[test]
    fn a_machine_is_found_by_its_identity() {
        for number in [0, 1, 999, 70_000] {
            assert_eq!(MachineId::of(MachineId(number).node(5)), MachineId(number));
        }
    }
}
