//! The payloads of one segment, as they are gathered, and as they travel.

use bytes::Bytes;
use evenkeel_core::ids::DocNumber;
use evenkeel_net::records::{Payload, SegmentId};

/// Payloads of one segment, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentBytes {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl SegmentBytes {
    /// From all bytes, and where each document's end; each end is within the bytes, and none is before the one before it.
    pub(super) fn new(bytes: Vec<u8>, ends: Vec<u32>) -> SegmentBytes {
        SegmentBytes { bytes, ends }
    }

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

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The payloads, as they travel.
    pub fn to_payloads(&self, segment: SegmentId) -> Vec<Payload> {
        let bytes = Bytes::copy_from_slice(&self.bytes);
        let starts = std::iter::once(&0).chain(&self.ends);
        let numbers = segment.segment.first().0..;
        let parts = numbers.zip(starts.zip(&self.ends));
        let payload = |(number, (start, end)): (u32, (&u32, &u32))| Payload {
            number: DocNumber(number),
            bytes: bytes.slice(*start as usize..*end as usize),
        };
        parts.map(payload).collect()
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
