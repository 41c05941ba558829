//! What the program understands: the arguments of every command, checked as far as that needs neither files nor a cluster.
//!
//! A command is a struct here and a file in `command`. [`Command`] lists those that can be called.

pub mod act;
pub mod batch;
pub mod calibrate;
pub mod client;
pub mod completion;
pub mod config;
pub mod doctor;
pub mod guardian;
pub mod input;
pub mod job;
pub mod name;
pub mod node;
pub mod read;
pub mod run;
pub mod secret;
pub mod sim;
pub mod store;
pub mod submit;
pub mod top;
pub mod value;
pub mod words;

use clap::{Parser, Subcommand};

/// Runs millions of documents on many hosts with no master, no broker and no shared database.
#[derive(Debug, Parser)]
#[command(
    name = "evenkeel",
    version,
    propagate_version = true,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 ok, 1 failure, 2 wrong usage or input, 3 finished with failed documents, 4 not found, \
                  5 cluster unreachable, 6 time-out, 7 not allowed, 130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help of the arguments, which is theirs")]
pub enum Command {
    Run(Box<run::RunArgs>),
    Calibrate(Box<calibrate::CalibrateArgs>),
    Node(Box<node::NodeArgs>),
    Submit(Box<submit::SubmitArgs>),
    Status(read::StatusArgs),
    Nodes(read::NodesArgs),
    Results(read::ResultsArgs),
    Explain(read::ExplainArgs),
    Cancel(act::CancelArgs),
    Retry(act::RetryArgs),
    Drain(act::DrainArgs),
    Batch(batch::BatchArgs),
    Top(top::TopArgs),
    Config(config::ConfigArgs),
    Doctor(Box<doctor::DoctorArgs>),
    Secret(secret::SecretArgs),
    Sim(sim::SimArgs),
    Store(store::StoreArgs),
    Completion(completion::CompletionArgs),
}

#[cfg(test)]
mod tests;
