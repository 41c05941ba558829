//! `evenkeel config check`.

use std::path::PathBuf;

use evenkeel_node::config::{Flags, Sources};

use crate::cli::config::{ConfigArgs, ConfigCommand};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::tell;

/// Does what is asked of a configuration file.
pub(super) fn config(arguments: ConfigArgs) -> CommandResult {
    match arguments.command {
        ConfigCommand::Check { file } => check(file),
    }
}

/// Checks it as a node would that is started here, with this environment.
fn check(file: PathBuf) -> CommandResult {
    let shown = printable(file.as_os_str());
    Sources::of_process(Some(file), Flags::new()).load().map_err(|problems| {
        let many = if problems.0.len() == 1 { String::new() } else { format!("{} problems:\n", problems.0.len()) };
        Failure::usage(format!("{many}{problems}"))
    })?;
    tell(format_args!("{shown} is good"));
    Ok(ExitStatus::Ok)
}
