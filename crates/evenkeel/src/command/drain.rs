//! `evenkeel drain`: asks a node to leave, and waits until it is gone if asked to.

use std::time::{Duration, Instant};

use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_node::api::types::{NodeState, NodeStatus, Nodes};

use crate::cli::act::DrainArgs;
use crate::client::{self, Client, ClientError};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::tell;

/// How the API names the node that is talked to.
const ITSELF: &str = "self";

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Time for which the node that is asked about another one need not answer before we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Drains a node.
pub(super) fn drain(arguments: DrainArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        // Before it is asked to leave: a node that has nothing to give away may be gone at once.
        let before = client.nodes().await?;
        let draining = client.drain(arguments.node.as_deref().unwrap_or(ITSELF)).await?;
        let name = format!("{} ({})", printable(draining.name.as_ref()), draining.node);
        tell(format_args!("node {name} finishes what it runs, gives everything else away, and leaves"));
        if arguments.wait {
            Leaving::new(&before, draining.node).wait(&client).await?;
            tell(format_args!("node {name} is gone"));
        }
        Ok(ExitStatus::Ok)
    })
}

/// A node that was asked to leave.
struct Leaving {
    node: NodeId,
    /// Which run of it.
    generation: Option<Generation>,
    /// Whether it is the one we talk to.
    is_self: bool,
}

impl Leaving {
    fn new(before: &Nodes, node: NodeId) -> Leaving {
        let known = find(before, node);
        let generation = known.map(|node| node.generation);
        Leaving { node, generation, is_self: known.is_some_and(|node| node.is_self) }
    }

    async fn wait(&self, client: &Client) -> Result<(), Failure> {
        let mut lost: Option<Instant> = None;
        loop {
            match client.nodes().await {
                Ok(nodes) if self.is_gone_from(&nodes) => return Ok(()),
                Ok(_) => lost = None,
                Err(ClientError::Unreachable { .. }) if self.is_self => return Ok(()),
                // It may have left in the middle of the answer, and the next question will tell.
                Err(ClientError::Broken { .. }) if self.is_self => {}
                Err(error) if !error.may_pass() || lost.is_some_and(|since| since.elapsed() >= PATIENCE) => {
                    let message = format!("{error}. No longer waiting: the node drains all the same");
                    return Err(Failure::says(error.status(), message));
                }
                Err(_) => {
                    lost.get_or_insert_with(Instant::now);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_gone_from(&self, nodes: &Nodes) -> bool {
        match find(nodes, self.node) {
            None => true,
            // One that was started again is another matter.
            Some(node) => {
                node.state == NodeState::Dead || self.generation.is_some_and(|generation| node.generation > generation)
            }
        }
    }
}

fn find(nodes: &Nodes, id: NodeId) -> Option<&NodeStatus> {
    nodes.nodes.iter().find(|node| node.id == id)
}
