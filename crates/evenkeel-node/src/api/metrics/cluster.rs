//! The other nodes, and what goes over the wire to and from them.

use evenkeel_core::ids::NodeId;
use evenkeel_net::Traffic;

use super::text::Text;
use crate::api::types::NodeState;

/// The nodes as this one holds them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Peers {
    /// Id, name and state of every node.
    pub peers: Vec<(NodeId, String, NodeState)>,
    /// How often a node that was held dead turned out to be alive.
    pub false_deaths: u64,
    /// How often this node noticed that it had stood still.
    pub pauses: u64,
    /// Changes of peers that no honest peer sends.
    pub ignored: u64,
}

impl Peers {
    pub(super) fn write(&self, out: &mut Text) {
        out.family("evenkeel_peer_state", "gauge", "1 for the state in which this node holds a node.");
        for (node, peer, held) in &self.peers {
            // Names need not differ, and samples must.
            let node = node.to_string();
            for state in NodeState::ALL {
                let labels = [("node", node.as_str()), ("peer", peer.as_str()), ("state", state.as_str())];
                out.sample("evenkeel_peer_state", &labels, u8::from(state == *held));
            }
        }
        let help = "How often a node that was held dead turned out to be alive.";
        out.counter("evenkeel_false_deaths_total", help, self.false_deaths);
        let help = "How often this node noticed that it had stood still.";
        out.counter("evenkeel_pauses_total", help, self.pauses);
        let help = "Changes that were ignored, as no honest peer sends them.";
        out.counter("evenkeel_ignored_changes_total", help, self.ignored);
    }
}

/// What has gone over the wire.
pub(super) fn write_traffic(traffic: &Traffic, out: &mut Text) {
    let directions = |sent: u64, received: u64| [("sent", sent), ("received", received)];
    let bytes = directions(traffic.udp_bytes_out, traffic.udp_bytes_in);
    out.counters("evenkeel_network_bytes_total", "Bytes of UDP payload, everything included.", "direction", bytes);
    let bytes = directions(traffic.gossip_bytes_out, traffic.gossip_bytes_in);
    out.counters("evenkeel_gossip_bytes_total", "Bytes of gossip.", "direction", bytes);
    let messages = directions(traffic.gossip_messages_out, traffic.gossip_messages_in);
    out.counters("evenkeel_gossip_messages_total", "Messages of gossip.", "direction", messages);
    let messages = directions(traffic.messages_out, traffic.messages_in);
    let help = "Messages of pulls and transfers.";
    out.counters("evenkeel_messages_total", help, "direction", messages);
    let dropped = [("gossip", traffic.gossip_messages_dropped), ("messages", traffic.messages_dropped)];
    let help = "Messages dropped, because the peer could not be reached or was too slow.";
    out.counters("evenkeel_messages_dropped_total", help, "kind", dropped);
    let help = "Handshakes, streams and frames of peers that were refused, and datagrams that were not QUIC.";
    out.counter("evenkeel_network_refused_total", help, traffic.refused);
}
