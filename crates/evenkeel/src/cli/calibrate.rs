//! Arguments of `calibrate`: how many documents this host should run at once, by experiment.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::client::FormatArgs;
use super::input::InputArgs;
use super::value;
use super::words::Words;
use crate::output::exit::Failure;

/// Find out how many documents this host should run at once: what to give to `node` and `run` as -j.
///
/// RUNS DOCUMENTS MORE THAN ONCE, and is only for commands that may be repeated. It runs a sample of the documents again and
/// again, on this host alone, with more and more of them at once, and measures how many are done in a second, what
/// processors and memory that takes, and how long tasks wait for these. It stops before memory would run out, by what
/// the documents have taken so far. Their output is thrown away. The answer is the smallest number that gets nearly
/// as much done as the best: within 5 %. What it takes at most is said at the beginning; Ctrl-C ends it with what is
/// known by then.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "evenkeel calibrate [OPTIONS] [INPUT] [--] CMD...\n       \
                      evenkeel calibrate [OPTIONS] [--] CMD... ::: DOCUMENTS...",
    after_help = "Examples:\n  \
        evenkeel calibrate --files '/data/*.png' -- ./thumbnail {} /dev/null\n  \
        evenkeel calibrate --csv orders.csv --length-field pages --max 32 --output json -- ./render {.id}"
)]
pub struct CalibrateArgs {
    /// Documents to try, drawn evenly from the shortest to the longest.
    #[arg(long, value_name = "N", default_value_t = 64, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub sample: u32,

    /// Most documents to run at once [default: 32 for each processor].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value::slots)]
    pub max: Option<u32>,

    /// How long each number is tried, in seconds; several times as long as a document takes. Up to three times as long, until
    /// enough documents have ended, and what runs then is waited for.
    #[arg(long, value_name = "S", default_value = "5", allow_negative_numbers = true, value_parser = value::seconds)]
    pub seconds: Duration,

    /// Where documents come from.
    #[command(flatten)]
    pub input: InputArgs,

    /// How to print.
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

impl CalibrateArgs {
    /// The command and the documents after `:::`.
    pub fn words(&self) -> Result<Words, Failure> {
        Words::split(&self.words)
    }
}
