//! What the network must be told to start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use evenkeel_core::ids::Generation;

use crate::identity::NodeKey;
use crate::secret::Keyring;

/// Settings of a node's network.
#[derive(Debug)]
pub struct NetworkConfig {
    /// Name of the node, for people.
    pub name: String,
    /// Version of the program, for people.
    pub version: String,
    /// The node's own key: who it is.
    pub key: NodeKey,
    /// Which run of the node this is.
    pub generation: Generation,
    /// The cluster's secrets; `None`: no authentication, and then only loopback addresses are listened on.
    pub keyring: Option<Keyring>,
    /// Where to listen, UDP; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What the others should dial, if it differs from `listen`; port 0 stands for the port listened on.
    pub advertise: Option<SocketAddr>,
    /// Nodes to ask for the others, as `host:port`. Host names are resolved again and again.
    pub seeds: Vec<String>,
    /// Address of the node's HTTP API, told to the others.
    pub http: Option<String>,
    /// Time between gossip rounds.
    pub gossip_interval: Duration,
    /// Silence after which a node is held dead.
    pub detection: Duration,
    /// How long a dead node is remembered.
    pub dead_node_grace: Duration,
    /// Time without any progress after which a request to a peer is given up.
    pub request_timeout: Duration,
    /// Most bytes that the payloads of one segment may have together; a peer that sends more is refused.
    pub max_segment_bytes: u64,
}

impl NetworkConfig {
    /// Defaults: any loopback port, no seeds, no secret.
    pub fn new(name: impl Into<String>, key: NodeKey, generation: Generation) -> NetworkConfig {
        NetworkConfig {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key,
            generation,
            keyring: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            seeds: Vec::new(),
            http: None,
            gossip_interval: Duration::from_millis(200),
            detection: Duration::from_secs(10),
            dead_node_grace: Duration::from_secs(15 * 60),
            request_timeout: Duration::from_secs(15),
            max_segment_bytes: 1 << 30,
        }
    }
}
