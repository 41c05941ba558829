//! Arguments of `submit`: a job for a running cluster.

use std::ffi::OsString;

use clap::{Args, ValueHint};

use super::client::{ClientArgs, FormatArgs};
use super::input::InputArgs;
use super::job::JobArgs;
use super::value;
use super::words::Words;
use crate::output::exit::Failure;

/// Give a job to a running cluster. It is safe once this command says so, and stays so if any one node is lost.
///
/// Prints the batch's id. The documents run on the nodes, with their files and programs: names that --files finds are made
/// absolute, and must mean the same there. Either the whole input is accepted or nothing of it.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "evenkeel submit [OPTIONS] [INPUT] [--] CMD...\n       evenkeel submit [OPTIONS] [--] CMD... ::: DOCUMENTS...",
    after_help = "Examples:\n  \
        evenkeel submit --jsonl orders.jsonl --length-field pages --retries 2 -- ./render {.id}\n  \
        evenkeel submit --resume -a urls.txt -- curl -fsS {}\n  \
        evenkeel submit --wait --http http://node2:7117 -a urls.txt -- curl -fsS {}"
)]
pub struct SubmitArgs {
    /// Wait until every document has ended; exit with 3 if any failed.
    #[arg(long)]
    pub wait: bool,

    /// Leave out documents that the cluster has of an earlier batch of the same command, matched by content, unless they failed or
    /// were cancelled. So what was cut off, or has grown, can be submitted again. The batches that have a part of the input are
    /// printed after the new one, if there is one, and waited for with --wait.
    #[arg(long)]
    pub resume: bool,

    /// Keep the batch, each payload and each result on N nodes, where so many live: any N - 1 of them may be lost at once
    /// [default: 2, or what the node is configured for].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::copies)]
    pub copies: Option<u32>,

    /// Where documents come from.
    #[command(flatten)]
    pub input: InputArgs,

    /// How they are run.
    #[command(flatten)]
    pub job: JobArgs,

    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,

    /// How to print the batch.
    #[command(flatten)]
    pub format: FormatArgs,

    /// The command, and with ::: the documents.
    #[arg(
        value_name = "CMD",
        help_heading = "Command",
        trailing_var_arg = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub words: Vec<OsString>,
}

impl SubmitArgs {
    /// The command and the documents after `:::`.
    pub fn words(&self) -> Result<Words, Failure> {
        Words::split(&self.words)
    }
}
