//! Arguments that say how documents are to be run.

use std::time::Duration;

use clap::{Args, ValueEnum};
use evenkeel_core::batch::{Allocate, BatchOptions};
use evenkeel_node::api::types::SubmitOptions;

use super::value;

/// What a job asks of the nodes that run it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Execution")]
pub struct JobArgs {
    /// Try a failed document again up to N times.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = value::retries)]
    pub retries: u32,

    /// Wait so long before the first retry, and twice as long before each further one, up to 5m
    /// [default: 1s, or what the node is configured for].
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub backoff: Option<Duration>,

    /// Kill a document's process group after this time, such as 30s or 5m
    /// [default: never, or what the node is configured for].
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub timeout: Option<Duration>,

    /// How documents are first spread over the nodes.
    #[arg(long, value_name = "HOW", default_value = "lpt")]
    pub allocate: AllocateBy,

    /// Keep so much of each document's standard output, and of its standard error; the rest is cut, and the cut marked
    /// [default: 16M, or what the node is configured for].
    #[arg(long, value_name = "SIZE", value_parser = value::capture_size)]
    pub capture: Option<u64>,
}

/// The ways of [`Allocate`], as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllocateBy {
    /// Longest first, each to the node that would be done with it first
    Lpt,
    /// As many to each node
    Uniform,
    /// Longest first for the heaviest 20 %, the rest by number
    Pareto,
}

impl JobArgs {
    /// As a node is asked for them: what was not said is left to it.
    pub fn asked(&self) -> SubmitOptions {
        // Nodes count in milliseconds, and the shortest time that is one must not become none.
        let whole = |time: Duration| time.max(Duration::from_millis(1));
        SubmitOptions {
            allocate: match self.allocate {
                AllocateBy::Lpt => Allocate::Lpt,
                AllocateBy::Uniform => Allocate::Uniform,
                AllocateBy::Pareto => Allocate::Pareto,
            },
            retries: self.retries,
            backoff: self.backoff.map(whole),
            timeout: self.timeout.map(whole),
            capture: self.capture,
            copies: None,
        }
    }

    /// As a batch has them where no node is configured for anything else.
    pub fn options(&self) -> BatchOptions {
        self.asked().complete(&BatchOptions::default())
    }
}
