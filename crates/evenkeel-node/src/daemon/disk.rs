//! What a node finds on its disk when it starts: who it is, what it knew, and what it holds.
//!
//! Identity and store belong together: others count on a node to have what it was given. If one of the two is missing or
//! damaged, both are set aside, and the node is a new one, which takes part as one that knows nothing. The others take over
//! from the old one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use evenkeel_core::Node;
use evenkeel_core::change::{Change, Outcome};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, Epoch, NodeId};
use evenkeel_core::journal::Note;
use evenkeel_net::NodeKey;

use super::notes;
use crate::store::{self, OpenError, Results, Store, StoreOptions, Watcher};

/// Name of the file with the node's key.
const KEY: &str = "node.key";

/// A node's disk.
pub(super) struct Disk {
    pub(super) key: NodeKey,
    pub(super) store: Store,
    /// What its earlier runs have noted, in order.
    pub(super) notes: Vec<(u64, Note)>,
    /// There were earlier runs.
    pub(super) returning: bool,
}

/// Opens the disk of a node that keeps its identity, or makes one.
///
/// # Errors
/// If the directory cannot be read or written, or a newer version has written it. What is damaged is no error.
pub(super) async fn open(directory: &Path, options: StoreOptions, watcher: Arc<dyn Watcher>) -> anyhow::Result<Disk> {
    let (key, file) = (directory.join(KEY), directory.join(store::FILE));
    for (one, other) in [(&key, &file), (&file, &key)] {
        if one.exists() && !other.exists() {
            set_aside(directory, &format!("{} is missing", other.display()))?;
        }
    }
    if let Some(why) = store::damage::noted(directory) {
        if file.exists() {
            set_aside(directory, &format!("{} is damaged ({why})", file.display()))?;
        }
        store::damage::forget(directory).with_context(|| format!("cannot write in {}", directory.display()))?;
    }
    let returning = key.exists();
    let (store, notes, returning) = match read(directory, options, watcher.clone()).await {
        Ok((store, notes)) => (store, notes, returning),
        Err(OpenError::Corrupt { path, why }) => {
            set_aside(directory, &format!("{} is damaged ({why})", path.display()))?;
            // Once more, with nothing there.
            let (store, notes) = read(directory, options, watcher).await?;
            (store, notes, false)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Disk { key: NodeKey::load_or_create(&key)?, store, notes, returning })
}

/// Makes the disk of a node that lives once.
///
/// # Errors
/// If the directory cannot be written.
pub(super) async fn create(directory: &Path, options: StoreOptions, watcher: Arc<dyn Watcher>) -> anyhow::Result<Disk> {
    let unremovable = || format!("cannot remove what another node has left in {}", directory.display());
    Store::remove(directory).with_context(unremovable)?;
    let (store, notes) = read(directory, options, watcher).await?;
    Ok(Disk { key: NodeKey::generate()?, store, notes, returning: false })
}

/// All of it is read at once: a journal that is damaged shows now, and not in the midst of the work.
async fn read(
    directory: &Path,
    options: StoreOptions,
    watcher: Arc<dyn Watcher>,
) -> Result<(Store, Vec<(u64, Note)>), OpenError> {
    let directory = directory.to_owned();
    let read = move || {
        let store = Store::open(&directory, options, watcher)?;
        let notes = notes::read(&store, &directory.join(store::FILE));
        if notes.is_err() {
            store.close();
        }
        Ok((store, notes?))
    };
    if options.here {
        return read();
    }
    // It may take seconds, and the caller's runtime has other nodes on it.
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Ends of documents whose results are on the disk and of which the state does not know: the node was killed between the two.
pub(super) fn untold_ends(node: &Node, results: &Results) -> Vec<Change> {
    let mut ends: BTreeMap<(BatchId, Epoch, NodeId, Outcome), DocSet> = BTreeMap::new();
    for (batch, _) in node.state().batches() {
        let known = [Outcome::Done, Outcome::Failed, Outcome::Cancelled];
        let known =
            known.into_iter().fold(DocSet::new(), |all, outcome| DocSet(all.0 | node.state().ended(batch, outcome).0));
        for number in DocSet(results.of_batch(batch).0 - known.0).iter() {
            if let Ok(Some(record)) = results.get(DocId { batch, number }) {
                ends.entry((batch, record.epoch, record.node, record.outcome)).or_default().insert(number);
            }
        }
    }
    let end = |((batch, epoch, node, outcome), docs)| Change::Ended { batch, docs, epoch, node, outcome };
    ends.into_iter().map(end).collect()
}

/// Renames what a node has on its disk, so that somebody may look at it, and nobody takes it for good.
fn set_aside(directory: &Path, why: &str) -> anyhow::Result<()> {
    let suffix = free_suffix(directory);
    for name in [store::FILE, KEY] {
        let (from, to) = (directory.join(name), directory.join(format!("{name}.{suffix}")));
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot rename {}", from.display())),
        }
        tracing::error!(aside = %to.display(), "{why}: set aside; this node starts anew, as another one");
    }
    Ok(())
}

/// An ending that no file in the directory has.
fn free_suffix(directory: &Path) -> String {
    let free =
        |suffix: &String| [store::FILE, KEY].iter().all(|name| !directory.join(format!("{name}.{suffix}")).exists());
    (1..).map(|number| format!("damaged-{number}")).find(free).expect("there are enough numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Watcher for Deaf {
        fn synced(&self, _through: u64) {}
        fn failed(&self, _error: &str) {}
        fn recovered(&self) {}
    }

    #[tokio::test]
    async fn a_store_in_which_the_last_run_found_damage_is_set_aside_once() {
        let directory = tempfile::tempdir().unwrap();
        let open = async || {
            let disk = open(directory.path(), StoreOptions::default(), Arc::new(Deaf)).await.unwrap();
            disk.store.close();
            (disk.key.node_id(), disk.returning)
        };
        let (first, _) = open().await;
        assert_eq!(open().await, (first, true), "it is closed cleanly, and good to look at");
        std::fs::write(directory.path().join("store.redb.damage"), "a page is none\n").unwrap();
        let (second, returning) = open().await;
        assert!(second != first && !returning, "it is another node");
        let aside = |name: &str| directory.path().join(format!("{name}.damaged-1")).exists();
        assert!(aside("store.redb") && aside("node.key") && store::damage::noted(directory.path()).is_none());
        assert_eq!(open().await, (second, true));
    }
}
