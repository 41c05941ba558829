//! How the cluster levels its work, and how many nodes it would take to do it in time.

use std::time::Duration;

use super::text::Text;

/// See above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Balance {
    /// Documents that this node gave away, by reason.
    pub moved: Vec<(&'static str, u64)>,
    /// Documents in transfers under way from or to this node.
    pub in_flight: u64,
    /// Documents killed or dropped here because another node had them.
    pub duplicates: u64,
    /// Documents that this node claimed from dead ones.
    pub taken_over: u64,
    /// Normalised load of the busiest node over the mean, less 1.
    pub imbalance: f64,
    /// Whether no document would gain by moving.
    pub in_equilibrium: bool,
    /// What is known once documents have shown how fast nodes work.
    pub measured: Option<Measured>,
}

/// What has to be reckoned in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Largest gain any document could have by moving.
    pub regret: Duration,
    /// Time that the cluster needs for what it has.
    pub backlog: Duration,
    /// Nodes that would do it within the time that is wanted.
    pub desired_nodes: u64,
}

/// Nodes like these, of which there are `nodes`, that would do in `target` what takes these `backlog`. What is left of a
/// node's work is work: one at least as long as there is any.
pub fn desired_nodes(backlog: Duration, nodes: usize, target: Duration) -> u64 {
    let node_seconds = backlog.as_secs_f64() * nodes as f64;
    // A rounding error is no reason for one more node.
    (node_seconds / target.as_secs_f64().max(1e-3) * (1.0 - 1e-9)).ceil() as u64
}

impl Balance {
    pub(super) fn write(&self, out: &mut Text) {
        let help = "Documents that this node gave away.";
        out.counters("evenkeel_documents_moved_total", help, "reason", self.moved.iter().copied());
        let help = "Documents in transfers under way from or to this node.";
        out.gauge("evenkeel_documents_in_transfer", help, self.in_flight);
        let help = "Documents killed or dropped here because another node had them.";
        out.counter("evenkeel_duplicate_executions_total", help, self.duplicates);
        let help = "Documents that this node claimed from dead ones.";
        out.counter("evenkeel_takeovers_total", help, self.taken_over);
        let help = "Normalised load of the busiest node over the mean, less 1.";
        out.gauge("evenkeel_imbalance_ratio", help, self.imbalance);
        let help = "1 while no document would gain by moving.";
        out.gauge("evenkeel_in_equilibrium", help, u8::from(self.in_equilibrium));
        let Some(measured) = &self.measured else { return };
        let help = "Largest gain any document could have by moving alone.";
        out.gauge("evenkeel_regret_seconds", help, measured.regret.as_secs_f64());
        let help = "Time that the cluster needs for what it has.";
        out.gauge("evenkeel_backlog_seconds", help, measured.backlog.as_secs_f64());
        let help = "Nodes like these that would do it within autoscale.target_drain.";
        out.gauge("evenkeel_autoscale_desired_nodes", help, measured.desired_nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_nodes_are_desired_as_end_in_time() {
        let desired = |backlog, nodes| desired_nodes(Duration::from_secs_f64(backlog), nodes, Duration::from_secs(600));
        assert_eq!(desired(0.0, 3), 0);
        assert_eq!(desired(0.001, 3), 1, "what is left is work");
        assert_eq!(desired(600.0, 3), 3);
        assert_eq!(desired(601.0, 3), 4);
        assert_eq!(desired(200.0, 3), 1);
        assert_eq!(desired(3_600.0, 4), 24);
        assert_eq!(desired_nodes(Duration::MAX, 1_000, Duration::ZERO), u64::MAX, "no panic");
    }
}
