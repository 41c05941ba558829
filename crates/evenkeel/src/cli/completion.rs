//! Arguments of `completion`.

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel completion bash > ~/.local/share/bash-completion/completions/evenkeel")]
pub struct CompletionArgs {
    /// The shell.
    pub shell: Shell,
}
