//! Identity, the QUIC endpoint, gossip over QUIC, and the streams between nodes.
//!
//! A [`Network`] is one node's place among the others: it knows who lives ([`Members`]), tells them this node's load,
//! carries the core's messages in two lanes per peer, and moves payloads and results in bulk. Everything travels over
//! one QUIC endpoint, between nodes that hold the same [`Secret`]. What arrives is handed to a [`Service`].

mod answer;
mod ask;
pub mod config;
mod endpoint;
pub mod error;
mod frames;
mod gossip;
mod gossip_transport;
mod ground;
pub mod identity;
mod lanes;
pub mod lists;
pub mod members;
pub mod network;
pub mod notes;
mod peers;
pub mod probe;
pub mod records;
mod refusals;
mod request;
mod roll;
pub mod secret;
mod seeds;
pub mod service;
mod socket;
mod streams;
mod tls;
pub mod traffic;
mod wire;

pub use config::NetworkConfig;
pub use error::{RequestError, StartError};
pub use identity::NodeKey;
pub use lists::{HeldResults, Lists, ReadResults, Reading};
pub use members::{Member, Members};
pub use network::Network;
pub use secret::{Keyring, Secret};
pub use service::{PutResults, Refusal, Service};
pub use traffic::Traffic;
pub use wire::{MAX_CAPTURE, MAX_FRAME, MAX_PAYLOAD, MAX_REASON};
