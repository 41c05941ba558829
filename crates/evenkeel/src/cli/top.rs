//! Arguments of `top`.

use clap::Args;

use super::client::ClientArgs;

/// Show the cluster in the terminal, live: nodes, batches, what happens; cancel batches and drain nodes.
///
/// Any node shows all of it; when that one is lost, the others are asked. `?` tells the keys, `q` ends it. NO_COLOR is
/// heeded, and without a UTF-8 locale only ASCII is drawn.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  evenkeel top --http http://node3:7117")]
pub struct TopArgs {
    /// Whom to talk to.
    #[command(flatten)]
    pub client: ClientArgs,
}
