//! Arguments of `secret`, and how every command is given the cluster's secret: by file, standard input or environment,
//! never as an argument, which other users of the host could read.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use evenkeel_net::Keyring;
use evenkeel_net::secret::InvalidKeyring;
use zeroize::Zeroizing;

use crate::output::exit::Failure;

/// Environment variable that holds the secret itself.
const SECRET_VARIABLE: &str = "EVENKEEL_SECRET";

/// Three secrets with generous comments.
const LONGEST_INPUT: u64 = 64 << 10;

/// Make a cluster's secret, or show which one a node has.
#[derive(Debug, Clone, Args)]
pub struct SecretArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What can be done with a secret.
#[derive(Debug, Clone, Subcommand)]
pub enum SecretCommand {
    /// Make a new secret. It is shown once, on standard output or in a new file that only you can read.
    #[command(after_help = "Example:\n  evenkeel secret new --file secret && scp secret node2:")]
    New {
        /// Write it to this new file instead.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Show the public name of a secret, to compare nodes by; the secret cannot be learnt from it.
    #[command(after_help = "Example:\n  evenkeel secret show-id --secret-file secret")]
    ShowId(SecretFileArgs),
}

/// Where the cluster's secret is.
#[derive(Debug, Clone, Default, Args)]
pub struct SecretFileArgs {
    /// File with the cluster's secret, or up to three while it is changed, the current one first (- for standard input)
    /// [default: the secret in EVENKEEL_SECRET, if any].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub secret_file: Option<PathBuf>,
}

impl SecretFileArgs {
    /// The secrets, if any were given.
    pub fn keyring(&self) -> Result<Option<Keyring>, Failure> {
        let usage = |error: InvalidKeyring| Failure::usage(error);
        match &self.secret_file {
            Some(path) if path.as_os_str() == "-" => {
                let mut text = Zeroizing::new(String::new());
                std::io::stdin()
                    .take(LONGEST_INPUT)
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::usage(format!("cannot read a secret from standard input: {error}")))?;
                text.parse().map(Some).map_err(usage)
            }
            Some(path) => Keyring::read(path).map(Some).map_err(usage),
            None => match std::env::var(SECRET_VARIABLE).map(Zeroizing::new) {
                Ok(text) if text.trim().is_empty() => Ok(None),
                Ok(text) => text
                    .parse()
                    .map(Some)
                    .map_err(|error| Failure::usage(format!("{SECRET_VARIABLE} in the environment: {error}"))),
                Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(Failure::usage(format!("{SECRET_VARIABLE} in the environment is not text")))
                }
            },
        }
    }
}
