//! Sets of documents of one batch, by number.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::ids::{DocNumber, SEGMENT_DOCUMENTS, SegmentNumber};

/// A set of documents of one batch: a compressed bitmap of their numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocSet(pub RoaringBitmap);

impl DocSet {
    /// The empty set.
    pub fn new() -> DocSet {
        DocSet::default()
    }

    /// Adds a document; true if it was not in the set.
    pub fn insert(&mut self, number: DocNumber) -> bool {
        self.0.insert(number.0)
    }

    /// Takes a document out; true if it was in the set.
    pub fn remove(&mut self, number: DocNumber) -> bool {
        self.0.remove(number.0)
    }

    /// Whether the document is in the set.
    pub fn contains(&self, number: DocNumber) -> bool {
        self.0.contains(number.0)
    }

    /// Number of documents in the set.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The documents, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = DocNumber> + '_ {
        self.0.iter().map(DocNumber)
    }

    /// The segments that have documents in the set, in ascending order: found without a look at each document.
    pub fn segments(&self) -> impl Iterator<Item = SegmentNumber> + '_ {
        let mut rest = self.0.iter();
        std::iter::from_fn(move || {
            let segment = DocNumber(rest.next()?).segment();
            match segment.first().0.checked_add(SEGMENT_DOCUMENTS) {
                Some(next) => rest.advance_to(next),
                None => drop(rest.by_ref().last()),
            }
            Some(segment)
        })
    }
}

impl FromIterator<DocNumber> for DocSet {
    fn from_iter<I: IntoIterator<Item = DocNumber>>(numbers: I) -> DocSet {
        DocSet(numbers.into_iter().map(|number| number.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn its_segments_are_those_of_its_documents(
            numbers in prop::collection::vec((0u32..20, 0..SEGMENT_DOCUMENTS), 0..60),
            last in any::<bool>(),
        ) {
            let mut docs: DocSet = numbers.into_iter().map(|(segment, place)| DocNumber(segment * SEGMENT_DOCUMENTS + place)).collect();
            if last {
                docs.insert(DocNumber(u32::MAX - 1));
                docs.insert(DocNumber(u32::MAX));
            }
            let mut expected: Vec<SegmentNumber> = docs.iter().map(DocNumber::segment).collect();
            expected.dedup();
            prop_assert_eq!(docs.segments().collect::<Vec<_>>(), expected);
        }
    }
}
