//! The nodes as the answering one sees them, and how far the cluster is from equilibrium.

use std::net::SocketAddr;

use evenkeel_core::ids::{Generation, NodeId};
use serde::{Deserialize, Serialize};

use super::{Schema, text};

/// What the answering node holds of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It gossips.
    Live,
    /// It has been silent, not yet long enough to be held dead.
    Suspect,
    /// It is held dead; its heirs have its documents.
    Dead,
    /// It gives everything away and takes nothing.
    Draining,
    /// It has said that it leaves, and is gone.
    Left,
}

impl NodeState {
    /// Every state, in the order of severity in which a person scans them.
    pub const ALL: [NodeState; 5] =
        [NodeState::Left, NodeState::Live, NodeState::Draining, NodeState::Suspect, NodeState::Dead];

    /// Whether a node in this state is not there any more, and neither runs nor takes anything.
    pub fn is_gone(self) -> bool {
        matches!(self, NodeState::Dead | NodeState::Left)
    }

    /// As JSON and metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Live => "live",
            NodeState::Suspect => "suspect",
            NodeState::Dead => "dead",
            NodeState::Draining => "draining",
            NodeState::Left => "left",
        }
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    #[serde(with = "text")]
    pub id: NodeId,
    /// Its name for people.
    pub name: String,
    /// Which run of it: milliseconds since 1970 at its start.
    pub generation: Generation,
    /// How it is.
    pub state: NodeState,
    /// Whether it is the node that answers.
    pub is_self: bool,
    /// Documents it owns that have no outcome, running ones included.
    pub pending: u64,
    /// Documents that hold a slot.
    pub running: u32,
    /// Its slots.
    pub max_process: u32,
    /// Speed of one slot by measurement; a node that has measured nothing yet is held to be of mean speed.
    pub speed: f64,
    /// Normalised load: time to drain, or documents per slot with `balance.metric = "count"`.
    pub level: f64,
    /// Work in hand: lengths, or counts, of what waits and of what is left of what runs.
    pub work: f64,
    /// Documents ever started in this generation.
    pub started: u64,
    /// Documents whose process was killed, or whose result was dropped, because another node had them.
    pub duplicates: u64,
    /// Documents claimed from dead owners.
    pub taken_over: u64,
    /// Documents given away.
    pub moved: u64,
    /// Version of its program.
    pub version: String,
    /// Where its peers reach it.
    pub address: SocketAddr,
    /// Where its HTTP API is, if it has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
}

/// A bound that every equilibrium keeps, whatever the documents: no node is busier than
/// `mean + (nodes - 1) x shortest / capacity + epsilon`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Normalised load of the busiest node.
    pub highest: f64,
    /// Normalised load of the cluster as one.
    pub mean: f64,
    /// The bound.
    pub bound: f64,
    /// Whether `highest` is within `bound`.
    pub holds: bool,
}

/// How far the cluster is from the state in which no document gains by moving.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Equilibrium {
    /// Whether the regret is at most epsilon.
    pub in_equilibrium: bool,
    /// Largest gain any document could have by moving alone, in the unit of `level`.
    pub regret: f64,
    /// Gain below which moving is not worth its cost.
    pub epsilon: f64,
    /// What follows from it for the busiest node; absent while nothing is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// The cluster, by the view of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nodes {
    /// Version of the JSON.
    pub schema: Schema,
    /// The nodes, by name and then id.
    pub nodes: Vec<NodeStatus>,
    /// How well the work is spread.
    pub equilibrium: Equilibrium,
}

/// A node was asked to give everything away and leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Version of the JSON.
    pub schema: Schema,
    /// Its id.
    #[serde(with = "text")]
    pub node: NodeId,
    /// Its name.
    pub name: String,
}
