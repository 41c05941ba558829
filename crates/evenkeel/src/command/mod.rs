//! What the program does: a file for each command.

mod batch;
mod calibrate;
mod cancel;
mod completion;
mod config;
mod doctor;
mod drain;
mod explain;
mod feed;
mod follow;
mod fresh;
mod node;
mod nodes;
mod results;
mod retry;
mod run;
mod secret;
mod sim;
mod status;
mod store;
mod submit;
mod top;

use evenkeel_node::config::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::output::exit::CommandResult;

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> CommandResult {
    match cli.command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(*arguments),
        Command::Node(arguments) => node::node(*arguments),
        Command::Submit(arguments) => submit::submit(*arguments),
        Command::Status(arguments) => status::status(arguments),
        Command::Nodes(arguments) => nodes::nodes(arguments),
        Command::Results(arguments) => results::results(arguments),
        Command::Explain(arguments) => explain::explain(arguments),
        Command::Cancel(arguments) => cancel::cancel(arguments),
        Command::Retry(arguments) => retry::retry(arguments),
        Command::Drain(arguments) => drain::drain(arguments),
        Command::Batch(arguments) => batch::batch(arguments),
        Command::Top(arguments) => top::top(arguments),
        Command::Config(arguments) => config::config(arguments),
        Command::Doctor(arguments) => doctor::doctor(*arguments),
        Command::Secret(arguments) => secret::secret(arguments),
        Command::Sim(arguments) => sim::sim(arguments),
        Command::Store(arguments) => store::store(arguments),
        Command::Completion(arguments) => completion::completion(arguments),
    }
}

/// Sets up the log, to standard error: `EVENKEEL_LOG` overrides the filter.
fn log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_env("EVENKEEL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a log is set up already.
    let _ = match format {
        LogFormat::Text => subscriber.with_ansi(rustix::termios::isatty(std::io::stderr())).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}
