//! Waits until a node that was asked to leave is gone, and tells whether it left or died.
//!
//! One that left has said so to the others, but it may have died a moment later, or have been made to hurry. So what counts
//! is what it owned: one that left owned nothing any more, while of one that died the others take documents over.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_node::api::types::{NodeStatus, Nodes};
use indicatif::HumanCount;

use crate::client::{Client, ClientError};
use crate::command::follow::others;
use crate::output::exit::{ExitStatus, Failure};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Time for which the node that is asked about another one need not answer before we give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time that the node that is asked has to hear the last of what a node did before it left, or that heirs have claimed what
/// one had that died: some intervals of gossip and the delay of takeovers.
const HEARSAY: Duration = Duration::from_secs(5);

/// A node that was asked to leave.
pub(super) struct Leaving {
    node: NodeId,
    /// For messages.
    name: String,
    /// Which run of it.
    generation: Option<Generation>,
    /// Whether it is the one we talk to.
    is_self: bool,
    /// Documents that it owned when it was last seen alive.
    pending: u64,
    /// Documents that the others had taken over from dead nodes by then.
    taken_over: u64,
    /// Since when it is gone, and how many documents it still owned then: of what heirs have claimed since, one hears
    /// from each of them by itself.
    owing: Option<(Instant, u64)>,
}

/// What a look has shown.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It has not left yet, or nobody can say how.
    Undecided,
    /// It handed everything over, and left.
    Gone,
    /// It died, and had so many documents.
    Lost(u64),
}

impl Leaving {
    pub(super) fn new(before: &Nodes, node: NodeId, name: String) -> Leaving {
        let known = find(before, node);
        Leaving {
            node,
            name,
            generation: known.map(|node| node.generation),
            is_self: known.is_some_and(|node| node.is_self),
            pending: known.map_or(0, |node| node.pending),
            taken_over: taken_over(before, node),
            owing: None,
        }
    }

    /// Waits until it is gone. That it died is a failure.
    pub(super) async fn wait(mut self, client: &Client) -> Result<(), Failure> {
        let mut client = client.clone();
        let mut others = VecDeque::new();
        let mut unanswered: Option<Instant> = None;
        loop {
            match client.nodes().await {
                Ok(nodes) => {
                    unanswered = None;
                    others = self::others(&nodes, client.url());
                    match self.look(&nodes, Instant::now()) {
                        Seen::Gone => return Ok(()),
                        Seen::Lost(documents) => return Err(self.lost(documents)),
                        Seen::Undecided => {}
                    }
                }
                Err(ClientError::Unreachable { .. }) if self.is_self && self.pending == 0 => return Ok(()),
                // It had something when it was last asked: the others know what became of that.
                Err(ClientError::Unreachable { .. }) if self.is_self => match others.pop_front() {
                    Some(other) => client = client.at(other),
                    None => return Err(self.unknown()),
                },
                // It may have left in the middle of the answer, and the next question will tell.
                Err(ClientError::Broken { .. }) if self.is_self => {}
                Err(error) if !error.may_pass() || unanswered.is_some_and(|since| since.elapsed() >= PATIENCE) => {
                    let message = format!("{error}. No longer waiting: whether node {} drains is not known", self.name);
                    return Err(Failure::says(error.status(), message));
                }
                Err(_) => {
                    unanswered.get_or_insert_with(Instant::now);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn look(&mut self, nodes: &Nodes, now: Instant) -> Seen {
        // One that was started again is another matter: it owns what it owned, or others took that over.
        let found = find(nodes, self.node)
            .filter(|node| self.generation.is_none_or(|generation| node.generation <= generation));
        let taken_over = taken_over(nodes, self.node);
        if let Some(node) = found.filter(|node| !node.state.is_gone()) {
            (self.pending, self.taken_over, self.owing) = (node.pending, taken_over, None);
            return Seen::Undecided;
        }
        let owed = found.map_or(0, |node| node.pending);
        if self.pending == 0 && owed == 0 {
            return Seen::Gone;
        }
        let (since, owed_first) = *self.owing.get_or_insert((now, owed));
        if taken_over > self.taken_over {
            return Seen::Lost(owed_first.max(taken_over - self.taken_over));
        }
        let waited = now - since;
        match (waited < HEARSAY, owed) {
            (true, _) => Seen::Undecided,
            (false, 0) => Seen::Gone,
            (false, owed) => Seen::Lost(owed),
        }
    }

    fn lost(&self, documents: u64) -> Failure {
        let message = format!(
            "node {} was lost before it had handed everything over: it had {} {}, which the others take over; what it was \
             running runs again",
            self.name,
            HumanCount(documents),
            plural(documents)
        );
        Failure::says(ExitStatus::Failure, message)
    }

    fn unknown(&self) -> Failure {
        let message = format!(
            "node {} is gone, and no other node can be reached from here that knows whether it had handed everything over: \
             it had {} {} a moment before. Ask another node with `evenkeel status --http URL`",
            self.name,
            HumanCount(self.pending),
            plural(self.pending)
        );
        Failure::says(ExitStatus::Failure, message)
    }
}

fn plural(documents: u64) -> &'static str {
    if documents == 1 { "document" } else { "documents" }
}

fn find(nodes: &Nodes, id: NodeId) -> Option<&NodeStatus> {
    nodes.nodes.iter().find(|node| node.id == id)
}

/// Documents that all but this node have claimed from dead ones.
fn taken_over(nodes: &Nodes, except: NodeId) -> u64 {
    nodes.nodes.iter().filter(|node| node.id != except).map(|node| node.taken_over).sum()
}

#[cfg(test)]
mod tests;
