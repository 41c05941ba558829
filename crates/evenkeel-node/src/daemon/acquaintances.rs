//! Where a node has last met others. After a restart it looks for them there, also if whoever was its seed is gone: of nodes
//! that are all started again, each finds some other that is up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::Members;
use tokio::sync::watch;

use crate::store::Store;

/// The mark in the store.
const MARK: &str = "peers";

/// Addresses that are remembered.
const MOST: usize = 64;

/// Time between two looks at who lives.
const PAUSE: Duration = Duration::from_secs(1);

/// Addresses that an earlier run has noted. What cannot be read is nothing.
pub(super) fn remembered(store: &Store) -> Vec<String> {
    let mark = store.mark(MARK).ok().flatten().unwrap_or_default();
    let addresses = String::from_utf8(mark).unwrap_or_default();
    addresses.lines().filter(|line| line.parse::<SocketAddr>().is_ok()).map(str::to_owned).collect()
}

/// Notes where others are, until the network or the store ends. While nobody is live, the last who were stay noted.
pub(super) async fn note(store: Store, mut members: watch::Receiver<Arc<Members>>) {
    let mut noted: BTreeSet<SocketAddr> = BTreeSet::new();
    loop {
        let live: BTreeSet<SocketAddr> =
            members.borrow_and_update().live.values().map(|member| member.address).take(MOST).collect();
        if !live.is_empty() && live != noted {
            let lines: Vec<String> = live.iter().map(SocketAddr::to_string).collect();
            // While the disk fails there is nothing to be done about it: the store tells.
            if store.set_mark(MARK, lines.join("\n").into_bytes()).await.is_ok() {
                noted = live;
            }
        }
        tokio::time::sleep(PAUSE).await;
        if members.changed().await.is_err() {
            return;
        }
    }
}
