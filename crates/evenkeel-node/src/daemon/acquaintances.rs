//! Where a node has last met others. After a restart it looks for them there, also if whoever was its seed is gone: of nodes
//! that are all started again, each finds some other that is up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_net::Members;
use tokio::sync::watch;

/// The file in the data directory: an address a line.
const FILE: &str = "peers";

/// Addresses that are remembered.
const MOST: usize = 64;

/// Least time between two looks at who lives: the picture changes with every load, and the addresses seldom do. Short, as nodes
/// that are all killed before they have noted each other, and have no seed, do not find each other again.
const PAUSE: Duration = Duration::from_millis(100);

/// Addresses that an earlier run has noted. What cannot be read is nothing.
pub(super) fn remembered(directory: &Path) -> Vec<String> {
    let addresses = std::fs::read_to_string(directory.join(FILE)).unwrap_or_default();
    addresses.lines().filter(|line| line.parse::<SocketAddr>().is_ok()).map(str::to_owned).collect()
}

/// Notes where others are, until the network ends. While nobody is live, the last who were stay noted.
pub(super) async fn note(directory: PathBuf, mut members: watch::Receiver<Arc<Members>>) {
    let mut noted: BTreeSet<SocketAddr> = BTreeSet::new();
    loop {
        let live: BTreeSet<SocketAddr> =
            members.borrow_and_update().live.values().map(|member| member.address).take(MOST).collect();
        if !live.is_empty() && live != noted {
            match write(&directory, &live) {
                Ok(()) => noted = live,
                // The store says what is wrong with the disk.
                Err(error) => tracing::debug!(%error, "the addresses of others are not noted"),
            }
        }
        tokio::time::sleep(PAUSE).await;
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// Whole or not at all. It is not worth a sync: it only helps.
fn write(directory: &Path, live: &BTreeSet<SocketAddr>) -> std::io::Result<()> {
    let scratch = directory.join("peers.new");
    let lines: String = live.iter().map(|address| format!("{address}\n")).collect();
    std::fs::write(&scratch, lines)?;
    std::fs::rename(scratch, directory.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_remembered_and_nonsense_is_not() {
        let directory = tempfile::tempdir().unwrap();
        assert!(remembered(directory.path()).is_empty());
        let live = ["127.0.0.1:7101", "[::1]:7102"].map(|address| address.parse().unwrap()).into();
        write(directory.path(), &live).unwrap();
        assert_eq!(remembered(directory.path()), ["127.0.0.1:7101", "[::1]:7102"]);
        std::fs::write(directory.path().join(FILE), "nobody\n127.0.0.1:7103\n\u{0}").unwrap();
        assert_eq!(remembered(directory.path()), ["127.0.0.1:7103"]);
    }
}
