//! What an operator may set of the protocol, with the defaults that the study behind the allocation arrived at.

use serde::{Deserialize, Serialize};

use crate::units::Micros;

/// What normalised load is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Predicted time to drain: pending length over slots times speed.
    #[default]
    Length,
    /// Pending documents over slots.
    Count,
}

/// How the averaging step pairs nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Averaging {
    /// Lowest with highest; what is left of the larger is carried to the next extreme.
    #[default]
    Carry,
    /// The white paper's: lowest with highest, second with second, each pair by half its difference.
    Halves,
}

/// What a node does that sees less than half of the last stable membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partition {
    /// Goes on: at least once, duplicates counted.
    #[default]
    Available,
    /// Starts and claims nothing until it heals or the minority delay passes.
    Cautious,
}

/// Settings of the core. All nodes of a cluster should agree on them; none of the promises depends on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What load is measured in.
    pub metric: Metric,
    /// How nodes are paired.
    pub averaging: Averaging,
    /// What a minority does.
    pub partition: Partition,
    /// Slots of this node when it starts; see [`crate::node::Input::Slots`].
    pub max_process: u32,
    /// Speed that this node is held to have before anything was measured, 1 = nominal.
    pub bench: f64,
    /// Time between gossip rounds, and between flushes of the log.
    pub gossip_interval: Micros,
    /// Time between averaging steps, before jitter of a tenth.
    pub rebalance_interval: Micros,
    /// Silence after which a node is held dead. The membership layer decides; the core uses it to recognise its own pauses.
    pub detection: Micros,
    /// Time between an owner's death and the heir's claim, so that the last of its log can arrive.
    pub takeover_delay: Micros,
    /// Time after which a cautious minority starts and claims all the same; `None`: never.
    pub minority_delay: Option<Micros>,
    /// Least difference between the levels of a pair, as a fraction of the mean, that is worth a transfer.
    pub hysteresis: f64,
    /// A node slower than this fraction of the fastest is slow: it starts only what it would finish in time.
    pub slow: f64,
    /// "In time": this fraction of the cluster's drain time.
    pub slow_horizon: f64,
    /// Copies kept of every payload and result, where so many nodes live.
    pub copies: usize,
    /// Owners that may die in a row while running a document, before the document is held to be the cause.
    pub crash_limit: u32,
    /// Bytes of notes after which the journal is written anew, shorter; `None`: no journal is kept.
    pub journal_bytes: Option<usize>,
    /// Most bytes of log kept for nodes that lag; one that lags further gets a snapshot.
    pub log_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            metric: Metric::Length,
            averaging: Averaging::Carry,
            partition: Partition::Available,
            max_process: 1,
            bench: 1.0,
            gossip_interval: Micros::from_millis(200),
            rebalance_interval: Micros::from_millis(1_000),
            detection: Micros::from_secs(10),
            takeover_delay: Micros::from_millis(1_000),
            minority_delay: None,
            hysteresis: 0.1,
            slow: 0.7,
            slow_horizon: 0.7,
            copies: 2,
            crash_limit: 3,
            journal_bytes: None,
            log_bytes: 64 << 20,
        }
    }
}
