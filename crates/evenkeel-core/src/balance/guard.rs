//! The slow-node guard: what a node much slower than the fastest may start or be given.
//!
//! One node ten times slower than the rest holds up a whole batch if it starts a long document near the end: with
//! exact lengths the makespan was 2.39 times the best possible without this guard, 1.01 times with it.

use super::standing::{Standing, mean_level, sane_fraction, sane_speed, sane_work};
use crate::settings::Settings;

/// Who is slow, and what slow nodes may start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowRule {
    /// A node slower than this fraction of the fastest is slow.
    pub slow: f64,
    /// A slow node starts what it would finish within this fraction of the cluster's drain time.
    pub horizon: f64,
}

impl From<&Settings> for SlowRule {
    fn from(settings: &Settings) -> SlowRule {
        SlowRule { slow: settings.slow, horizon: settings.slow_horizon }
    }
}

impl Default for SlowRule {
    fn default() -> SlowRule {
        SlowRule::from(&Settings::default())
    }
}

/// The slow rule applied to a cluster as it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    /// Below this speed a node is slow.
    slow_below: f64,
    fastest: f64,
    drain: f64,
    /// What of it slow nodes may use.
    horizon: f64,
}

impl Guard {
    /// For these nodes. The fastest is sought among those that take documents: one that leaves cannot spare the rest.
    pub fn new(rule: SlowRule, nodes: &[Standing]) -> Guard {
        Guard::draining_in(rule, nodes, mean_level(nodes))
    }

    /// For these nodes, of which the drain time is known to be another than their present mean level.
    pub(super) fn draining_in(rule: SlowRule, nodes: &[Standing], drain: f64) -> Guard {
        let fastest = |taking: bool| {
            nodes.iter().filter(|node| node.takes() || !taking).map(Standing::speed).max_by(f64::total_cmp)
        };
        let fastest = fastest(true).or_else(|| fastest(false)).unwrap_or(1.0);
        Guard {
            // Never above the fastest, so that there is always a node that may start anything.
            slow_below: sane_fraction(rule.slow).min(1.0) * fastest,
            fastest,
            drain: sane_work(drain),
            horizon: sane_fraction(rule.horizon) * sane_work(drain),
        }
    }

    /// The cluster's drain time: its mean level.
    pub(super) fn drain_time(&self) -> f64 {
        self.drain
    }

    /// Whether a node of this speed is slow.
    pub fn is_slow(&self, speed: f64) -> bool {
        sane_speed(speed) < self.slow_below
    }

    /// The greatest length that a node of this speed may start or be given: infinite unless it is slow.
    pub fn longest_in_time(&self, speed: f64) -> f64 {
        if self.is_slow(speed) { self.horizon * sane_speed(speed) } else { f64::INFINITY }
    }

    /// Whether a node of this speed may start, or be given, a document of this length.
    pub fn in_time(&self, speed: f64, length: f64) -> bool {
        sane_work(length) <= self.longest_in_time(speed)
    }

    /// Whether a slow node with nothing that is in time may start this document, its shortest, all the same: it ends
    /// no later than if the fastest took it up once everything else is done.
    pub fn last_resort(&self, speed: f64, length: f64) -> bool {
        let length = sane_work(length);
        length / sane_speed(speed) <= self.drain + length / self.fastest
    }

    /// The node that should have the documents that a slow node exports: the lowest of those that are not slow.
    pub fn refuge<'a>(&self, nodes: &'a [Standing], from: &Standing) -> Option<&'a Standing> {
        nodes
            .iter()
            .filter(|node| node.takes() && !self.is_slow(node.speed()) && node.node() != from.node())
            .min_by(|a, b| a.level().total_cmp(&b.level()).then(a.node().cmp(&b.node())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;

    fn node(id: u8, work: f64, slots: u32, speed: f64) -> Standing {
        Standing::new(NodeId([id; 16]), work, slots, speed)
    }

    #[test]
    fn a_slow_node_starts_what_it_ends_in_time() {
        // Mean level 10; the slow node may use 7 of it at a tenth of the speed.
        let nodes = [node(1, 205.0, 10, 1.0), node(2, 0.0, 10, 1.0), node(3, 0.0, 5, 0.1)];
        let guard = Guard::new(SlowRule::default(), &nodes);
        assert!(guard.is_slow(0.1) && !guard.is_slow(0.7) && !guard.is_slow(1.0));
        assert!((guard.longest_in_time(0.1) - 0.7).abs() < 1e-12);
        assert!(guard.in_time(0.1, 0.69) && !guard.in_time(0.1, 0.71));
        assert!(guard.in_time(1.0, f64::INFINITY));
    }

    #[test]
    fn as_a_last_resort_it_takes_what_the_fastest_would_not_end_sooner() {
        let guard = Guard::new(SlowRule::default(), &[node(1, 90.0, 9, 1.0), node(2, 10.0, 10, 0.1)]);
        // Drain time 10: a length of 1 takes 10 here, and would end at 11 on the fastest; 2 would take 20 against 12.
        assert!(guard.last_resort(0.1, 1.0));
        assert!(!guard.last_resort(0.1, 2.0));
    }

    #[test]
    fn whoever_leaves_does_not_make_others_slow() {
        let nodes = [node(1, 50.0, 10, 1.0).with_draining(true), node(2, 0.0, 10, 0.1)];
        let guard = Guard::new(SlowRule::default(), &nodes);
        assert!(!guard.is_slow(0.1));
        assert_eq!(guard.refuge(&nodes, &nodes[0]).map(Standing::node), Some(NodeId([2; 16])));
        assert_eq!(guard.refuge(&nodes, &nodes[1]), None);
    }

    #[test]
    fn the_fastest_is_never_slow_whatever_the_rule() {
        let nodes = [node(1, 1.0, 1, 3.0), node(2, 1.0, 1, 2.0)];
        for slow in [f64::NAN, -1.0, 0.0, 1.0, 7.0, f64::INFINITY] {
            for horizon in [f64::NAN, -1.0, f64::INFINITY] {
                let guard = Guard::new(SlowRule { slow, horizon }, &nodes);
                assert!(!guard.is_slow(3.0));
                let _ = (guard.in_time(f64::NAN, f64::INFINITY), guard.last_resort(0.0, f64::INFINITY));
            }
        }
        assert!(!Guard::new(SlowRule::default(), &[]).is_slow(1.0));
    }
}
