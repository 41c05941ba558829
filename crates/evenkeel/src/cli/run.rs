//! Arguments of `run`: a whole job here and now.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use evenkeel_node::config;

use super::input::InputArgs;
use super::job::JobArgs;
use super::value::MaxProcess;
use super::words::Words;
use crate::output::exit::Failure;
use crate::output::progress::Wish;

/// Most nodes of an embedded cluster.
const MOST_NODES: i64 = 100;

/// Run a whole job here and now, on a cluster that lives inside this process, and print what its documents print.
///
/// Each document is one process of CMD. In its words {} stands for the document, {.field} for a field of a JSON or CSV
/// document, and an n in braces for its number; without any of these the document is the process's standard input. Other
/// braces are left alone, but a single word in braces is refused: a backslash before it makes it text. No shell is involved:
/// for one, use sh -c.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "evenkeel run [OPTIONS] [INPUT] [--] CMD...\n       evenkeel run [OPTIONS] [--] CMD... ::: DOCUMENTS...",
    after_help = "Examples:\n  \
        evenkeel run -- echo {} ::: a b c\n  \
        evenkeel run --nodes 4 --files '/usr/share/doc/**' --results sums -- sha256sum {}\n  \
        evenkeel run -j 8 --csv orders.csv --length-field pages --joblog log -- ./render {.id}\n  \
        seq 1000 | evenkeel run -k --retries 2 --timeout 30s -- ./work {}"
)]
pub struct RunArgs {
    /// Number of nodes of the embedded cluster [default: 1, or as many as -j has numbers].
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=MOST_NODES)
    )]
    pub nodes: Option<u32>,

    /// Documents that a node runs at once: one number for all nodes, one for each such as 4,10,10,16, or auto for one node that
    /// finds out while it works [default: the processors, shared out over the nodes].
    #[arg(short = 'j', long, visible_alias = "jobs", value_name = "MAXPROCESS", allow_negative_numbers = true)]
    pub max_process: Option<MaxProcess>,

    /// Where documents come from.
    #[command(flatten)]
    pub input: InputArgs,

    /// How they are run.
    #[command(flatten)]
    pub job: JobArgs,

    /// What becomes of their output.
    #[command(flatten)]
    pub output: OutputArgs,

    /// The command, and with ::: the documents.
    #[arg(
        value_name = "CMD",
        help_heading = "Command",
        trailing_var_arg = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub words: Vec<OsString>,
}

/// What becomes of the output of documents.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print documents in the order of the input rather than as they finish.
    #[arg(short = 'k', long)]
    pub keep_order: bool,

    /// Write a file for each document: DIR/NUMBER.out, and DIR/NUMBER.err if there is any.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub results: Option<PathBuf>,

    /// Write a job log in the format of GNU parallel, to a regular file; what is done is recorded beside it, in FILE.resume.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub joblog: Option<PathBuf>,

    /// Skip documents that are done already: the same command on the same payload, by the record kept with --joblog or --results.
    #[arg(long)]
    pub resume: bool,

    /// What is printed of each document.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Printed,

    /// Show progress even if standard error is not a terminal.
    #[arg(long, overrides_with = "no_progress")]
    pub progress: bool,

    /// Show no progress.
    #[arg(long, overrides_with = "progress")]
    pub no_progress: bool,
}

/// What is printed of each document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Printed {
    /// What it wrote, standard output to standard output and standard error to standard error
    #[default]
    Text,
    /// A line of JSON with its result
    Jsonl,
}

impl RunArgs {
    /// The slots of each node of the embedded cluster.
    pub fn slots(&self) -> Result<Vec<config::MaxProcess>, Failure> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        if self.max_process == Some(MaxProcess::Auto) {
            return match self.nodes {
                None | Some(1) => Ok(vec![config::MaxProcess::Auto]),
                Some(_) => Err(Failure::usage(
                    "-j auto is for one node: several in one process would each measure all of them",
                )),
            };
        }
        let slots = self.slots_on(u32::try_from(processors).unwrap_or(u32::MAX))?;
        Ok(slots.into_iter().map(config::MaxProcess::Fixed).collect())
    }

    fn slots_on(&self, processors: u32) -> Result<Vec<u32>, Failure> {
        let nodes = self.nodes.unwrap_or(1);
        match &self.max_process {
            None | Some(MaxProcess::Auto) => Ok(vec![processors.div_ceil(nodes); nodes as usize]),
            Some(MaxProcess::Same(slots)) => Ok(vec![*slots; nodes as usize]),
            Some(MaxProcess::Each(slots)) if slots.len() as i64 > MOST_NODES => {
                Err(Failure::usage(format!("-j names {} nodes, and at most {MOST_NODES} are embedded", slots.len())))
            }
            Some(MaxProcess::Each(slots)) => match self.nodes {
                Some(nodes) if nodes as usize != slots.len() => Err(Failure::usage(format!(
                    "-j has {} numbers for {nodes} nodes: give one number for all, or one for each",
                    slots.len()
                ))),
                _ => Ok(slots.clone()),
            },
        }
    }

    /// The command and the documents after `:::`.
    pub fn words(&self) -> Result<Words, Failure> {
        Words::split(&self.words)
    }
}

impl OutputArgs {
    /// Refuses combinations that make no sense.
    pub fn check(&self) -> Result<(), Failure> {
        if self.resume && self.joblog.is_none() && self.results.is_none() {
            return Err(Failure::usage(
                "--resume needs --joblog FILE or --results DIR of the earlier run: they record which documents are done",
            ));
        }
        Ok(())
    }

    /// What the user said about progress.
    pub fn progress(&self) -> Wish {
        match (self.progress, self.no_progress) {
            (true, _) => Wish::Always,
            (_, true) => Wish::Never,
            _ => Wish::Auto,
        }
    }
}
