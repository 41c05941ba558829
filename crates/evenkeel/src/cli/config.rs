//! Arguments of `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// Work on configuration files.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What can be done with a configuration file.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file without starting anything; exit with 2 if it is wrong.
    #[command(after_help = "Example:\n  evenkeel config check /etc/evenkeel/node.toml")]
    Check {
        /// The file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}
