//! Arguments of the hidden `__guardian`: a second process beside a node that kills the node's children when it dies.

use clap::Args;

/// Kill the processes of a node that has died. Nodes start this themselves and talk to it over its standard input.
#[derive(Debug, Clone, Default, Args)]
#[command(hide = true)]
pub struct GuardianArgs {}
