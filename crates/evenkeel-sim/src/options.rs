//! What a simulated world is made of: its cluster, its work and its faults. All of it is data, written as TOML in
//! `simulations/` or drawn from a seed by [`crate::swarm`], and printed before anything runs.

use evenkeel_core::batch::Allocate;
use evenkeel_core::settings::{Averaging, Metric, Partition, Settings};
use evenkeel_core::units::Micros;
use serde::{Deserialize, Serialize};

use crate::dice::Ratio;
use crate::span::{Span, Spans};

/// Everything that, with a seed, settles a simulation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// The machines.
    #[serde(default)]
    pub cluster: Cluster,
    /// What they have to do.
    #[serde(default)]
    pub work: Vec<Work>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// When things happen.
    #[serde(default)]
    pub phases: Phases,
}

impl Options {
    /// Whether such a world can be.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let Cluster { nodes, max_process, speeds, gossip_interval, detection, .. } = &self.cluster;
        if *nodes == 0 || *nodes > 5_000 {
            return Err(format!("world.cluster.nodes: from 1 to 5000, not {nodes}"));
        }
        if max_process.is_empty() || max_process.contains(&0) {
            return Err("world.cluster.max-process: a list of numbers above 0".to_owned());
        }
        if speeds.is_empty() || !speeds.iter().all(|speed| (0.001..=1_000.0).contains(speed)) {
            return Err("world.cluster.speeds: a list of numbers from 0.001 to 1000".to_owned());
        }
        if gossip_interval.0 == Micros::ZERO || detection.0 < gossip_interval.0.times(3) {
            return Err(
                "world.cluster: detection takes at least three gossip intervals, and these some time".to_owned()
            );
        }
        for (place, work) in self.work.iter().enumerate() {
            if work.documents == 0 || work.times == 0 {
                return Err(format!("world.work {place}: documents and times are at least 1"));
            }
            if !(0.0..=3.0).contains(&work.misprediction) {
                return Err(format!("world.work {place}: misprediction is from 0 to 3"));
            }
            if !work.hanging.is_never() && work.timeout.is_none() {
                return Err(format!("world.work {place}: what hangs needs a timeout, or the world never ends"));
            }
        }
        Ok(())
    }
}

/// The machines and how they are set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cluster {
    /// How many there are at the beginning.
    pub nodes: usize,
    /// Slots of the first, the second and so on; then from the first again.
    pub max_process: Vec<u32>,
    /// True speed of the first, the second and so on, 1 being nominal: how much of a document's length they do in a
    /// millisecond.
    pub speeds: Vec<f64>,
    /// Time between rounds of gossip.
    pub gossip_interval: Span,
    /// Peers that a node gossips with in each round.
    pub fanout: usize,
    /// Time between averaging steps.
    pub rebalance_interval: Span,
    /// Silence after which a node is held dead.
    pub detection: Span,
    /// Time between a death and the claims of the heirs.
    pub takeover_delay: Span,
    /// What load is measured in.
    pub metric: Metric,
    /// How nodes are paired.
    pub averaging: Averaging,
    /// What a minority does.
    pub partition: Partition,
    /// Time after which a cautious minority goes on all the same.
    pub minority_delay: Option<Span>,
    /// Owners that may die in a row while running a document.
    pub crash_limit: u32,
    /// Most bytes of log that a node keeps for others.
    pub log_bytes: usize,
    /// Nodes keep journals, so that they know after a restart what they knew before.
    pub journal: bool,
    /// Bytes of notes after which a journal is written anew.
    pub journal_bytes: usize,
}

impl Default for Cluster {
    fn default() -> Cluster {
        let settings = Settings::default();
        Cluster {
            nodes: 4,
            max_process: vec![10],
            speeds: vec![1.0],
            gossip_interval: settings.gossip_interval.into(),
            fanout: 3,
            rebalance_interval: settings.rebalance_interval.into(),
            detection: settings.detection.into(),
            takeover_delay: settings.takeover_delay.into(),
            metric: settings.metric,
            averaging: settings.averaging,
            partition: settings.partition,
            minority_delay: None,
            crash_limit: settings.crash_limit,
            log_bytes: settings.log_bytes,
            journal: true,
            journal_bytes: 8 << 20,
        }
    }
}

impl Cluster {
    /// Settings of the machine of that number.
    pub fn settings(&self, machine: usize) -> Settings {
        Settings {
            metric: self.metric,
            averaging: self.averaging,
            partition: self.partition,
            max_process: self.max_process[machine % self.max_process.len()],
            gossip_interval: self.gossip_interval.into(),
            rebalance_interval: self.rebalance_interval.into(),
            detection: self.detection.into(),
            takeover_delay: self.takeover_delay.into(),
            minority_delay: self.minority_delay.map(Micros::from),
            crash_limit: self.crash_limit,
            log_bytes: self.log_bytes,
            journal_bytes: self.journal.then_some(self.journal_bytes),
            ..Settings::default()
        }
    }

    /// True speed of the machine of that number.
    pub fn speed(&self, machine: usize) -> f64 {
        self.speeds[machine % self.speeds.len()]
    }
}

/// One batch, or several alike one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Work {
    /// When it is submitted.
    pub at: Span,
    /// The machine that takes it; if that is down, the next one that is up.
    pub to: usize,
    /// How many documents.
    pub documents: u32,
    /// How long they are, in milliseconds at nominal speed.
    pub lengths: Lengths,
    /// If it comes again: how often in all, and how long after each other.
    pub times: u32,
    /// Time between two of them.
    pub every: Span,
    /// How they are first spread.
    pub allocate: Allocate,
    /// How far true durations are from what lengths say: standard deviation of their logarithm.
    pub misprediction: f64,
    /// All documents are submitted with length 1, whatever they are.
    pub unknown: bool,
    /// How often failed documents are tried again.
    pub retries: u32,
    /// Time after which a document is killed.
    pub timeout: Option<Span>,
    /// Documents that fail, each time.
    pub failing: Ratio,
    /// Attempts that fail by chance.
    pub flaky: Ratio,
    /// Documents that never end by themselves.
    pub hanging: Ratio,
    /// Documents that take their node down with them.
    pub poison: Ratio,
    /// If a client cancels it: how long after it was submitted.
    pub cancel_after: Option<Span>,
    /// If a client removes it: how long after it was submitted, or as soon after that as it has ended.
    pub remove_after: Option<Span>,
}

impl Default for Work {
    fn default() -> Work {
        Work {
            at: Micros::from_secs(1).into(),
            to: 0,
            documents: 1_000,
            lengths: Lengths::Equal(1_000),
            times: 1,
            every: Micros::from_secs(1).into(),
            allocate: Allocate::Lpt,
            misprediction: 0.0,
            unknown: false,
            retries: 0,
            timeout: None,
            failing: Ratio::NEVER,
            flaky: Ratio::NEVER,
            hanging: Ratio::NEVER,
            poison: Ratio::NEVER,
            cancel_after: None,
            remove_after: None,
        }
    }
}

/// A law of document lengths, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lengths {
    /// All the same.
    Equal(u64),
    /// From one to the other.
    Uniform {
        /// The shortest.
        low: u64,
        /// The longest.
        high: u64,
    },
    /// Four fifths short, one fifth long.
    Bimodal {
        /// Of the short ones.
        short: u64,
        /// Of the long ones.
        long: u64,
    },
    /// A heavy tail, cut off.
    Pareto {
        /// Exponent: the smaller, the heavier.
        alpha: f64,
        /// The shortest.
        low: u64,
        /// The longest.
        high: u64,
    },
}

/// When things happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Phases {
    /// Until then offers are withheld, so that nothing is levelled: how uneven a cluster becomes by itself. Nodes that run
    /// dry still pull.
    #[serde(skip_serializing_if = "Span::is_zero")]
    pub levelling: Span,
    /// How long faults are let loose. Nothing but safety is asked for meanwhile.
    pub faults: Span,
    /// Most time that may pass then, without faults, before a document ends, or all have.
    pub liveness: Span,
    /// How much of the cluster is healed for the second phase; the rest stays as broken as it is.
    pub core: Ratio,
}

impl Default for Phases {
    fn default() -> Phases {
        Phases {
            levelling: Micros::ZERO.into(),
            faults: Micros::ZERO.into(),
            liveness: Micros::from_secs(3_600).into(),
            core: Ratio::new(1, 1),
        }
    }
}

/// What goes wrong, each with a dial; off unless it is set. Times are means of a memoryless law unless they are ranges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// A node is killed, and started again after a while with its key and its journal.
    pub crash: Option<Recurring>,
    /// All nodes are killed at one instant, and each is started again after a while.
    pub outage: Option<Recurring>,
    /// Of the nodes that are killed alone, those that lose key and journal too: they come back as somebody else.
    pub amnesia: Ratio,
    /// A node stands still.
    pub pause: Option<Recurring>,
    /// A node's disk is full, or its syncs fail.
    pub disk: Option<Recurring>,
    /// A node's documents take longer.
    pub slow: Option<Recurring>,
    /// How much longer.
    pub slow_factor: u32,
    /// A node's steps are late.
    pub starve: Option<Recurring>,
    /// How late.
    pub starve_by: Spans,
    /// A node's links to others and back carry nothing.
    pub partition: Option<Recurring>,
    /// A link holds everything back, and then delivers it all.
    pub clog: Option<Recurring>,
    /// A node is taken for dead by another, though it lives.
    pub suspicion: Option<Recurring>,
    /// A node is heard and not heard by turns, each about as long as it takes to be held dead.
    pub flap: Option<Recurring>,
    /// A node joins.
    pub join: Option<Recurring>,
    /// A node is asked to leave; once it has, another takes its place after a while.
    pub drain: Option<Recurring>,
    /// A node's clock jumps ahead by as much as the fault would last.
    pub clock_jump: Option<Recurring>,
    /// A node's slots become more, or fewer: from 1 to twice as many as it was started with. It lasts until the next time.
    pub slots: Option<Recurring>,
    /// Most that clocks gain or lose, in millionths.
    pub clock_drift: u32,
    /// Messages that are lost.
    pub loss: Ratio,
    /// Messages that arrive twice.
    pub duplication: Ratio,
    /// How long messages take: what takes longer is overtaken.
    pub delay: Spans,
    /// Messages with numbers in them that no honest node would send.
    pub hostile: Ratio,
    /// Payloads that cannot be had at the first try.
    pub unavailable: Ratio,
    /// How long it takes until a result is kept.
    pub keeping: Spans,
    /// How long a sync of a journal takes.
    pub syncing: Spans,
}

impl Faults {
    /// Whether nothing goes wrong. How long messages and results take is no fault.
    pub fn are_none(&self) -> bool {
        let usual = Faults { delay: self.delay, keeping: self.keeping, syncing: self.syncing, ..Faults::default() };
        *self == Faults { starve_by: self.starve_by, slow_factor: self.slow_factor, ..usual }
    }

    /// Whether messages arrive, and nobody stands still.
    pub fn is_reliable(&self) -> bool {
        let cut = [self.partition, self.clog, self.suspicion, self.flap, self.pause, self.starve];
        self.loss.is_never() && cut.iter().all(Option::is_none)
    }
}

/// A fault that comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recurring {
    /// How often in the whole cluster, on average.
    pub every: Span,
    /// How long each time.
    pub lasts: Spans,
}

/// A world as a scenario has it, so that it can be put into a file.
pub fn to_toml(options: &Options) -> String {
    #[derive(Serialize)]
    struct World<'a> {
        world: &'a Options,
    }
    toml::to_string(&World { world: options }).expect("a world can be written as TOML")
}
