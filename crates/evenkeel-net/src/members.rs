//! Who is there: the members of the cluster as this node sees them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_core::load::{Load, Peer, View};

/// One other node, by what it last said of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Which run of it: the newest known.
    pub generation: Generation,
    /// Its name, for people.
    pub name: String,
    /// Version of its program.
    pub version: String,
    /// Where it is dialled.
    pub address: SocketAddr,
    /// Address of its HTTP API.
    pub http: Option<String>,
    /// Its load; `None` until the first has come.
    pub load: Option<Load>,
    /// Its disk is short of room: others are to get new copies before it does.
    pub low: bool,
    /// It has said that it leaves: it is gone because it was to go, and has not died.
    pub left: bool,
}

/// All other nodes. This node itself is not among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Members {
    /// Those heard of within the detection time that have not left.
    pub live: BTreeMap<NodeId, Member>,
    /// Those silent for longer, and those that have left (`Member::left` tells which), until they are forgotten.
    pub dead: BTreeMap<NodeId, Member>,
}

impl Members {
    /// The view that the core plans with: live nodes whose load is known.
    pub fn view(&self) -> View {
        let peer = |member: &Member| Some(Peer { generation: member.generation, load: member.load.clone()? });
        View { live: self.live.iter().filter_map(|(id, member)| Some((*id, peer(member)?))).collect() }
    }
}
