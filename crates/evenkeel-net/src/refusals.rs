//! Says, once for every peer, that it was refused and why; however long it goes on, it cannot fill the log.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time after which a peer that is still refused is named again, with how often it was.
const REPEAT: Duration = Duration::from_secs(600);

/// Most peers that are remembered. Further ones share one entry: somebody who tries from ever new addresses gets one line.
const MOST_PEERS: usize = 256;

/// The entry that peers share once there are too many of them.
const OTHERS: &str = "further peers";

/// Everything that was refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    seen: Mutex<BTreeMap<String, Seen>>,
    total: AtomicU64,
}

#[derive(Debug)]
struct Seen {
    logged: Instant,
    since: u64,
}

impl Refusals {
    /// Counts a refusal, and logs it if it is the peer's first for some time. `peer` is an address or a node id.
    pub(crate) fn refuse(&self, peer: &dyn Display, reason: &dyn Display) {
        if let Some(repeated) = self.record(peer.to_string(), Instant::now()) {
            tracing::warn!(repeated, "{peer} was refused: {reason}");
        }
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// `Some` if a line is due: how many refusals of the peer have gone unsaid since the last.
    fn record(&self, peer: String, now: Instant) -> Option<u64> {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = if seen.len() < MOST_PEERS || seen.contains_key(&peer) { peer } else { OTHERS.to_owned() };
        match seen.get_mut(&peer) {
            None => {
                seen.insert(peer, Seen { logged: now, since: 0 });
                Some(0)
            }
            Some(entry) if now.duration_since(entry.logged) >= REPEAT => {
                entry.logged = now;
                Some(std::mem::take(&mut entry.since))
            }
            Some(entry) => {
                entry.since += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_once_and_again_after_a_while() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.record("a".into(), start), Some(0));
        assert_eq!(refusals.record("a".into(), start), None);
        assert_eq!(refusals.record("b".into(), start), Some(0));
        assert_eq!(refusals.record("a".into(), start + REPEAT), Some(1));
        assert_eq!(refusals.total(), 4);
    }

    #[test]
    fn ever_new_peers_share_one_line() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let lines = (0..10_000).filter(|port| refusals.record(format!("[::1]:{port}"), start).is_some()).count();
        assert_eq!(lines, MOST_PEERS + 1);
    }
}
