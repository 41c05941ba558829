//! What the parts of a store share, and how they read and write.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_core::ids::{BatchId, NodeId};
use redb::ReadTransaction;
use tokio::sync::{Notify, oneshot};

use super::cache::Cache;
use super::database::Reopenable;
use super::fetched::Fetched;
use super::index::{Index, Marks, Part};
use super::queue::{Item, Queue, Ticket, Work};
use super::reliance::Reliance;
use super::{Health, Trouble, Watcher, writer};

/// Something that was held here until it was found to be damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// What.
    pub item: Item,
    /// All nodes that are to have a copy of it, this one among them.
    pub holders: Arc<[NodeId]>,
}

/// What the parts of a store share.
pub(super) struct Shared {
    pub(super) database: Reopenable,
    pub(super) index: Mutex<Index>,
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) fetched: Fetched,
    pub(super) cache: Mutex<Cache>,
    pub(super) reliance: Reliance,
    pub(super) corrupt: AtomicU64,
    pub(super) damaged: Mutex<Vec<Damaged>>,
    /// There is more of it.
    pub(super) damage: Notify,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) gather: Duration,
    pub(super) here: bool,
    /// Held by whoever writes.
    pub(super) writing: Mutex<()>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn damaged(&self) -> MutexGuard<'_, Vec<Damaged>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has something written, and waits for the disk.
    pub(super) async fn write_and_wait(&self, bytes: usize, work: impl FnOnce(Ticket) -> Work) -> io::Result<()> {
        let room = self.queue.room(bytes).await;
        let (reply, answer) = oneshot::channel();
        self.write(work(Ticket { reply, _room: room }))?;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("this node's store is closed")))
    }

    /// Has something written.
    pub(super) fn write(&self, work: Work) -> io::Result<()> {
        // While the disk fails nobody else would look whether it still does.
        self.write_here();
        self.queue.push(work)?;
        self.write_here();
        Ok(())
    }

    fn write_here(&self) {
        if self.here {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            writer::run_here(self);
        }
    }

    /// Has written what is marked in the index.
    pub(super) fn write_marked(&self) {
        if self.index().has_marks() {
            self.queue.marked();
            self.write_here();
        }
    }

    pub(super) fn remove_batch(&self, batch: BatchId, part: Part) {
        self.index().remove_batch(batch, part);
        if self.write(Work::Remove { batch, part }).is_err() {
            self.index().mark(Marks { removed: [(batch, part)].into(), ..Marks::default() });
        }
    }

    /// Reads something that is held here. What is damaged is not, from then on.
    pub(super) fn read<T>(
        &self,
        item: Item,
        what: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>,
    ) -> io::Result<Option<T>> {
        let trouble = match self.database.read(what) {
            Ok(found) => return Ok(Some(found)),
            Err(trouble) => trouble,
        };
        if trouble.needs_reopening() {
            self.queue.reopen();
        }
        if !trouble.is_damage() {
            return Err(trouble.to_io());
        }
        self.lost(item, &trouble);
        Ok(None)
    }

    fn lost(&self, item: Item, trouble: &Trouble) {
        let holders = {
            let mut index = self.index();
            let list = match item {
                Item::Result(doc) => index.holders_of(doc).filter(|_| index.remove(doc)),
                Item::Segment(segment) => index.segment(segment).filter(|_| index.remove_segment(segment)),
            };
            list.map(|list| index.nodes(list))
        };
        // It may be that its batch has been removed, or that another reader was first.
        let Some(holders) = holders else { return };
        if let Item::Segment(segment) = item {
            self.cache().forget(|other| other == segment);
        }
        self.corrupt.fetch_add(1, Ordering::Relaxed);
        let file = self.database.path().display();
        match item {
            Item::Result(doc) => {
                tracing::error!(batch = %doc.batch, document = %doc.number, %file, "a result is damaged, and held here no longer: {trouble}");
            }
            Item::Segment(segment) => {
                tracing::error!(batch = %segment.batch, segment = %segment.segment, %file, "payloads are damaged, and held here no longer: {trouble}");
            }
        }
        // An error means that the disk fails; what is not in the index is not served.
        let _ = self.write(Work::Drop(item));
        self.damaged().push(Damaged { item, holders });
        self.damage.notify_one();
    }

    pub(super) fn close(&self) {
        self.queue.close();
        self.write_here();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the store has panicked");
        }
        self.database.close();
    }
}
