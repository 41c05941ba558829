//! `cargo xtask`: what people do with this repository beside building and testing it.

mod defects;
mod mutants;
mod report;
mod tree;
mod trial;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Plant defects, one at a time, and see whether the simulations of a pull request, or unit tests, find each.
    Mutants(mutants::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Mutants(arguments) => mutants::run(&arguments),
    }
}
