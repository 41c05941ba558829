//! Payloads, by segment.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use evenkeel_core::ids::{DocId, DocNumber, NodeId, SEGMENT_DOCUMENTS};
use evenkeel_net::records::{Payload, SegmentId};

use super::Health;
use super::spool::{Extent, Spool};

/// Payloads of one segment, one after the other.
#[derive(Debug, Clone, Default)]
pub struct SegmentBytes {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl SegmentBytes {
    /// Adds the next document's payload. False, and nothing is added, if the segment would grow beyond 4 GiB.
    pub fn push(&mut self, payload: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + payload.len()) else { return false };
        self.bytes.extend_from_slice(payload);
        self.ends.push(end);
        true
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payloads, as they travel.
    pub fn to_payloads(&self, segment: SegmentId) -> Vec<Payload> {
        split(segment, &Bytes::copy_from_slice(&self.bytes), &self.ends)
    }

    /// From payloads as they travel, if they are those of consecutive documents from the segment's first.
    pub fn from_payloads(segment: SegmentId, payloads: &[Payload]) -> Option<SegmentBytes> {
        let mut all = SegmentBytes::default();
        for (number, payload) in (segment.segment.first().0..).zip(payloads) {
            if payload.number != DocNumber(number) || !all.push(&payload.bytes) {
                return None;
            }
        }
        Some(all)
    }
}

fn split(segment: SegmentId, bytes: &Bytes, ends: &[u32]) -> Vec<Payload> {
    let starts = std::iter::once(&0).chain(ends);
    let numbers = segment.segment.first().0..;
    let parts = numbers.zip(starts.zip(ends));
    let payload = |(number, (start, end)): (u32, (&u32, &u32))| Payload {
        number: DocNumber(number),
        bytes: bytes.slice(*start as usize..*end as usize),
    };
    parts.map(payload).collect()
}

#[derive(Debug)]
struct Held {
    extent: Extent,
    ends: Box<[u32]>,
    /// The nodes that are to have a copy; `None` for one that was fetched to be run from.
    holders: Option<Vec<NodeId>>,
}

/// The payloads that this node holds: copies entrusted to it, and segments that it fetched to run documents from.
#[derive(Debug)]
pub struct Payloads {
    spool: Spool,
    health: Arc<Health>,
    held: Mutex<BTreeMap<SegmentId, Held>>,
}

impl Payloads {
    /// None yet; they will be in this directory. `health` is told of every write.
    pub fn create(directory: &Path, health: Arc<Health>) -> io::Result<Payloads> {
        Ok(Payloads::in_spool(Spool::create(directory)?, health))
    }

    /// None yet; they will be in this spool.
    pub(crate) fn in_spool(spool: Spool, health: Arc<Health>) -> Payloads {
        Payloads { spool, health, held: Mutex::default() }
    }

    /// Holds a segment. `holders`: the nodes that are to have a copy, `None` if this is only fetched.
    pub fn put(&self, segment: SegmentId, bytes: &SegmentBytes, holders: Option<Vec<NodeId>>) -> io::Result<()> {
        if let Some(held) = self.held().get_mut(&segment) {
            if holders.is_some() {
                held.holders = holders;
            }
            return Ok(());
        }
        let extent = self.health.note(self.spool.append(&bytes.bytes))?;
        self.held().insert(segment, Held { extent, ends: bytes.ends.as_slice().into(), holders });
        Ok(())
    }

    /// All payloads of a segment; `None` if it is not held here.
    pub fn get(&self, segment: SegmentId) -> io::Result<Option<Vec<Payload>>> {
        let Some((extent, ends)) = self.held().get(&segment).map(|held| (held.extent, held.ends.clone())) else {
            return Ok(None);
        };
        Ok(Some(split(segment, &self.spool.read(extent)?, &ends)))
    }

    /// One document's payload; `None` if its segment is not held here.
    pub fn document(&self, doc: DocId) -> io::Result<Option<Bytes>> {
        let segment = SegmentId { batch: doc.batch, segment: doc.number.segment() };
        let place = (doc.number.0 % SEGMENT_DOCUMENTS) as usize;
        let extent = {
            let held = self.held();
            let Some(held) = held.get(&segment) else { return Ok(None) };
            let Some(end) = held.ends.get(place) else { return Ok(None) };
            let start = if place == 0 { 0 } else { held.ends[place - 1] };
            held.extent.part(start, *end)
        };
        self.spool.read(extent).map(Some)
    }

    /// Segments whose copies are entrusted to this node, with all that are to have one.
    pub fn entrusted(&self) -> Vec<(SegmentId, Vec<NodeId>)> {
        let held = self.held();
        held.iter().filter_map(|(segment, held)| Some((*segment, held.holders.clone()?))).collect()
    }

    /// The nodes that are to have a copy of a segment, if it is entrusted to this one.
    pub fn holders(&self, segment: SegmentId) -> Option<Vec<NodeId>> {
        self.held().get(&segment)?.holders.clone()
    }

    /// Notes that these nodes are to have a segment from now on.
    pub fn set_holders(&self, segment: SegmentId, holders: Vec<NodeId>) {
        if let Some(held) = self.held().get_mut(&segment) {
            held.holders = Some(holders);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<SegmentId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::{BatchId, SegmentNumber};

    use super::*;

    #[test]
    fn payloads_come_back_whole_and_one_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Payloads::create(directory.path(), Arc::default()).unwrap();
        let segment = SegmentId { batch: BatchId(7), segment: SegmentNumber(1) };
        let mut bytes = SegmentBytes::default();
        for payload in ["", "one", "", "three"] {
            assert!(bytes.push(payload.as_bytes()));
        }
        store.put(segment, &bytes, None).unwrap();
        let doc = |number| DocId { batch: BatchId(7), number: DocNumber(number) };
        assert_eq!(store.document(doc(4099)).unwrap().unwrap(), "three");
        assert_eq!(store.document(doc(4098)).unwrap().unwrap(), "");
        assert_eq!(store.document(doc(4100)).unwrap(), None);
        assert_eq!(store.document(doc(1)).unwrap(), None);
        let payloads = store.get(segment).unwrap().unwrap();
        assert_eq!(payloads, bytes.to_payloads(segment));
        let again = SegmentBytes::from_payloads(segment, &payloads).unwrap();
        assert_eq!((again.bytes, again.ends), (bytes.bytes, bytes.ends));
        assert!(SegmentBytes::from_payloads(segment, &payloads[1..]).is_none());
        assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none());
    }
}
