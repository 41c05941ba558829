//! Sets of documents of one batch, by number.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::ids::DocNumber;

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
}

impl FromIterator<DocNumber> for DocSet {
    fn from_iter<I: IntoIterator<Item = DocNumber>>(numbers: I) -> DocSet {
        DocSet(numbers.into_iter().map(|number| number.0).collect())
    }
}
