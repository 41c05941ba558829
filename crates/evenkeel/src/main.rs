//! The `evenkeel` program.

use std::io::{self, Write};

use clap::Parser;
use evenkeel::cli::Cli;
use evenkeel::output::exit::ExitStatus;
use evenkeel_node::process::{GUARDIAN_ARGUMENT, guardian_main};

fn main() -> ExitStatus {
    // The guardian is this very program, called by itself: it must become one before it opens or starts anything.
    if std::env::args_os().nth(1).is_some_and(|word| word == GUARDIAN_ARGUMENT) {
        guardian_main();
    }
    match evenkeel::command::dispatch(Cli::parse()) {
        Ok(status) => status,
        Err(failure) => {
            if !failure.is_silent() {
                // With standard error closed there is nobody left to tell; the status still tells.
                let _ = writeln!(io::stderr(), "{failure}");
            }
            failure.status
        }
    }
}
