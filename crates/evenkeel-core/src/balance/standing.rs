//! One live node as the arithmetic sees it, with numbers that can be reckoned with whatever a peer has sent.

use crate::ids::NodeId;
use crate::settings::Metric;
use crate::units::Length;

/// Most work a node can have. 2^24 batches of 2^32 documents could have more, but no sum or square of it may overflow.
const MAX_WORK: f64 = 1e30;

/// Least and greatest speed of a node. Beyond, a peer talks nonsense.
const SPEEDS: (f64, f64) = (1e-6, 1e6);

/// What a difference must exceed, relative to the levels compared, to be one. Without it rounding alone could make a
/// document better off on either of two nodes.
const ROUNDING: f64 = 1e-12;

/// One live node: what it has to do and how fast it is.
///
/// Built only by [`Standing::new`], which brings every number into a range in which no sum, square or quotient of them
/// overflows or is undefined: a peer's nonsense makes a bad plan, never a panic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    node: NodeId,
    work: f64,
    slots: u32,
    speed: f64,
    shortest: Option<f64>,
    draining: bool,
}

impl Standing {
    /// A node with so much work in hand, so many slots and this speed.
    pub fn new(node: NodeId, work: f64, slots: u32, speed: f64) -> Standing {
        Standing { node, work: sane_work(work), slots, speed: sane_speed(speed), shortest: None, draining: false }
    }

    /// The same node, whose shortest document that may move weighs so much; `None`: none may move.
    pub fn with_shortest(self, shortest: Option<f64>) -> Standing {
        Standing { shortest: shortest.map(sane_work), ..self }
    }

    /// The same node with other work in hand.
    pub fn with_work(self, work: f64) -> Standing {
        Standing { work: sane_work(work), ..self }
    }

    /// The same node, giving everything away and taking nothing, or not.
    pub fn with_draining(self, draining: bool) -> Standing {
        Standing { draining, ..self }
    }

    /// Which node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What its documents weigh together, grants under way included.
    pub fn work(&self) -> f64 {
        self.work
    }

    /// Its slots times its speed.
    pub fn capacity(&self) -> f64 {
        f64::from(self.slots) * self.speed
    }

    /// Its speed; only the ratio to other nodes' speeds means anything.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Weight of the shortest document that may move away.
    pub fn shortest(&self) -> Option<f64> {
        self.shortest
    }

    /// Whether it gives everything away.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether documents may be given to it: it has a slot, and is not draining.
    pub fn takes(&self) -> bool {
        !self.draining && self.slots > 0
    }

    /// Its normalised load: work over capacity. Infinite if it has work but no slot.
    pub fn level(&self) -> f64 {
        level(self.work, self.capacity())
    }

    /// What its documents should reckon with: its level, or infinity where they cannot stay.
    pub(super) fn level_to_leave(&self) -> f64 {
        if self.takes() { self.level() } else { f64::INFINITY }
    }

    /// Its level with a document of this length added.
    pub(super) fn level_with(&self, length: f64) -> f64 {
        level(self.work + length, self.capacity())
    }
}

/// What a document of this length weighs.
///
/// At least 1: a document without any length still costs a process, and a node that holds a million of them is loaded.
pub fn weigh(metric: Metric, length: Length) -> f64 {
    match metric {
        Metric::Length => length.as_f64().max(1.0),
        Metric::Count => 1.0,
    }
}

/// The level at which all nodes would stand if work were fluid: all work over the capacity of those that take any. If
/// none does, over all capacity; 0 if there is no capacity at all.
pub fn mean_level(nodes: &[Standing]) -> f64 {
    let work: f64 = nodes.iter().map(Standing::work).sum();
    let taking: f64 = nodes.iter().filter(|node| node.takes()).map(Standing::capacity).sum();
    let capacity = if taking > 0.0 { taking } else { nodes.iter().map(Standing::capacity).sum() };
    if capacity > 0.0 { work / capacity } else { 0.0 }
}

/// Work over capacity; infinite where there is work, but no capacity.
pub(super) fn level(work: f64, capacity: f64) -> f64 {
    if capacity > 0.0 {
        work / capacity
    } else if work > 0.0 {
        f64::INFINITY
    } else {
        0.0
    }
}

/// Whether one level is below another by more than rounding.
pub(super) fn below(level: f64, other: f64) -> bool {
    level < other * (1.0 - ROUNDING)
}

/// A surplus, or nothing if it is but the rounding of numbers of this size.
pub(super) fn unless_rounding(surplus: f64, size: f64) -> f64 {
    if surplus.abs() <= size * ROUNDING { 0.0 } else { surplus }
}

/// A work or length that can be reckoned with. What is not a number counts as nothing.
pub(super) fn sane_work(work: f64) -> f64 {
    if work > 0.0 { work.min(MAX_WORK) } else { 0.0 }
}

/// A speed that can be reckoned with. What is not a number counts as the least.
pub(super) fn sane_speed(speed: f64) -> f64 {
    if speed > SPEEDS.0 { speed.min(SPEEDS.1) } else { SPEEDS.0 }
}

/// A fraction of something, set by the operator: not negative, and a number.
pub(super) fn sane_fraction(fraction: f64) -> f64 {
    if fraction > 0.0 { fraction.min(1e6) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([7; 16]);

    #[test]
    fn nonsense_becomes_numbers() {
        for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE] {
            let node = Standing::new(NODE, hostile, u32::MAX, hostile).with_shortest(Some(hostile));
            assert!(node.level().is_finite() && node.level() >= 0.0);
            assert!((node.work() * node.work() / node.capacity()).is_finite());
            assert!(node.shortest().is_some_and(f64::is_finite));
        }
    }

    #[test]
    fn a_node_without_slots_takes_nothing() {
        assert!(!Standing::new(NODE, 0.0, 0, 1.0).takes());
        assert_eq!(Standing::new(NODE, 0.0, 0, 1.0).level(), 0.0);
        assert_eq!(Standing::new(NODE, 1.0, 0, 1.0).level(), f64::INFINITY);
        assert_eq!(mean_level(&[Standing::new(NODE, 1.0, 0, 1.0)]), 0.0);
    }

    #[test]
    fn what_a_draining_node_has_counts_but_its_capacity_does_not() {
        let stays = Standing::new(NODE, 30.0, 10, 1.0);
        let leaves = Standing::new(NodeId([8; 16]), 20.0, 10, 1.0).with_draining(true);
        assert_eq!(mean_level(&[stays, leaves]), 5.0);
        assert_eq!(mean_level(&[leaves]), 2.0);
    }

    #[test]
    fn every_document_weighs_something() {
        assert_eq!(weigh(Metric::Length, Length(0)), 1.0);
        assert_eq!(weigh(Metric::Length, Length(70)), 70.0);
        assert_eq!(weigh(Metric::Count, Length(70)), 1.0);
    }
}
