//! Segments that were fetched from their holders to run documents from. They are nobody's copy: they lie in a file without
//! a name, and are gone with the process.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use evenkeel_core::ids::BatchId;
use evenkeel_net::records::SegmentId;

use super::SegmentBytes;
use super::spool::{Extent, Spool};

/// Where a segment lies, and where in it each document ends.
type Held = (Extent, Box<[u32]>);

#[derive(Debug)]
pub(super) struct Fetched {
    spool: Spool,
    held: Mutex<BTreeMap<SegmentId, Held>>,
}

impl Fetched {
    /// None yet; they will be in this directory.
    pub(super) fn create(directory: &Path) -> io::Result<Fetched> {
        Ok(Fetched { spool: Spool::create(directory)?, held: Mutex::default() })
    }

    pub(super) fn put(&self, segment: SegmentId, bytes: &SegmentBytes) -> io::Result<()> {
        if !self.held().contains_key(&segment) {
            let extent = self.spool.append(bytes.bytes())?;
            self.held().insert(segment, (extent, bytes.ends().into()));
        }
        Ok(())
    }

    /// The payload at a place in a segment; `None` if it is not here.
    pub(super) fn document(&self, segment: SegmentId, place: usize) -> io::Result<Option<Bytes>> {
        let extent = {
            let held = self.held();
            let Some((extent, ends)) = held.get(&segment) else { return Ok(None) };
            let Some(end) = ends.get(place) else { return Ok(None) };
            let start = if place == 0 { 0 } else { ends[place - 1] };
            extent.part(start, *end)
        };
        self.spool.read(extent).map(Some)
    }

    /// A whole segment; `None` if it is not here.
    pub(super) fn get(&self, segment: SegmentId) -> io::Result<Option<SegmentBytes>> {
        let Some((extent, ends)) = self.held().get(&segment).cloned() else { return Ok(None) };
        Ok(Some(SegmentBytes::new(self.spool.read(extent)?.to_vec(), ends.to_vec())))
    }

    /// What is fetched of a batch that is removed is not found any more; its bytes go with the process.
    pub(super) fn remove_batch(&self, batch: BatchId) {
        self.held().retain(|segment, _| segment.batch != batch);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<SegmentId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
