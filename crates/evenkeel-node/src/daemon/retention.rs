//! How long batches are kept. One that has ended goes after a set time, or when somebody removes it; and what lies here of
//! one that nobody knows, since its upload was broken off and its submitter is gone, goes too.
//!
//! Time is that for which this node ran, so that no clock that is set wrong for an hour throws results away. Whoever comes to
//! it first removes the batch for all. What is removed is the core's to say; the store follows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_core::ids::BatchId;
use evenkeel_core::{Input, Node};
use tokio::time::Instant;

use super::engine::Orders;
use crate::store::Store;

/// The file in the data directory: how long the node has run, and since when, by that, it has known what of each batch.
const FILE: &str = "ages";

/// Time after which payloads of a batch that nobody knows are removed. Uploads may be slow, and a node may get one segment of
/// many.
const UNKNOWN_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Longest and least time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
const LEAST_PAUSE: Duration = Duration::from_millis(500);

/// Documents whose batches are removed at one look: the core forgets them all at once, and answers nobody meanwhile.
const AT_ONCE: u64 = 1 << 20;

/// What is counted of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Since {
    /// It had ended.
    Ended,
    /// Something of it was here, and it was not known.
    Unknown,
}

impl Since {
    fn word(self) -> &'static str {
        match self {
            Since::Ended => "ended",
            Since::Unknown => "unknown",
        }
    }
}

/// Since when what is so, in time that this node ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ages {
    ran: Duration,
    since: BTreeMap<(BatchId, Since), Duration>,
}

impl Ages {
    /// What an earlier run has noted. What cannot be read begins anew: it is kept for longer.
    fn read(directory: &Path) -> Ages {
        let text = std::fs::read_to_string(directory.join(FILE)).unwrap_or_default();
        let mut lines = text.lines();
        let seconds = |word: Option<&str>| Some(Duration::from_secs(word?.parse().ok()?));
        let Some(ran) = seconds(lines.next()) else { return Ages::default() };
        let since = lines.filter_map(|line| {
            let mut words = line.split(' ');
            let batch = words.next()?.parse().ok()?;
            let word = words.next()?;
            let since = [Since::Ended, Since::Unknown].into_iter().find(|since| since.word() == word)?;
            Some(((batch, since), seconds(words.next())?.min(ran)))
        });
        Ages { ran, since: since.collect() }
    }

    /// Whole or not at all. It is not worth a sync: what is lost of it is time that batches are kept for longer.
    fn write(&self, directory: &Path) -> std::io::Result<()> {
        let mut text = format!("{}\n", self.ran.as_secs());
        for ((batch, since), at) in &self.since {
            text.push_str(&format!("{batch} {} {}\n", since.word(), at.as_secs()));
        }
        let scratch = directory.join("ages.new");
        std::fs::write(&scratch, text)?;
        std::fs::rename(scratch, directory.join(FILE))
    }

    /// Takes note of what is so now, and returns what has been so for too long, the longest first.
    fn look(&mut self, ran: Duration, standing: &Standing, keep: Option<Duration>) -> Vec<(BatchId, Since)> {
        self.ran = ran;
        let ended = standing.ended.keys().map(|batch| (*batch, Since::Ended));
        let unknown = standing.unknown.iter().map(|batch| (*batch, Since::Unknown));
        let now: BTreeSet<(BatchId, Since)> = ended.chain(unknown).collect();
        self.since.retain(|what, _| now.contains(what));
        for what in now {
            self.since.entry(what).or_insert(ran);
        }
        let limit = |since| match since {
            Since::Ended => keep,
            Since::Unknown => Some(UNKNOWN_KEPT),
        };
        let late = |((batch, since), at): (&(BatchId, Since), &Duration)| {
            (limit(*since)? <= ran - *at).then_some((*at, *batch, *since))
        };
        let mut late: Vec<(Duration, BatchId, Since)> = self.since.iter().filter_map(late).collect();
        late.sort_unstable();
        late.into_iter().map(|(_, batch, since)| (batch, since)).collect()
    }
}

/// How batches stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Standing {
    /// Those that have ended, with their documents.
    ended: BTreeMap<BatchId, u64>,
    /// Those of which something lies here and which are not known.
    unknown: BTreeSet<BatchId>,
    /// Those of which something lies here although they are removed: it came late, or the node was killed in between.
    removed: BTreeSet<BatchId>,
}

impl Standing {
    fn of(node: &Node, stored: BTreeSet<BatchId>) -> Standing {
        let state = node.state();
        let ended = state.batches().filter(|(_, batch)| batch.is_finished());
        let ended = ended.map(|(id, batch)| (id, u64::from(batch.description().documents))).collect();
        let (removed, rest): (BTreeSet<BatchId>, BTreeSet<BatchId>) =
            stored.into_iter().partition(|batch| state.is_removed(*batch));
        let unknown = rest.into_iter().filter(|batch| state.batch(*batch).is_none()).collect();
        Standing { ended, unknown, removed }
    }
}

/// Keeps what is to be kept, and nothing else.
pub(super) struct Retention {
    pub(super) directory: PathBuf,
    pub(super) keep: Option<Duration>,
    pub(super) store: Store,
    pub(super) orders: Orders,
}

impl Retention {
    /// Looks again and again, as long as the node runs.
    pub(super) async fn watch(self) {
        let began = Instant::now();
        let mut ages = Ages::read(&self.directory);
        let before = ages.ran;
        let pause = self.keep.map_or(LONGEST_PAUSE, |keep| (keep / 20).clamp(LEAST_PAUSE, LONGEST_PAUSE));
        loop {
            let stored = self.store.batches();
            let Some(standing) = self.orders.ask(move |node| Standing::of(node, stored)).await else { return };
            for batch in &standing.removed {
                self.store.remove_batch(*batch);
            }
            let late = ages.look(before + began.elapsed(), &standing, self.keep);
            let rest = self.remove(late, &standing);
            if let Err(error) = ages.write(&self.directory) {
                // The store says what is wrong with the disk.
                tracing::debug!(%error, "the ages of batches are not noted");
            }
            tokio::time::sleep(if rest { LEAST_PAUSE } else { pause }).await;
        }
    }

    /// Removes what has been kept for long enough. True if something is left for the next time.
    fn remove(&self, late: Vec<(BatchId, Since)>, standing: &Standing) -> bool {
        let mut documents = 0;
        for (batch, since) in late {
            if documents >= AT_ONCE {
                return true;
            }
            documents += standing.ended.get(&batch).copied().unwrap_or_default();
            match since {
                Since::Ended => {
                    tracing::info!(%batch, "this batch ended long ago: it is removed");
                    self.orders.input(Input::Remove(batch));
                }
                // It may be known elsewhere, or be yet to come.
                Since::Unknown => {
                    tracing::info!(%batch, "payloads of a batch that nobody knows: they are removed");
                    self.store.remove_batch(batch);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KEEP: Option<Duration> = Some(Duration::from_secs(100));

    fn ended(batches: impl IntoIterator<Item = u64>) -> Standing {
        Standing { ended: batches.into_iter().map(|id| (BatchId(id), 1)).collect(), ..Standing::default() }
    }

    #[test]
    fn what_has_ended_goes_in_its_time_and_the_oldest_first() {
        let mut ages = Ages::default();
        assert_eq!(ages.look(10 * SECOND, &ended([2]), KEEP), []);
        assert_eq!(ages.look(20 * SECOND, &ended([1, 2]), KEEP), []);
        assert_eq!(ages.look(109 * SECOND, &ended([1, 2]), KEEP), []);
        assert_eq!(ages.look(110 * SECOND, &ended([1, 2]), KEEP), [(BatchId(2), Since::Ended)]);
        assert_eq!(ages.look(300 * SECOND, &ended([1, 2, 3]), KEEP), [2, 1].map(|id| (BatchId(id), Since::Ended)));
        assert_eq!(ages.look(9_999_999 * SECOND, &ended([1, 2, 3]), None), []);
    }

    #[test]
    fn what_nobody_knows_goes_after_a_week_even_if_all_is_kept() {
        let mut ages = Ages::default();
        let standing = Standing { unknown: [BatchId(7)].into(), ..Standing::default() };
        assert_eq!(ages.look(SECOND, &standing, None), []);
        assert_eq!(ages.look(UNKNOWN_KEPT, &standing, None), []);
        assert_eq!(ages.look(UNKNOWN_KEPT + SECOND, &standing, None), [(BatchId(7), Since::Unknown)]);
        // Its batch has come.
        ages.look(UNKNOWN_KEPT + SECOND, &Standing::default(), None);
        assert_eq!(ages.look(UNKNOWN_KEPT + 2 * SECOND, &standing, None), []);
    }

    #[test]
    fn ages_outlive_a_restart_and_nonsense_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Ages::read(directory.path()), Ages::default());
        let mut ages = Ages::default();
        let unknown = [BatchId(u64::MAX)].into();
        ages.look(77 * SECOND, &Standing { unknown, ..ended([1, 2]) }, KEEP);
        ages.write(directory.path()).unwrap();
        assert_eq!(Ages::read(directory.path()), ages);
        let text = format!("50\n{} ended 40\n{} ended 99\nwhat\n{} slept 4\n", BatchId(1), BatchId(2), BatchId(3));
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let read = Ages::read(directory.path());
        // Nothing is older than the node.
        let since = [(1, 40), (2, 50)].map(|(id, at)| ((BatchId(id), Since::Ended), at * SECOND));
        assert_eq!(read, Ages { ran: 50 * SECOND, since: since.into() });
        std::fs::write(directory.path().join(FILE), "soon").unwrap();
        assert_eq!(Ages::read(directory.path()), Ages::default());
    }
}
