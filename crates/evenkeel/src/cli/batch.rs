//! Arguments of `batch`.

use clap::{Args, Subcommand};

use super::client::ClientArgs;
use super::name::BatchName;

/// Housekeeping of batches.
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct BatchArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: BatchAction,
}

/// What can be done.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help of the arguments, which is theirs")]
pub enum BatchAction {
    Rm(BatchRmArgs),
}

/// Remove batches that have ended, everywhere and for good: their payloads, their results, and that they ever were.
///
/// Nodes do so by themselves when a batch has been kept for as long as `store.keep` says, 30 days unless told otherwise.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel batch rm 01g3zq8v5m2ka")]
pub struct BatchRmArgs {
    /// The batches: the id of each, or the beginning of it.
    #[arg(required = true, value_name = "BATCH")]
    pub batches: Vec<BatchName>,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}
