//! `evenkeel completion SHELL`.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::completion::CompletionArgs;
use crate::output::exit::{CommandResult, ExitStatus};

/// Prints a completion script.
pub(super) fn completion(arguments: CompletionArgs) -> CommandResult {
    // Into memory first: the generator panics when it cannot write, and whoever reads may have gone.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "evenkeel", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}
