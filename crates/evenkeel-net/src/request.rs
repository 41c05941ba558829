//! What one node asks of another over a stream of its own, and what comes back.
//!
//! A request is one frame, and for those that store something the data after it; the asking side then ends its half.
//! The answer is frames of data, and a last one that says how it went: an answer without it was cut off.

use std::borrow::Cow;

use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use serde::{Deserialize, Serialize};

use crate::lists::{Lists, Reading};
use crate::records::{Payload, ResultRecord, SegmentId};
use crate::service::{PutResults, Refusal};
use crate::wire::{Wire, WireError};

/// Bytes of data that go into one frame; a single larger item gets a frame of its own.
const GROUP: usize = 1 << 20;

/// Most items in one frame.
const GROUP_ITEMS: usize = 4096;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Store the payloads that follow, which are all of this segment.
    PutPayloads {
        segment: SegmentId,
        /// All nodes that are to have a copy.
        holders: Vec<NodeId>,
        /// How many documents it has: fewer payloads are a segment that was cut off.
        documents: u32,
    },
    /// Send the payloads of this segment.
    GetPayloads { segment: SegmentId },
    /// Store the results that follow.
    PutResults { header: PutResults },
    /// Send the results of these documents that you hold.
    GetResults { batch: BatchId, wanted: DocSet },
    /// Say what you know of this document.
    Explain { doc: DocId },
    /// Say what you hold of this segment, and read some of it first.
    Lists { segment: SegmentId, reading: Reading },
}

/// One frame of data, or the last word of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Part<'a> {
    /// Some payloads of the segment.
    Payloads(Cow<'a, [Payload]>),
    /// Some results.
    Results(Cow<'a, [ResultRecord]>),
    /// What is known of the document; the last word.
    Explanation(Option<String>),
    /// It is all done; the last word.
    Done,
    /// It is not held here; the last word.
    Absent,
    /// It was not done; the last word.
    Refused(Refusal),
    /// What is held of the segment; the last word.
    Lists(Lists),
}

impl Wire for Request {}

impl Wire for Part<'static> {
    fn validate(&self) -> Result<(), WireError> {
        match self {
            Part::Lists(lists) => lists.validate(),
            _ => Ok(()),
        }
    }
}

/// An item of data.
pub(crate) trait Item: Clone {
    /// About how many bytes it takes in a frame.
    fn size(&self) -> usize;

    /// A frame with these items.
    fn part(group: &[Self]) -> Part<'_>;
}

impl Item for Payload {
    fn size(&self) -> usize {
        self.bytes.len() + 16
    }

    fn part(group: &[Payload]) -> Part<'_> {
        Part::Payloads(Cow::Borrowed(group))
    }
}

impl Item for ResultRecord {
    fn size(&self) -> usize {
        self.stdout.bytes.len() + self.stderr.bytes.len() + 256
    }

    fn part(group: &[ResultRecord]) -> Part<'_> {
        Part::Results(Cow::Borrowed(group))
    }
}

/// Cuts items into groups that fit into a frame each.
pub(crate) fn groups<T: Item>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let first = items.first()?;
        let mut size = first.size();
        let more = items[1..].iter().take(GROUP_ITEMS - 1).take_while(|item| {
            size += item.size();
            size <= GROUP
        });
        let (group, rest) = items.split_at(1 + more.count());
        items = rest;
        Some(group)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use evenkeel_core::ids::DocNumber;

    use super::*;

    fn payloads(sizes: &[usize]) -> Vec<Payload> {
        let payload = |(number, size): (usize, &usize)| Payload {
            number: DocNumber(number as u32),
            bytes: Bytes::from(vec![0; *size]),
        };
        sizes.iter().enumerate().map(payload).collect()
    }

    #[test]
    fn groups_are_about_a_megabyte_and_lose_nothing() {
        let items = payloads(&[1, 2 << 20, 3, 4, 600 << 10, 600 << 10, 5]);
        let cut: Vec<usize> = groups(&items).map(<[Payload]>::len).collect();
        assert_eq!(cut, [1, 1, 3, 2]);
        assert_eq!(groups(&items).flatten().cloned().collect::<Vec<_>>(), items);
        assert_eq!(groups(&payloads(&[0; 10_000])).map(<[Payload]>::len).max(), Some(GROUP_ITEMS));
        assert_eq!(groups::<Payload>(&[]).count(), 0);
    }
}
