//! Arguments of `sim`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use evenkeel_sim::seed::{Seed, Seeds};

use super::client::FormatArgs;

/// Simulate whole clusters under every failure, in virtual time; each run can be repeated from its seed.
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SimCommand,
}

/// What can be done with simulations.
#[derive(Debug, Clone, Subcommand)]
pub enum SimCommand {
    /// Run scenarios, or a swarm, and check what the protocol promises; exit with 1 if a promise is broken.
    #[command(after_help = "Examples:\n  evenkeel sim run simulations/pull-request.toml\n  \
        evenkeel sim run simulations/knobs.toml#crash --seeds 0..10\n  \
        evenkeel sim run --swarm --seeds 0..2000")]
    Run {
        /// Scenarios: TOML files, and FILE#NAME for one of several in a file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "swarm")]
        files: Vec<PathBuf>,

        /// Each seed draws its own cluster, work and faults.
        #[arg(long, requires = "seeds", conflicts_with = "files")]
        swarm: bool,

        /// Seeds, instead of those of the scenario: one, FROM..TO without TO itself, or a commit hash.
        #[arg(long, value_name = "SEEDS")]
        seeds: Option<Seeds>,

        /// Simulations beside each other [default: one for each processor].
        #[arg(long, value_name = "N")]
        jobs: Option<NonZeroUsize>,

        /// How to print.
        #[command(flatten)]
        format: FormatArgs,
    },

    /// Run one seed again, bit for bit, and tell its world and, if it fails, the story of what is concerned.
    #[command(after_help = "Example:\n  evenkeel sim replay 4711 --trace")]
    Replay {
        /// The seed: a number, a commit hash, or what a failed run has told, such as 17@8c2f01aa.
        seed: Seed,

        /// The scenario that it belongs to [default: a swarm].
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        scenario: Option<PathBuf>,

        /// Tell everything that happens, a line each.
        #[arg(long)]
        trace: bool,
    },

    /// Make the world of a seed that fails smaller, while it fails in the same way; print what is left as a scenario.
    #[command(after_help = "Example:\n  evenkeel sim minimise 4711 > small.toml")]
    Minimise {
        /// The seed, as of replay.
        seed: Seed,

        /// The scenario that it belongs to [default: a swarm].
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        scenario: Option<PathBuf>,
    },
}
