//! The payloads of one segment: as they are gathered, as they travel, and as they are cut into blocks on the disk.

use bytes::Bytes;
use evenkeel_core::ids::DocNumber;
use evenkeel_net::records::{Payload, SegmentId};

/// Bytes of payloads in a block, at most. With its checksum it fits the 64 KiB page that the database gives it, even
/// where it cannot be compressed: one byte more would take 128 KiB.
pub(super) const BLOCK: usize = (64 << 10) - 256;

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

    /// All bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where each payload ends.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
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

/// The payloads of a segment, from all their bytes and where each ends.
pub(super) fn split(segment: SegmentId, bytes: &Bytes, ends: &[u32]) -> Vec<Payload> {
    let starts = std::iter::once(&0).chain(ends);
    let numbers = segment.segment.first().0..;
    let parts = numbers.zip(starts.zip(ends));
    let payload = |(number, (start, end)): (u32, (&u32, &u32))| Payload {
        number: DocNumber(number),
        bytes: bytes.slice(*start as usize..*end as usize),
    };
    parts.map(payload).collect()
}

/// Where the payloads end, as bytes.
pub(super) fn ends_to_bytes(ends: &[u32]) -> Vec<u8> {
    ends.iter().flat_map(|end| end.to_le_bytes()).collect()
}

/// From such bytes; `None` if they are none, or ends that do not ascend.
pub(super) fn ends_from_bytes(bytes: &[u8]) -> Option<Vec<u32>> {
    let (ends, []) = bytes.as_chunks::<4>() else { return None };
    let ends: Vec<u32> = ends.iter().map(|end| u32::from_le_bytes(*end)).collect();
    ends.is_sorted().then_some(ends)
}

/// Where one payload is, from such bytes: its first byte and the one after its last. `None` if there is no such document.
pub(super) fn extent(ends: &[u8], place: usize) -> Option<(u32, u32)> {
    let (ends, []) = ends.as_chunks::<4>() else { return None };
    let end = u32::from_le_bytes(*ends.get(place)?);
    let start = if place == 0 { 0 } else { u32::from_le_bytes(ends[place - 1]) };
    (start <= end).then_some((start, end))
}
