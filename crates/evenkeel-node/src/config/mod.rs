//! What an operator may set of a node, and where it comes from: defaults < file < environment < flags.
//!
//! A [`Config`] is complete and checked; [`Sources::load`] makes one, or says everything that is wrong at once. Knows
//! nothing of who uses it. `config/node.toml` at the root of the project explains every key; tests keep the two alike.

mod check;
mod file;
mod keys;
mod problem;
mod sources;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_core::batch::BatchOptions;
use evenkeel_core::settings::{Averaging, Metric, Partition, Settings};
use evenkeel_core::units::Micros;
use evenkeel_net::MAX_CAPTURE;

pub use check::Credentials;
pub use keys::COPIES;
pub use problem::{Origin, Problem, Problems};
pub use sources::{Flags, Loaded, SECRET_VARIABLE, Sources, TOKEN_VARIABLE};

/// Everything that an operator may set of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The node itself.
    pub node: Node,
    /// How nodes reach each other.
    pub network: Network,
    /// The HTTP API.
    pub http: Http,
    /// Gossip and membership.
    pub gossip: Gossip,
    /// Averaging, takeover and partitions.
    pub balance: Balance,
    /// The processes that run documents.
    pub processes: Processes,
    /// Documents and where they are kept.
    pub documents: Documents,
    /// The disk.
    pub store: Store,
    /// When a node is held to stand still.
    pub health: Health,
    /// How many nodes there should be.
    pub autoscale: Autoscale,
    /// Traces.
    pub telemetry: Telemetry,
    /// Logs.
    pub log: Log,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name for people; `None`: the host's.
    pub name: Option<String>,
    /// Where its key and its documents are; `None`: see [`Node::data_dir_or_default`].
    pub data_dir: Option<PathBuf>,
    /// How many documents run here at once. Default: the number of CPUs.
    pub max_process: MaxProcess,
    /// The most that it may find out to be good by itself.
    pub max_process_limit: u32,
}

/// How many documents run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxProcess {
    /// So many.
    Fixed(u32),
    /// As many as the node finds out to be good while it works.
    Auto,
}

/// As it is written in a configuration.
impl fmt::Display for MaxProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxProcess::Fixed(slots) => slots.fmt(f),
            MaxProcess::Auto => f.write_str("auto"),
        }
    }
}

impl From<u32> for MaxProcess {
    fn from(slots: u32) -> MaxProcess {
        MaxProcess::Fixed(slots)
    }
}

/// How nodes reach each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// UDP address on which QUIC listens. Off loopback it needs a secret.
    pub listen: SocketAddr,
    /// Address that peers are told; `None`: that of `listen`.
    pub advertise: Option<SocketAddr>,
    /// Nodes to ask for the others, as HOST:PORT. Names are looked up again and again.
    pub seeds: Vec<String>,
    /// File with the cluster's secret; `-` is standard input.
    pub secret_file: Option<PathBuf>,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// TCP address on which it listens. Off loopback it needs a token.
    pub listen: SocketAddr,
    /// File with the token that clients must bring.
    pub token_file: Option<PathBuf>,
    /// Most bytes of an upload, the JSON around the payloads included.
    pub max_upload: u64,
    /// Most documents of a batch.
    pub max_documents: u32,
    /// Most uploads at the same time.
    pub max_uploads: u32,
    /// Silence after which an upload is given up.
    pub upload_idle: Duration,
}

/// Gossip and membership.
#[derive(Debug, Clone, PartialEq)]
pub struct Gossip {
    /// Time between rounds, and between flushes of the log.
    pub interval: Duration,
    /// Silence after which a node is held dead.
    pub detection: Duration,
    /// Time after which a dead node is forgotten.
    pub dead_node_grace: Duration,
}

/// Averaging, takeover and partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    /// What load is measured in.
    pub metric: Metric,
    /// How nodes are paired.
    pub averaging: Averaging,
    /// What a minority does.
    pub partition: Partition,
    /// Time between averaging steps.
    pub rebalance_interval: Duration,
    /// Least difference of a pair, as a fraction of the mean, that is worth a transfer.
    pub hysteresis: f64,
    /// Time between an owner's death and the heir's claim.
    pub takeover_delay: Duration,
    /// Time after which a cautious minority goes on all the same; `None`: never.
    pub minority_delay: Option<Duration>,
}

/// The processes that run documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Processes {
    /// Their niceness.
    pub nice: u32,
    /// Bytes kept of each of standard output and standard error, if the batch does not say.
    pub capture: u64,
    /// Most bytes that a batch may ask to be kept.
    pub capture_max: u64,
}

/// Documents and where they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// Largest payload in bytes.
    pub max_payload: u64,
    /// Nodes that keep each payload and result.
    pub copies: u32,
}

/// The disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Sync what is written before anything follows from it.
    pub sync: bool,
    /// Time for which a write waits for others that share its sync.
    pub gather: Duration,
    /// Time for which a batch is kept once it has ended; `None`: until somebody removes it.
    pub keep: Option<Duration>,
    /// Bytes that must be free on the file system of the data directory for new work to be taken; 0: any number.
    pub low_water: u64,
}

/// When a node is held to stand still.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Time for which the loop, gossip or the disk may stand still.
    pub stall: Duration,
    /// Time for which nothing may be started though documents wait and slots are free.
    pub idle: Duration,
}

/// How many nodes there should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoscale {
    /// Time within which the cluster should have done what it has.
    pub target_drain: Duration,
}

/// Traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// URL of the collector that takes them by OTLP over HTTP; `None`: there are none.
    pub otlp: Option<String>,
    /// Of how many documents and batches, as a fraction.
    pub sample: f64,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// Logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// What is logged: a level, or a filter such as `info,evenkeel_net=debug`.
    pub level: String,
    /// In which form.
    pub format: LogFormat,
}

impl Default for Node {
    fn default() -> Self {
        Node { name: None, data_dir: None, max_process: MaxProcess::Fixed(keys::cpus()), max_process_limit: 256 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { listen: loopback(7116), advertise: None, seeds: Vec::new(), secret_file: None }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: loopback(7117),
            token_file: None,
            max_upload: 16 << 30,
            max_documents: 10_000_000,
            max_uploads: 16,
            upload_idle: Duration::from_secs(60),
        }
    }
}

impl Default for Gossip {
    fn default() -> Self {
        Gossip {
            interval: Duration::from_millis(200),
            detection: Duration::from_secs(10),
            dead_node_grace: Duration::from_secs(15 * 60),
        }
    }
}

impl Default for Balance {
    fn default() -> Self {
        Balance {
            metric: Metric::Length,
            averaging: Averaging::Carry,
            partition: Partition::Available,
            rebalance_interval: Duration::from_secs(1),
            hysteresis: 0.1,
            takeover_delay: Duration::from_secs(1),
            minority_delay: None,
        }
    }
}

impl Default for Processes {
    fn default() -> Self {
        Processes { nice: 10, capture: 16 << 20, capture_max: MAX_CAPTURE }
    }
}

impl Default for Documents {
    fn default() -> Self {
        Documents { max_payload: 8 << 20, copies: 2 }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store {
            sync: true,
            gather: Duration::ZERO,
            keep: Some(Duration::from_secs(30 * 24 * 3_600)),
            low_water: 256 << 20,
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Health { stall: Duration::from_secs(30), idle: Duration::from_secs(60) }
    }
}

impl Default for Autoscale {
    fn default() -> Self {
        Autoscale { target_drain: Duration::from_secs(600) }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry { otlp: None, sample: 1.0 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// Options of a batch that says nothing of them.
    pub fn batch_defaults(&self) -> BatchOptions {
        BatchOptions { capture_bytes: self.processes.capture, copies: self.documents.copies, ..BatchOptions::default() }
    }

    /// What of it concerns the core.
    pub fn core_settings(&self) -> Settings {
        Settings {
            metric: self.balance.metric,
            averaging: self.balance.averaging,
            partition: self.balance.partition,
            max_process: self.node.first_slots(),
            gossip_interval: micros(self.gossip.interval),
            rebalance_interval: micros(self.balance.rebalance_interval),
            detection: micros(self.gossip.detection),
            takeover_delay: micros(self.balance.takeover_delay),
            minority_delay: self.balance.minority_delay.map(micros),
            hysteresis: self.balance.hysteresis,
            copies: self.documents.copies as usize,
            ..Settings::default()
        }
    }
}

impl Node {
    /// Slots that it starts with.
    pub fn first_slots(&self) -> u32 {
        match self.max_process {
            MaxProcess::Fixed(slots) => slots,
            MaxProcess::Auto => keys::cpus().min(self.max_process_limit),
        }
    }

    /// Most slots that it may come to have.
    pub fn most_slots(&self) -> u32 {
        match self.max_process {
            MaxProcess::Fixed(slots) => slots,
            MaxProcess::Auto => self.max_process_limit,
        }
    }

    /// Its name, or the host's.
    pub fn name_or_host(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        self.name.clone().or_else(host).filter(|name| !name.is_empty()).unwrap_or_else(|| "node".to_owned())
    }

    /// Its directory or, in this order: `$STATE_DIRECTORY` (systemd's), `$XDG_STATE_HOME/evenkeel`,
    /// `$HOME/.local/state/evenkeel`, `/var/lib/evenkeel`.
    pub fn data_dir_or_default(&self) -> PathBuf {
        let directory = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        self.data_dir
            .clone()
            .or_else(|| directory("STATE_DIRECTORY"))
            .or_else(|| directory("XDG_STATE_HOME").map(|state| state.join("evenkeel")))
            .or_else(|| directory("HOME").map(|home| home.join(".local/state/evenkeel")))
            .unwrap_or_else(|| PathBuf::from("/var/lib/evenkeel"))
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
