//! Seeds: the addresses by which a node finds its cluster. Each is pursued for ever.
//!
//! A seed that is down at start is dialled until it answers; one that has been lost is dialled again, so that parts of a
//! cluster that were cut off from each other meet again. Host names are resolved anew each time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chitchat::ChitchatHandle;
use evenkeel_core::ids::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::StartError;
use crate::members::Members;
use crate::peers::{Link, Peers, Unreachable};

/// Time between lines about a seed that does not answer.
const REPEAT: Duration = Duration::from_secs(30);

/// Time between attempts to find a seed that has not been found; resolving a name is not free.
const PAUSE: Duration = Duration::from_millis(250);

/// Time between looks at whether a seed that was found is still there.
const WATCH: Duration = Duration::from_secs(1);

/// Time after which a host name is resolved again although its node is there: there may be others behind it.
const RESOLVE: Duration = Duration::from_secs(60);

/// Rounds of gossip in one gossip interval as long as a seed is not yet a member.
const ROUNDS: u32 = 4;

/// Checks that a seed is `host:port`.
pub(crate) fn check(seed: &str) -> Result<(), StartError> {
    let valid = seed.parse::<SocketAddr>().is_ok()
        || seed.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
    if valid { Ok(()) } else { Err(StartError::Seed { seed: seed.to_owned() }) }
}

/// What pursuing a seed needs.
#[derive(Clone)]
pub(crate) struct Pursuit {
    pub(crate) peers: Arc<Peers>,
    pub(crate) members: watch::Receiver<Arc<Members>>,
    pub(crate) gossip: watch::Receiver<Option<Arc<ChitchatHandle>>>,
    pub(crate) interval: Duration,
    /// Where this node is dialled.
    pub(crate) own: SocketAddr,
    pub(crate) resolve: Resolve,
}

impl Pursuit {
    /// Pursues one seed for ever; ends only if it is this node's own address.
    pub(crate) async fn run(self, seed: String) {
        let mut said: Option<Instant> = None;
        let mut reached = false;
        loop {
            match self.find(&seed).await {
                Ok(found) if found.is_empty() => {
                    tracing::debug!(seed, "this seed is the node itself");
                    if seed.parse::<SocketAddr>().is_ok() {
                        return;
                    }
                    // A name may stand for all nodes of a cluster, of which this is the first: others will come.
                    tokio::time::sleep(WATCH).await;
                }
                Ok(found) => {
                    // Names are resolved again while all goes well: that is no news.
                    if reached {
                        tracing::debug!(seed, "reached seed again");
                    } else {
                        tracing::info!(seed, "reached seed");
                    }
                    said = None;
                    reached = self.watch(&found).await;
                }
                Err(reason) => {
                    if said.is_none_or(|said| said.elapsed() >= REPEAT) {
                        tracing::warn!(seed, "seed cannot be reached: {reason}; trying for ever");
                        said = Some(Instant::now());
                    }
                    reached = false;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Finds the nodes behind a seed, and makes this node known to them. None: they are this node.
    async fn find(&self, seed: &str) -> Result<Vec<NodeId>, String> {
        let addresses = (self.resolve)(seed.to_owned()).await.map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        let mut failure = None;
        for address in &addresses {
            if *address == self.own {
                continue;
            }
            match self.peers.to_address(*address).await {
                Ok(link) => {
                    found.push(link.peer);
                    self.introduce(&link).await;
                }
                Err(Unreachable::Myself) => {}
                Err(reason) => failure = Some(format!("{address}: {reason}")),
            }
        }
        match failure {
            Some(reason) if found.is_empty() => Err(reason),
            _ if addresses.is_empty() => Err("the name has no address".to_owned()),
            _ => Ok(found),
        }
    }

    /// Gossips with a peer, quickly, until it is a member: chitchat on its own would wait for its next round.
    async fn introduce(&self, link: &Link) {
        while link.is_open() && !self.members.borrow().live.contains_key(&link.peer) {
            if let Some(gossip) = &*self.gossip.borrow() {
                // It fails if chitchat has ended, and then it is started anew.
                let _ = gossip.gossip(link.remote);
            }
            tokio::time::sleep(self.interval / ROUNDS).await;
        }
    }

    /// Waits until one of the nodes is no longer a live member, or the name is to be resolved again. Whether all live.
    async fn watch(&self, found: &[NodeId]) -> bool {
        let until = Instant::now() + RESOLVE;
        while Instant::now() < until {
            tokio::time::sleep(WATCH).await;
            let members = self.members.borrow();
            if found.iter().any(|node| !members.live.contains_key(node)) {
                return false;
            }
        }
        true
    }
}

/// Finds the addresses of a host name and port.
pub(crate) type Resolve = fn(String) -> Resolved;

/// The addresses, once they are found.
pub(crate) type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// As the system does.
pub(crate) fn resolve(seed: String) -> Resolved {
    Box::pin(async move { Ok(tokio::net::lookup_host(seed).await?.collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_host_and_a_port() {
        for seed in ["10.0.0.7:7400", "[::1]:7400", "node-1.example.org:7400", "localhost:1"] {
            assert!(check(seed).is_ok(), "{seed}");
        }
        for seed in ["", "10.0.0.7", "host:", "host:0", ":7400", "host:99999", "http://host:80", "::1:7400"] {
            assert!(check(seed).unwrap_err().to_string().contains("HOST:PORT"), "{seed}");
        }
    }
}
