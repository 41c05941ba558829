//! Payloads, by segment: those entrusted to this node are in the database, in blocks, and those that were only fetched to
//! run documents from are in a spool, which goes with the process.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use evenkeel_core::ids::{BatchId, DocId, NodeId, SEGMENT_DOCUMENTS};
use evenkeel_net::records::{Payload, SegmentId};
use redb::ReadTransaction;

use super::index::Part;
use super::queue::{Item, SegmentRows, Work};
use super::segment::{BLOCK, SegmentBytes, ends_from_bytes, ends_to_bytes, extent, split};
use super::tables::{self, BLOCKS, SEGMENTS, block_place, segment_key, segment_of, segment_place};
use super::{Handles, Trouble};

/// The name by which the cache knows where a segment's payloads end.
const ENDS: u32 = u32::MAX;

/// A segment of more bytes is prepared for the disk beside, since others run on the thread of whoever brings it.
const LARGE: usize = 1 << 20;

/// Blocks that are written and synced at once, of a segment that has more: 8 MiB.
const PART: usize = 128;

/// The payloads that this node holds. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Payloads(pub(super) Arc<Handles>);

impl Payloads {
    /// Holds a segment. `holders`: the nodes that are to have a copy, this one among them; then it is on the disk when this
    /// returns. `None` if it is only fetched.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn put(&self, segment: SegmentId, bytes: SegmentBytes, holders: Option<Vec<NodeId>>) -> io::Result<()> {
        let held = || self.0.index().segment(segment).is_some();
        let Some(holders) = holders else {
            return if held() || self.0.fetched.has(segment) { Ok(()) } else { self.0.fetched.put(segment, &bytes) };
        };
        // From here on it is not given up: not between this look and the write.
        let _putting = self.0.reliance.putting([segment]);
        let mut rows = if held() {
            // Only its holders are new.
            SegmentRows { segment, first: 0, blocks: Vec::new(), ends: Some(Vec::new()) }
        } else if bytes.bytes().len() > LARGE && !self.0.here {
            tokio::task::spawn_blocking(move || rows(segment, &bytes)).await.map_err(io::Error::other)?
        } else {
            rows(segment, &bytes)
        };
        let list = self.0.index().list(&holders);
        // The journal must not wait for all of a large one. If it comes to nothing, its blocks stay until its batch goes.
        while rows.blocks.len() > PART {
            let part = rows.split_off_front(PART);
            self.0.write_and_wait(part.bytes(), |ticket| Work::Segment { rows: part, list, ticket }).await?;
        }
        self.0.write_and_wait(rows.bytes(), |ticket| Work::Segment { rows, list, ticket }).await?;
        self.0.fetched.remove(segment);
        Ok(())
    }

    /// All payloads of a segment; `None` if it is not held here, or is damaged, which is the same from then on.
    ///
    /// # Errors
    /// If it cannot be read at present.
    pub fn get(&self, segment: SegmentId) -> io::Result<Option<Vec<Payload>>> {
        if self.0.index().segment(segment).is_some()
            && let Some(found) = self.0.read(Item::Segment(segment), |txn| self.all(txn, segment))?
        {
            return Ok(Some(found));
        }
        self.0.fetched.get(segment)
    }

    /// One document's payload; `None` if its segment is not held here, or is damaged, which is the same from then on.
    ///
    /// # Errors
    /// If it cannot be read at present.
    pub fn document(&self, doc: DocId) -> io::Result<Option<Bytes>> {
        let segment = segment_of(doc);
        let place = (doc.number.0 % SEGMENT_DOCUMENTS) as usize;
        if self.0.index().segment(segment).is_some()
            && let Some(found) = self.0.read(Item::Segment(segment), |txn| self.one(txn, segment, place))?
        {
            return Ok(found);
        }
        self.0.fetched.document(segment, place)
    }

    /// Segments whose copies are entrusted to this node, with all that are to have one.
    pub fn entrusted(&self) -> Vec<(SegmentId, Arc<[NodeId]>)> {
        let index = self.0.index();
        index.segments().map(|(segment, list)| (segment, index.nodes(list))).collect()
    }

    /// The nodes that are to have a copy of a segment, if it is entrusted to this one.
    pub fn holders(&self, segment: SegmentId) -> Option<Arc<[NodeId]>> {
        let index = self.0.index();
        index.segment(segment).map(|list| index.nodes(list))
    }

    /// Notes that these nodes are to have a segment from now on. The disk follows.
    pub fn set_holders(&self, segment: SegmentId, holders: &[NodeId]) {
        self.0.index().set_segment_holders(segment, holders);
        self.0.write_marked();
    }

    /// Holds no payload of a batch any longer. The disk follows.
    pub fn remove_batch(&self, batch: BatchId) {
        self.0.fetched.forget(|segment| segment.batch == batch);
        self.0.cache().forget(|segment| segment.batch == batch);
        self.0.remove_batch(batch, Part::Payloads);
    }

    fn one(&self, txn: &ReadTransaction, segment: SegmentId, place: usize) -> Result<Option<Bytes>, Trouble> {
        let ends = self.ends(txn, segment)?;
        let Some((start, end)) = extent(&ends, place) else { return Ok(None) };
        let (start, end) = (start as usize, end as usize);
        let first = start / BLOCK;
        if end <= (first + 1) * BLOCK {
            let from = first * BLOCK;
            return match start == end {
                true => Ok(Some(Bytes::new())),
                false => part(&self.block(txn, segment, first)?, start - from, end - from).map(Some),
            };
        }
        let mut payload = BytesMut::with_capacity(end - start);
        for number in first..=(end - 1) / BLOCK {
            let from = number * BLOCK;
            let block = self.block(txn, segment, number)?;
            payload.extend_from_slice(&part(&block, start.max(from) - from, end.min(from + BLOCK) - from)?);
        }
        Ok(Some(payload.freeze()))
    }

    /// Past the cache: a segment may be much larger.
    fn all(&self, txn: &ReadTransaction, segment: SegmentId) -> Result<Vec<Payload>, Trouble> {
        let ends = ends_from_bytes(&self.ends(txn, segment)?).ok_or_else(|| Trouble::corrupt("ends that are none"))?;
        let size = ends.last().map_or(0, |end| *end as usize);
        let mut bytes = BytesMut::with_capacity(size);
        for number in 0..size.div_ceil(BLOCK) {
            bytes.extend_from_slice(&read_block(txn, segment, number)?);
        }
        match bytes.len() == size {
            true => Ok(split(segment, &bytes.freeze(), &ends)),
            false => Err(Trouble::corrupt("blocks that are not whole")),
        }
    }

    fn ends(&self, txn: &ReadTransaction, segment: SegmentId) -> Result<Bytes, Trouble> {
        self.cached(segment, ENDS, || {
            let ends = tables::read(txn, SEGMENTS, segment_key(segment), |sealed| {
                Ok(Bytes::from(segment_place(segment).open(sealed)?.into_owned()))
            })?;
            ends.ok_or_else(|| Trouble::corrupt("it is gone"))
        })
    }

    fn block(&self, txn: &ReadTransaction, segment: SegmentId, number: usize) -> Result<Bytes, Trouble> {
        self.cached(segment, number as u32, || read_block(txn, segment, number))
    }

    fn cached(
        &self,
        segment: SegmentId,
        block: u32,
        read: impl FnOnce() -> Result<Bytes, Trouble>,
    ) -> Result<Bytes, Trouble> {
        if let Some(bytes) = self.0.cache().get((segment, block)) {
            return Ok(bytes);
        }
        let bytes = read()?;
        self.0.cache().insert((segment, block), bytes.clone());
        Ok(bytes)
    }
}

fn read_block(txn: &ReadTransaction, segment: SegmentId, number: usize) -> Result<Bytes, Trouble> {
    let key = (segment.batch.0, segment.segment.0, number as u32);
    let block = tables::read(txn, BLOCKS, key, |sealed| {
        Ok(Bytes::from(block_place(segment, number as u32).open(sealed)?.into_owned()))
    })?;
    block.ok_or_else(|| Trouble::corrupt("a block is gone"))
}

fn part(block: &Bytes, from: usize, to: usize) -> Result<Bytes, Trouble> {
    match to <= block.len() {
        true => Ok(block.slice(from..to)),
        false => Err(Trouble::corrupt("a block is too short")),
    }
}

/// A segment as it is stored: packed and with checksums.
fn rows(segment: SegmentId, bytes: &SegmentBytes) -> SegmentRows {
    let blocks = (0..).zip(bytes.bytes().chunks(BLOCK));
    SegmentRows {
        segment,
        first: 0,
        ends: Some(segment_place(segment).seal(&ends_to_bytes(bytes.ends()))),
        blocks: blocks.map(|(number, block)| block_place(segment, number).seal(block)).collect(),
    }
}
