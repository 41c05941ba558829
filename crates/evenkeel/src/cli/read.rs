//! Arguments of commands that read: `status`, `nodes`, `results`, `explain`.

use clap::{Args, ValueEnum};

use super::client::{ClientArgs, FormatArgs};
use super::name::{BatchName, DocumentName};

/// Show how far batches are.
///
/// RUNNING counts what has been told so far: nodes tell each other of a document once it has run for a gossip interval, so
/// that short documents on other nodes are missing. `evenkeel nodes` shows how many slots are in use.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel status 01g3zq8v5m2ka --output json")]
pub struct StatusArgs {
    /// The batch: its id, or the beginning of it [default: all].
    pub batch: Option<BatchName>,

    /// How to print.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Show the nodes, their load, and whether any document would gain by moving.
///
/// SPEED is how fast one slot of the node works, by the documents that have ended there; 1 is the mean of the cluster. LEVEL is
/// about how many seconds the node needs for what it has, running and waiting, with all its slots; until documents have shown
/// how fast they go, it is the length of that for each slot. The regret is the most LEVEL that any document would gain if it
/// alone moved to another node: while it is no more than 5 % of the mean LEVEL, the cluster is in equilibrium.
///
/// A node that is `left` was drained or stopped; one that is `dead` was not heard of, and others take over what it had.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel nodes --http http://node3:7117")]
pub struct NodesArgs {
    /// How to print.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Print what the documents of a batch wrote, or how they ended.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  evenkeel results 01g3zq8v5m2ka --keep-order > all\n  \
    evenkeel results 01g3zq8v5m2ka --failed --output jsonl")]
pub struct ResultsArgs {
    /// The batch: its id, or the beginning of it.
    pub batch: BatchName,

    /// Only documents that failed.
    #[arg(long)]
    pub failed: bool,

    /// Go on until every document has ended, rather than with those that have by now; exit with 3 if any failed.
    #[arg(long)]
    pub follow: bool,

    /// Print documents in the order of the input rather than as their results arrive.
    #[arg(short = 'k', long)]
    pub keep_order: bool,

    /// What is printed of each document.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Shown,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What is printed of each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Shown {
    /// What it wrote, standard output to standard output and standard error to standard error
    #[default]
    Text,
    /// How it ended, a row each, for people
    Table,
    /// One JSON object with all results
    Json,
    /// A line of JSON with its result
    Jsonl,
}

/// Tell the story of one document: who owned it, where it ran, why it is where it is.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel explain 01g3zq8v5m2ka/17")]
pub struct ExplainArgs {
    /// The document: batch, slash, number from 0.
    #[arg(value_name = "BATCH/N")]
    pub document: DocumentName,

    /// How to print.
    #[command(flatten)]
    pub format: FormatArgs,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}
