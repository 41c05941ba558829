//! Arguments of `node`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use evenkeel_node::config::MaxProcess;

use super::secret::SecretFileArgs;
use super::value::{self, HostPort};

/// Run a node. Point it at any node of the cluster with --seed; without a seed it is the first.
///
/// Flags go before EVENKEEL_SECTION__KEY in the environment, and both before the configuration file. SIGTERM makes the node
/// give its documents away and leave; a second one stops it at once.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
    evenkeel node --secret-file secret --listen 10.0.0.1:7116\n  \
    evenkeel node --secret-file secret --listen 0.0.0.0:7116 --seed node1.example:7116 -j 16\n  \
    evenkeel node --name b --listen 127.0.0.1:7216 --http 127.0.0.1:7217 --data-dir b \
    --seed 127.0.0.1:7116  # a second one on this host")]
pub struct NodeArgs {
    /// A node to join the cluster by; may be repeated. One that does not answer is asked again for ever
    /// [default: none, the first node of a cluster].
    #[arg(long = "seed", value_name = "HOST:PORT")]
    pub seeds: Vec<HostPort>,

    /// Configuration file [default: none].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Name of the node, for people [default: the host's].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Documents to run at once: a number (`evenkeel calibrate` finds one), or auto to begin with the processors and find out
    /// while documents run [default: the processors].
    #[arg(short = 'j', long, visible_alias = "jobs", allow_negative_numbers = true, value_name = "N|auto", value_parser = value::slots_or_auto)]
    pub max_process: Option<MaxProcess>,

    /// The most that `--max-process auto` may come to [default: 256].
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = value::slots)]
    pub max_process_limit: Option<u32>,

    /// UDP address for other nodes; off loopback it needs a secret [default: 127.0.0.1:7116].
    #[arg(long, value_name = "IP:PORT", value_parser = value::udp_address)]
    pub listen: Option<SocketAddr>,

    /// Address by which other nodes reach this one, where it is not the one it listens on
    /// [default: that of --listen].
    #[arg(long, value_name = "IP:PORT", value_parser = value::udp_address)]
    pub advertise: Option<SocketAddr>,

    /// TCP address of the HTTP API; off loopback it needs a token [default: 127.0.0.1:7117].
    #[arg(long, value_name = "IP:PORT", value_parser = value::tcp_address)]
    pub http: Option<SocketAddr>,

    /// Collector of traces, such as http://127.0.0.1:4318 (OTLP over HTTP) [default: none].
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,

    /// Where the node keeps its key and its documents; each node has its own [default: $STATE_DIRECTORY,
    /// $XDG_STATE_HOME/evenkeel, $HOME/.local/state/evenkeel or /var/lib/evenkeel, by the first variable that is set].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,

    /// The cluster's secret.
    #[command(flatten)]
    pub secret: SecretFileArgs,
}
