//! Arguments of `doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use reqwest::Url;

use super::client::FormatArgs;
use super::secret::SecretFileArgs;
use super::value::{self, HostPort};

/// Look for what is wrong on this host, and say what to do about it.
///
/// Give it the flags of the node, and it looks as far as that can be done without starting one: configuration, secret, ports,
/// seeds, clock, disk, limits. A node may be running here meanwhile. Only --http is another than that of `node`. Exits with 1
/// if there is a problem; a warning is none.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  \
    evenkeel doctor --config /etc/evenkeel/node.toml\n  \
    evenkeel doctor --secret-file secret --listen 10.0.0.2:7116 --seed 10.0.0.1:7116 --output json")]
pub struct DoctorArgs {
    /// A seed of the node; may be repeated. It is dialled, with the secret.
    #[arg(long = "seed", value_name = "HOST:PORT")]
    pub seeds: Vec<HostPort>,

    /// Configuration file of the node.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Documents that the node is to run at once [default: the processors].
    #[arg(short = 'j', long, allow_negative_numbers = true, value_name = "N", value_parser = value::slots)]
    pub max_process: Option<u32>,

    /// UDP address of the node.
    #[arg(long, value_name = "IP:PORT", value_parser = value::udp_address)]
    pub listen: Option<SocketAddr>,

    /// Address by which other nodes reach the node, where it is not the one it listens on.
    #[arg(long, value_name = "IP:PORT", value_parser = value::udp_address)]
    pub advertise: Option<SocketAddr>,

    /// A node whose HTTP API is asked how it is and what time it has; may be repeated [default: the node of this host, where
    /// the configuration has its HTTP API].
    #[arg(long, value_name = "URL", value_parser = value::http_url)]
    pub http: Vec<Url>,

    /// File with the bearer token that these nodes want [default: the token in EVENKEEL_TOKEN, if any].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,

    /// Data directory of the node.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,

    /// The cluster's secret.
    #[command(flatten)]
    pub secret: SecretFileArgs,

    /// How to print.
    #[command(flatten)]
    pub format: FormatArgs,
}
