//! Arguments of commands that change something in a running cluster: `cancel`, `retry`, `drain`.

use clap::Args;

use super::client::{ClientArgs, FormatArgs};
use super::name::BatchName;

/// Cancel a batch: nothing of it starts any more, and what runs is stopped.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel cancel 01g3zq8v5m2ka")]
pub struct CancelArgs {
    /// The batch: its id, or the beginning of it.
    pub batch: BatchName,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Submit the failed documents of a batch again, as a new batch.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel retry 01g3zq8v5m2ka --wait")]
pub struct RetryArgs {
    /// The batch: its id, or the beginning of it.
    pub batch: BatchName,

    /// Wait until every document of the new batch has ended; exit with 3 if any failed.
    #[arg(long)]
    pub wait: bool,

    /// How to print the new batch.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Let a node finish what it runs, give everything else away, and leave.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel drain node3 --wait")]
pub struct DrainArgs {
    /// The node, by name or id [default: the one that is talked to].
    pub node: Option<String>,

    /// Wait until it is gone; exit with 1 if it died before it had handed everything over.
    #[arg(long)]
    pub wait: bool,

    /// Drain it even if no other node is left to take its documents: they are lost.
    #[arg(long)]
    pub force: bool,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}
