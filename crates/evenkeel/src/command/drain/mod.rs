//! `evenkeel drain`: asks a node to leave, and waits until it is gone if asked to.

mod leaving;

use evenkeel_node::api::types::{NodeState, NodeStatus, Nodes};
use indicatif::HumanCount;

use crate::cli::act::DrainArgs;
use crate::client::{self, Client};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::tell;
use leaving::Leaving;

/// How the API names the node that is talked to.
const ITSELF: &str = "self";

/// Drains a node.
pub(super) fn drain(arguments: DrainArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    let asked = arguments.node.as_deref().unwrap_or(ITSELF);
    client::run(async {
        // Before it is asked to leave: a node that has nothing to give away may be gone at once.
        let before = client.nodes().await?;
        if !arguments.force {
            refuse_to_lose(&before, asked)?;
        }
        let draining = client.drain(asked).await?;
        let name = format!("{} ({})", printable(draining.name.as_ref()), draining.node);
        tell(format_args!("node {name} finishes what it runs, gives everything else away, and leaves"));
        if arguments.wait {
            Leaving::new(&before, draining.node, name.clone()).wait(&client).await?;
            tell(format_args!("node {name} is gone"));
        }
        Ok(ExitStatus::Ok)
    })
}

/// Refuses if documents would have nowhere to go. Which node is meant need not be known: if only one node can take
/// documents, it is the one that must not go.
fn refuse_to_lose(nodes: &Nodes, asked: &str) -> Result<(), Failure> {
    let Some((last, pending)) = last_taker(nodes) else { return Ok(()) };
    if !is_named(last, asked) {
        return Ok(());
    }
    let documents = if pending == 1 { "document has" } else { "documents have" };
    Err(Failure::says(
        ExitStatus::Failure,
        format!(
            "node {} is the last one that is live, and {} {documents} not ended: they would be lost, and all results with \
             them. Start another node with --seed {} first, or wait until `evenkeel status` shows nothing pending; \
             --force drains it all the same",
            printable(last.name.as_ref()),
            HumanCount(pending),
            last.address
        ),
    ))
}

/// The only node that can take documents, and how many have not ended: if it goes, they are lost.
pub(super) fn last_taker(nodes: &Nodes) -> Option<(&NodeStatus, u64)> {
    let live = |state| matches!(state, NodeState::Live | NodeState::Suspect);
    let mut takers = nodes.nodes.iter().filter(|node| live(node.state));
    let (last, None) = (takers.next()?, takers.next()) else { return None };
    // Those of nodes that leave or have died come to it as well.
    let pending: u64 = nodes.nodes.iter().map(|node| node.pending).sum();
    (pending > 0).then_some((last, pending))
}

/// Whether the API would take this text for this node.
fn is_named(node: &NodeStatus, text: &str) -> bool {
    let by_itself = text == ITSELF && node.is_self;
    by_itself || node.name == text || (!text.is_empty() && node.id.to_string().starts_with(text))
}
