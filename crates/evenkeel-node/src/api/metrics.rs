//! What a node tells Prometheus, written as text.
//!
//! Labels are bounded by the number of nodes: nothing here grows with batches or documents.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use evenkeel_core::ids::NodeId;

use super::types::NodeState;

/// Upper bounds of the duration histogram's buckets, in seconds: documents last from milliseconds to hours.
const BUCKETS: [f64; 14] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3_600.0];

/// How long documents ran.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Observations in each bucket alone; those beyond the last are only in `count`.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Histogram {
    /// Counts one document.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}

/// Figures of one node at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Documents of all batches without outcome and without process.
    pub waiting: u64,
    /// Documents of all batches that have a process.
    pub running: u64,
    /// Documents of all batches that succeeded.
    pub done: u64,
    /// Documents of all batches whose every attempt failed.
    pub failed: u64,
    /// Documents of all batches that were cancelled first.
    pub cancelled: u64,
    /// Documents that this node owns and that have no outcome.
    pub own_pending: u64,
    /// Sum of their lengths.
    pub own_length_pending: u64,
    /// Slots of this node in use.
    pub own_running: u32,
    /// Slots of this node.
    pub max_process: u32,
    /// Documents that this node ever started.
    pub started: u64,
    /// How long documents ran here.
    pub durations: Histogram,
    /// Documents that this node gave away, by reason.
    pub moved: Vec<(&'static str, u64)>,
    /// Documents killed or dropped here because another node had them.
    pub duplicates: u64,
    /// Documents that this node claimed from dead ones.
    pub taken_over: u64,
    /// Id, name and state of every node.
    pub peers: Vec<(NodeId, String, NodeState)>,
    /// How often a node that was held dead turned out to be alive.
    pub false_deaths: u64,
    /// Bytes of gossip sent.
    pub gossip_sent: u64,
    /// Bytes of gossip received.
    pub gossip_received: u64,
    /// How late the node's loop was at its last turn.
    pub loop_lag: Duration,
    /// Segments of payloads and results held here that have too few copies.
    pub copies_missing: u64,
    /// Segments of payloads held here.
    pub payload_segments: u64,
    /// Bytes of the node's store on its disk.
    pub store_bytes: u64,
    /// Things found damaged in it since the node started.
    pub store_damaged: u64,
    /// Whether it cannot be written to.
    pub store_failing: bool,
    /// Normalised load of the busiest node over the mean, less 1.
    pub imbalance: f64,
    /// Largest gain any document could have by moving.
    pub regret: f64,
    /// Whether that is small enough.
    pub in_equilibrium: bool,
    /// Time that the cluster needs for what it has.
    pub backlog: Duration,
    /// Version of the program.
    pub version: String,
}

impl Snapshot {
    /// In the text format of Prometheus.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::with_capacity(8 << 10);
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        family(out, "build_info", "gauge", "Version of the program.")?;
        sample(out, "build_info", &[("version", &self.version)], 1)?;
        self.write_documents(out)?;
        self.write_balance(out)?;
        self.write_cluster(out)
    }

    fn write_documents(&self, out: &mut String) -> fmt::Result {
        family(
            out,
            "documents",
            "gauge",
            "Documents of the whole cluster, as this node knows them. Do not sum over nodes.",
        )?;
        for (state, count) in [
            ("waiting", self.waiting),
            ("running", self.running),
            ("done", self.done),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
        ] {
            sample(out, "documents", &[("state", state)], count)?;
        }
        single(
            out,
            "documents_pending",
            "gauge",
            "Documents that this node owns and that have no outcome.",
            self.own_pending,
        )?;
        single(out, "document_length_pending", "gauge", "Sum of the lengths of those.", self.own_length_pending)?;
        single(out, "documents_running", "gauge", "Slots of this node in use.", self.own_running)?;
        single(out, "max_process", "gauge", "Slots of this node.", self.max_process)?;
        single(out, "documents_started_total", "counter", "Documents started by this node.", self.started)?;

        let name = "document_duration_seconds";
        family(out, name, "histogram", "How long documents ran on this node.")?;
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(self.durations.buckets) {
            below += count;
            sample(out, "document_duration_seconds_bucket", &[("le", &bound.to_string())], below)?;
        }
        sample(out, "document_duration_seconds_bucket", &[("le", "+Inf")], self.durations.count)?;
        sample(out, "document_duration_seconds_sum", &[], self.durations.sum_seconds)?;
        sample(out, "document_duration_seconds_count", &[], self.durations.count)
    }

    fn write_balance(&self, out: &mut String) -> fmt::Result {
        family(out, "documents_moved_total", "counter", "Documents that this node gave away.")?;
        for (reason, count) in &self.moved {
            sample(out, "documents_moved_total", &[("reason", reason)], count)?;
        }
        let help = "Documents killed or dropped here because another node had them.";
        single(out, "duplicate_executions_total", "counter", help, self.duplicates)?;
        single(out, "takeovers_total", "counter", "Documents that this node claimed from dead ones.", self.taken_over)?;
        let help = "Normalised load of the busiest node over the mean, less 1.";
        single(out, "imbalance_ratio", "gauge", help, self.imbalance)?;
        single(out, "regret", "gauge", "Largest gain any document could have by moving alone.", self.regret)?;
        let help = "1 while no document would gain by moving.";
        single(out, "in_equilibrium", "gauge", help, u8::from(self.in_equilibrium))?;
        let help = "Time that the cluster needs for what it has.";
        single(out, "backlog_seconds", "gauge", help, self.backlog.as_secs_f64())
    }

    fn write_cluster(&self, out: &mut String) -> fmt::Result {
        family(out, "peer_state", "gauge", "1 for the state in which this node holds a node.")?;
        for (node, peer, held) in &self.peers {
            // Names need not differ, and samples must.
            let node = node.to_string();
            for state in NodeState::ALL {
                let labels = [("node", node.as_str()), ("peer", peer.as_str()), ("state", state.as_str())];
                sample(out, "peer_state", &labels, u8::from(state == *held))?;
            }
        }
        let help = "How often a node that was held dead turned out to be alive.";
        single(out, "false_deaths_total", "counter", help, self.false_deaths)?;
        family(out, "gossip_bytes_total", "counter", "Bytes of gossip.")?;
        sample(out, "gossip_bytes_total", &[("direction", "sent")], self.gossip_sent)?;
        sample(out, "gossip_bytes_total", &[("direction", "received")], self.gossip_received)?;
        let help = "How late the node's loop was at its last turn.";
        single(out, "event_loop_lag_seconds", "gauge", help, self.loop_lag.as_secs_f64())?;
        let help = "Payload segments and results held here that fewer live nodes have than should.";
        single(out, "copies_missing", "gauge", help, self.copies_missing)?;
        let help = "Segments of payloads held here, of 4,096 documents at most.";
        single(out, "payload_segments", "gauge", help, self.payload_segments)?;
        single(out, "store_bytes", "gauge", "Bytes of the node's store on its disk.", self.store_bytes)?;
        let help = "Things found damaged in the node's store.";
        single(out, "store_damaged_total", "counter", help, self.store_damaged)?;
        let help = "Whether the node's store cannot be written to.";
        single(out, "store_failing", "gauge", help, u8::from(self.store_failing))
    }
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: impl Display) -> fmt::Result {
    family(out, name, kind, help)?;
    sample(out, name, &[], value)
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP evenkeel_{name} {help}")?;
    writeln!(out, "# TYPE evenkeel_{name} {kind}")
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
    write!(out, "evenkeel_{name}")?;
    for (place, (label, text)) in labels.iter().enumerate() {
        write!(out, "{}{label}=\"", if place == 0 { '{' } else { ',' })?;
        for letter in text.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                _ => out.push(letter),
            }
        }
        out.push('"');
    }
    writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative_and_complete() {
        let mut durations = Histogram::default();
        [1, 4, 30, 7_200_000].into_iter().for_each(|millis| durations.observe(Duration::from_millis(millis)));
        let text = Snapshot { durations, ..Snapshot::default() }.to_prometheus();
        for line in [
            "evenkeel_document_duration_seconds_bucket{le=\"0.005\"} 2",
            "evenkeel_document_duration_seconds_bucket{le=\"0.05\"} 3",
            "evenkeel_document_duration_seconds_bucket{le=\"3600\"} 3",
            "evenkeel_document_duration_seconds_bucket{le=\"+Inf\"} 4",
            "evenkeel_document_duration_seconds_count 4",
            "evenkeel_document_duration_seconds_sum 7200.035",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn every_family_is_declared_once_before_its_samples() {
        let name = "a \"quoted\\\nname".to_owned();
        let peers = [1, 2].map(|id| (NodeId([id; 16]), name.clone(), NodeState::Suspect)).to_vec();
        let text = Snapshot { peers, moved: vec![("dry", 3)], ..Snapshot::default() }.to_prometheus();
        let mut samples: Vec<&str> = text.lines().map(|line| line.rsplit_once(' ').expect("a value").0).collect();
        samples.sort_unstable();
        assert!(samples.windows(2).all(|pair| pair[0] != pair[1]), "a sample twice in\n{text}");
        let mut declared: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, _) = family.split_once(' ').expect("a name and a type");
                assert!(!declared.contains(&name), "{name} twice");
                declared.push(name);
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().expect("a name");
                assert!(declared.last().is_some_and(|family| name.starts_with(family)), "{line}");
            }
        }
        assert!(text.contains(r#",peer="a \"quoted\\\nname",state="suspect"} 1"#), "{text}");
        assert!(text.contains(r#"evenkeel_documents_moved_total{reason="dry"} 3"#), "{text}");
    }
}
