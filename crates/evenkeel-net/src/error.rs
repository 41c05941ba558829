//! What can go wrong, in words for people.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_core::ids::NodeId;

use crate::service::Refusal;

/// The network did not start; nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No secret, but an address that others can reach.
    #[error(
        "{listen} is not a loopback address, and without a secret anybody could join: \
         make one with `evenkeel secret new`, give it to every node with --secret-file, or listen on 127.0.0.1"
    )]
    SecretNeeded {
        /// Where the node was to listen.
        listen: SocketAddr,
    },
    /// The address is taken, or not of this host.
    #[error("cannot listen on {listen} (UDP): {source}{}", bind_hint(source))]
    Bind {
        /// Where the node was to listen.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The node listens on all addresses, and which of them the others can reach is not known.
    #[error(
        "listening on {listen}, the node does not know which of its addresses the others can reach: name it with --advertise ADDRESS:PORT"
    )]
    AdvertiseNeeded {
        /// Where the node was to listen.
        listen: SocketAddr,
    },
    /// A seed that is not an address.
    #[error("a seed is HOST:PORT, for example 10.0.0.7:7400, not {seed:?}")]
    Seed {
        /// The text.
        seed: String,
    },
    /// A setting out of its range.
    #[error("{setting} must be {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A certificate could not be made.
    #[error("cannot make this node's certificate: {0}")]
    Certificate(String),
    /// A thread or a runtime could not be started.
    #[error("cannot start the gossip thread: {0}")]
    Thread(#[source] io::Error),
    /// The membership protocol did not start.
    #[error("cannot start gossip: {0}")]
    Gossip(String),
}

fn bind_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; is another node running there? Choose another port with --listen",
        io::ErrorKind::AddrNotAvailable => "; it is not an address of this host",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}

/// A key file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("cannot {action} the node key {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} is not a node key: {reason}; move it away to have a new one made")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("cannot make a node key: {0}")]
    Generate(String),
}

/// A request to a peer failed. Requests that store something are idempotent: after an error, ask again or ask another.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what} {peer}: {why}")]
pub struct RequestError {
    /// The peer.
    pub peer: NodeId,
    /// What was asked, for people, up to the peer's name: "sending payloads to node".
    pub what: &'static str,
    /// What failed.
    pub why: RequestFailure,
}

/// What failed of a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestFailure {
    /// It is not among the live members, or cannot be dialled.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing moved for so long.
    #[error("nothing came or went for {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The peer would not.
    #[error("it refused: {0}")]
    Refused(Refusal),
    /// The peer sent what no peer should.
    #[error("it sent a malformed answer: {0}")]
    Malformed(String),
    /// What was to be sent is too large for a frame.
    #[error("too large to send: {0}")]
    TooLarge(String),
}
