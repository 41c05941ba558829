//! Segments that were fetched to run documents from. They are a cache: in a file without a name, which goes with the
//! process, and never synced. Whoever has them for good checks them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use evenkeel_net::records::{Payload, SegmentId};

use super::segment::{SegmentBytes, split};
use super::spool::{Extent, Spool};

/// See above.
#[derive(Debug)]
pub(super) struct Fetched {
    spool: Spool,
    /// Held by whoever reads: the room of a segment is given back only when nobody does.
    segments: RwLock<BTreeMap<SegmentId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    extent: Extent,
    ends: Box<[u32]>,
}

impl Fetched {
    pub(super) fn new(spool: Spool) -> Fetched {
        Fetched { spool, segments: RwLock::default() }
    }

    /// Sees whether so many bytes find room on the disk.
    pub(super) fn probe(&self, bytes: usize) -> io::Result<()> {
        self.spool.probe(bytes)
    }

    pub(super) fn has(&self, segment: SegmentId) -> bool {
        self.segments().contains_key(&segment)
    }

    pub(super) fn put(&self, segment: SegmentId, bytes: &SegmentBytes) -> io::Result<()> {
        let kept = Kept { extent: self.spool.append(bytes.bytes())?, ends: bytes.ends().into() };
        // Two may have fetched it at the same time. The room that the second took is lost as long as the process lives.
        if let Entry::Vacant(place) = self.segments.write().unwrap_or_else(PoisonError::into_inner).entry(segment) {
            place.insert(kept);
        }
        Ok(())
    }

    pub(super) fn get(&self, segment: SegmentId) -> io::Result<Option<Vec<Payload>>> {
        let segments = self.segments();
        let Some(kept) = segments.get(&segment) else { return Ok(None) };
        Ok(Some(split(segment, &self.spool.read(kept.extent)?, &kept.ends)))
    }

    pub(super) fn document(&self, segment: SegmentId, place: usize) -> io::Result<Option<Bytes>> {
        let segments = self.segments();
        let Some(kept) = segments.get(&segment) else { return Ok(None) };
        let Some(end) = kept.ends.get(place) else { return Ok(None) };
        let start = if place == 0 { 0 } else { kept.ends[place - 1] };
        self.spool.read(kept.extent.part(start, *end)).map(Some)
    }

    /// Forgets a segment, and gives its room back.
    pub(super) fn remove(&self, segment: SegmentId) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = segments.remove(&segment) {
            self.spool.release(kept.extent);
        }
    }

    /// Forgets segments of which this is true.
    pub(super) fn forget(&self, is: impl Fn(SegmentId) -> bool) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).retain(|segment, kept| {
            let stays = !is(*segment);
            if !stays {
                self.spool.release(kept.extent);
            }
            stays
        });
    }

    fn segments(&self) -> RwLockReadGuard<'_, BTreeMap<SegmentId, Kept>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }
}
