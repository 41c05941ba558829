//! Payloads, by segment: those entrusted to this node in the store, in blocks, and those that it fetched beside it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use evenkeel_core::ids::{BatchId, DocId, NodeId, SEGMENT_DOCUMENTS, SegmentNumber};
use evenkeel_net::records::{Payload, SegmentId};

use super::fetched::Fetched;
use super::lists::{self, ListId};
use super::results::of;
use super::tables::{self, Place};
use super::{OpenError, SegmentBytes, Store, checked, nothing};

/// Bytes of a block: a document is read by unpacking one or two of them.
const BLOCK: usize = 64 << 10;

/// Bytes of unpacked blocks that are kept in memory: documents that lie together are often read together.
const UNPACKED: usize = 8 << 20;

/// The payloads that this node holds: copies entrusted to it, and segments that it fetched to run documents from.
#[derive(Debug)]
pub struct Payloads {
    store: Store,
    /// Segments entrusted to this node, and who is to have them.
    entrusted: Arc<Mutex<BTreeMap<SegmentId, ListId>>>,
    fetched: Fetched,
    unpacked: Mutex<Unpacked>,
}

impl Payloads {
    /// Those in this store. What is fetched will be in this directory.
    ///
    /// # Errors
    /// If they cannot be read, or the directory cannot be written to.
    pub fn open(store: &Store, directory: &Path) -> Result<Payloads, OpenError> {
        let mut entrusted = BTreeMap::new();
        lists::read(store, tables::SEGMENT_HOLDERS, |(batch, segment), list| {
            entrusted.insert(SegmentId { batch: BatchId(batch), segment: SegmentNumber(segment) }, list);
        })?;
        let fetched =
            Fetched::create(directory).map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        let entrusted = Arc::new(Mutex::new(entrusted));
        Ok(Payloads { store: store.clone(), entrusted, fetched, unpacked: Mutex::default() })
    }

    /// Keeps a segment that was fetched to be run from, if it is not here yet.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_fetched(&self, segment: SegmentId, bytes: &SegmentBytes) -> io::Result<()> {
        if self.entrusted().contains_key(&segment) { Ok(()) } else { self.fetched.put(segment, bytes) }
    }

    /// Holds a segment that is entrusted to this node and to these others; returns once it is synced.
    ///
    /// # Errors
    /// If it cannot be written. It is not held then, unless it was before.
    pub async fn put(&self, segment: SegmentId, bytes: SegmentBytes, holders: &[NodeId]) -> io::Result<()> {
        let list = (self.store.0.lists.id(holders), holders.to_vec());
        let entrusted = self.entrusted.clone();
        let size = bytes.bytes().len() + 4 * bytes.len();
        let new = !self.entrusted().contains_key(&segment);
        let change = move |transaction: &redb::WriteTransaction| {
            if new {
                write(transaction, segment, &bytes)?;
            }
            lists::write(transaction, tables::SEGMENT_HOLDERS, [place(segment)], (list.0, &list.1))?;
            let then = move || {
                lock(&entrusted).insert(segment, list.0);
            };
            Ok(Box::new(then) as super::Then)
        };
        self.store.write(size, change).await
    }

    /// All payloads of a segment; `None` if it is not held here.
    ///
    /// # Errors
    /// If the disk cannot be read. What is damaged is not held.
    pub fn get(&self, segment: SegmentId) -> io::Result<Option<Vec<Payload>>> {
        if self.entrusted().contains_key(&segment)
            && let Some(bytes) = self.read(segment)?
        {
            return Ok(Some(bytes.to_payloads(segment)));
        }
        Ok(self.fetched.get(segment)?.map(|bytes| bytes.to_payloads(segment)))
    }

    /// One document's payload; `None` if its segment is not held here.
    ///
    /// # Errors
    /// If the disk cannot be read. What is damaged is not held.
    pub fn document(&self, doc: DocId) -> io::Result<Option<Bytes>> {
        let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
        let at = (doc.number.0 % SEGMENT_DOCUMENTS) as usize;
        if self.entrusted().contains_key(&segment) {
            let Some(ends) = self.ends(segment)? else { return self.fetched.document(segment, at) };
            let Some(end) = ends.get(at) else { return Ok(None) };
            let start = if at == 0 { 0 } else { ends[at - 1] };
            if let Some(bytes) = self.bytes(segment, start as usize, *end as usize)? {
                return Ok(Some(bytes));
            }
        }
        self.fetched.document(segment, at)
    }

    /// Segments whose copies are entrusted to this node, with all that are to have one.
    pub fn entrusted_segments(&self) -> Vec<(SegmentId, Arc<[NodeId]>)> {
        self.entrusted().iter().map(|(segment, list)| (*segment, self.store.0.lists.nodes(*list))).collect()
    }

    /// The nodes that are to have a copy of a segment, if it is entrusted to this one.
    pub fn holders(&self, segment: SegmentId) -> Option<Arc<[NodeId]>> {
        self.entrusted().get(&segment).map(|list| self.store.0.lists.nodes(*list))
    }

    /// Notes that these nodes are to have a segment from now on.
    pub fn set_holders(&self, segment: SegmentId, holders: &[NodeId]) {
        let list = (self.store.0.lists.id(holders), holders.to_vec());
        match self.entrusted().get_mut(&segment) {
            Some(known) => *known = list.0,
            None => return,
        }
        self.store.write_soon(64, move |transaction| {
            lists::write(transaction, tables::SEGMENT_HOLDERS, [place(segment)], (list.0, &list.1))?;
            Ok(nothing())
        });
    }

    /// Drops all payloads of a batch.
    ///
    /// # Errors
    /// If that cannot be written; they are no longer held all the same.
    pub async fn remove_batch(&self, batch: BatchId) -> io::Result<()> {
        self.entrusted().retain(|segment, _| segment.batch != batch);
        self.fetched.remove_batch(batch);
        self.unpacked().remove(|segment| segment.batch == batch);
        let change = move |transaction: &redb::WriteTransaction| {
            let blocks = (batch.0, 0, 0)..=(batch.0, u32::MAX, u32::MAX);
            transaction.open_table(tables::BLOCKS)?.retain_in(blocks, |_, _| false)?;
            transaction.open_table(tables::SEGMENTS)?.retain_in(of(batch), |_, _| false)?;
            transaction.open_table(tables::SEGMENT_HOLDERS)?.retain_in(of(batch), |_, _| false)?;
            Ok(nothing())
        };
        self.store.write(1, change).await
    }

    fn read(&self, segment: SegmentId) -> io::Result<Option<SegmentBytes>> {
        let Some(ends) = self.ends(segment)? else { return Ok(None) };
        let size = ends.last().copied().unwrap_or(0) as usize;
        let mut bytes = Vec::with_capacity(size);
        for number in 0..size.div_ceil(BLOCK) {
            let Some(block) = self.unpack(segment, Part::Block(number as u32))? else { return Ok(None) };
            bytes.extend_from_slice(&block);
        }
        Ok((bytes.len() == size).then(|| SegmentBytes::new(bytes, ends)))
    }

    /// Bytes of a segment, from here to there; `None` if they are damaged.
    fn bytes(&self, segment: SegmentId, start: usize, end: usize) -> io::Result<Option<Bytes>> {
        let mut bytes = Vec::with_capacity(end - start);
        let mut at = start;
        while at < end {
            let Some(block) = self.unpack(segment, Part::Block((at / BLOCK) as u32))? else { return Ok(None) };
            let until = (at % BLOCK + end - at).min(BLOCK);
            let Some(part) = block.get(at % BLOCK..until) else {
                self.damaged(segment);
                return Ok(None);
            };
            bytes.extend_from_slice(part);
            at += part.len();
        }
        Ok(Some(Bytes::from(bytes)))
    }

    fn ends(&self, segment: SegmentId) -> io::Result<Option<Vec<u32>>> {
        let Some(bytes) = self.unpack(segment, Part::Ends)? else { return Ok(None) };
        let (ends, rest) = bytes.as_chunks::<4>();
        let ends: Vec<u32> = ends.iter().map(|end| u32::from_le_bytes(*end)).collect();
        if !rest.is_empty() || !ends.is_sorted() {
            self.damaged(segment);
            return Ok(None);
        }
        Ok(Some(ends))
    }

    /// A part of a segment, from memory or the disk; `None` if it is damaged, and from then on not held.
    fn unpack(&self, segment: SegmentId, part: Part) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.unpacked().get(segment, part) {
            return Ok(Some(bytes));
        }
        let row = || -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.store.read().map_err(redb::Error::Io)?;
            Ok(match part {
                Part::Ends => {
                    transaction.open_table(tables::SEGMENTS)?.get(place(segment))?.map(|row| row.value().to_vec())
                }
                Part::Block(number) => {
                    let key = (segment.batch.0, segment.segment.0, number);
                    transaction.open_table(tables::BLOCKS)?.get(key)?.map(|row| row.value().to_vec())
                }
            })
        };
        let bytes = match self.store.look(row) {
            Ok(row) => row.and_then(|row| checked::unseal(&sealing(segment, part), &row)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        let Some(bytes) = bytes.map(Bytes::from) else {
            self.damaged(segment);
            return Ok(None);
        };
        self.unpacked().put(segment, part, bytes.clone());
        Ok(Some(bytes))
    }

    fn damaged(&self, segment: SegmentId) {
        let SegmentId { batch, segment: number } = segment;
        self.store.tell_corrupt(&format_args!("segment {number} of the payloads of batch {batch}"));
        self.entrusted().remove(&segment);
        self.unpacked().remove(|other| other == segment);
        self.store.write_soon(1, move |transaction| {
            let blocks = (batch.0, number.0, 0)..=(batch.0, number.0, u32::MAX);
            transaction.open_table(tables::BLOCKS)?.retain_in(blocks, |_, _| false)?;
            transaction.open_table(tables::SEGMENTS)?.remove(place(segment))?;
            transaction.open_table(tables::SEGMENT_HOLDERS)?.remove(place(segment))?;
            Ok(nothing())
        });
    }

    fn entrusted(&self) -> MutexGuard<'_, BTreeMap<SegmentId, ListId>> {
        lock(&self.entrusted)
    }

    fn unpacked(&self) -> MutexGuard<'_, Unpacked> {
        lock(&self.unpacked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a segment, in blocks.
fn write(transaction: &redb::WriteTransaction, segment: SegmentId, bytes: &SegmentBytes) -> Result<(), redb::Error> {
    let ends: Vec<u8> = bytes.ends().iter().flat_map(|end| end.to_le_bytes()).collect();
    let sealed = checked::seal(&sealing(segment, Part::Ends), &ends);
    transaction.open_table(tables::SEGMENTS)?.insert(place(segment), sealed.as_slice())?;
    let mut blocks = transaction.open_table(tables::BLOCKS)?;
    for (number, block) in (0..).zip(bytes.bytes().chunks(BLOCK)) {
        let sealed = checked::seal(&sealing(segment, Part::Block(number)), block);
        blocks.insert((segment.batch.0, segment.segment.0, number), sealed.as_slice())?;
    }
    Ok(())
}

/// What is stored of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Where each document ends.
    Ends,
    Block(u32),
}

fn place(segment: SegmentId) -> Place {
    (segment.batch.0, segment.segment.0)
}

fn sealing(segment: SegmentId, part: Part) -> [u8; 17] {
    let (kind, number) = match part {
        Part::Ends => (b'e', 0),
        Part::Block(number) => (b'b', number),
    };
    let mut place = [kind; 17];
    place[1..9].copy_from_slice(&segment.batch.0.to_le_bytes());
    place[9..13].copy_from_slice(&segment.segment.0.to_le_bytes());
    place[13..].copy_from_slice(&number.to_le_bytes());
    place
}

/// Parts that were unpacked lately, the latest last.
#[derive(Debug, Default)]
struct Unpacked {
    parts: VecDeque<(SegmentId, Part, Bytes)>,
    bytes: usize,
}

impl Unpacked {
    fn get(&mut self, segment: SegmentId, part: Part) -> Option<Bytes> {
        let at = self.parts.iter().rposition(|(of, which, _)| (*of, *which) == (segment, part))?;
        let found = self.parts.remove(at)?;
        let bytes = found.2.clone();
        self.parts.push_back(found);
        Some(bytes)
    }

    fn put(&mut self, segment: SegmentId, part: Part, bytes: Bytes) {
        self.bytes += bytes.len();
        self.parts.push_back((segment, part, bytes));
        while self.bytes > UNPACKED
            && let Some((_, _, oldest)) = self.parts.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    fn remove(&mut self, is: impl Fn(SegmentId) -> bool) {
        self.parts.retain(|(segment, _, _)| !is(*segment));
        self.bytes = self.parts.iter().map(|(_, _, bytes)| bytes.len()).sum();
    }
}
