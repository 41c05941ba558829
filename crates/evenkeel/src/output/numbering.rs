//! Which place in the input a document of the batch has: with `--resume` the batch lacks those that are done already.

use evenkeel_core::ids::DocNumber;
use roaring::RoaringBitmap;

/// The documents of the input that were submitted, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbering(RoaringBitmap);

impl Numbering {
    /// Notes that the document at this place of the input is in the batch. Places must come in ascending order.
    pub fn submit(&mut self, number: DocNumber) {
        self.0.insert(number.0);
    }

    /// Number of documents in the batch.
    pub fn submitted(&self) -> u64 {
        self.0.len()
    }

    /// The place in the input of the batch's document with this number; `None` if there is no such document.
    pub fn in_input(&self, in_batch: DocNumber) -> Option<DocNumber> {
        self.0.select(in_batch.0).map(DocNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_were_skipped_have_no_number_in_the_batch() {
        let mut numbering = Numbering::default();
        for number in [1, 2, 5] {
            numbering.submit(DocNumber(number));
        }
        let places: Vec<_> = (0..4).map(|number| numbering.in_input(DocNumber(number))).collect();
        assert_eq!(places, [Some(DocNumber(1)), Some(DocNumber(2)), Some(DocNumber(5)), None]);
        assert_eq!(numbering.submitted(), 3);
    }
}
