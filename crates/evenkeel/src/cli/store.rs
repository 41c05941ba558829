//! Arguments of `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::client::FormatArgs;

/// Look at the data directory of a node that does not run.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What can be done with a store.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Read all of it, and name what is not as it was written; exit with 1 if anything is. Nothing is changed.
    #[command(after_help = "Example:\n  evenkeel store check /var/lib/evenkeel")]
    Check {
        /// The data directory.
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Say what takes the room in it, by batch.
    #[command(after_help = "Example:\n  evenkeel store stats /var/lib/evenkeel --output json")]
    Stats {
        /// The data directory.
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
        #[command(flatten)]
        #[expect(missing_docs, reason = "the arguments have theirs")]
        format: FormatArgs,
    },
}
