//! Which documents are tried: a few that stand for all, whatever their number.

use bytes::Bytes;
use evenkeel_core::ids::DocNumber;
use evenkeel_core::units::Length;

use crate::input::{Document, Documents, InputError};

/// Documents kept while the input is read, of which the sample is drawn in the end.
const KEPT: usize = 4_096;

/// Bytes that they may have together. Where documents are large, fewer are kept.
const KEPT_BYTES: usize = 256 << 20;

/// A document of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    /// Its number in the input.
    pub(super) number: DocNumber,
    pub(super) payload: Bytes,
    pub(super) length: Length,
}

/// The sample.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The longest first, as a node starts it first; then in an order of which every beginning is spread over all lengths.
    pub(super) documents: Vec<Tried>,
    /// Documents of the input.
    pub(super) among: u64,
}

impl Sample {
    /// Whether its documents differ in length.
    pub(super) fn lengths_differ(&self) -> bool {
        self.documents.iter().any(|tried| tried.length != self.documents[0].length)
    }
}

/// Reads all of the input and draws so many documents.
///
/// # Errors
/// If the input is no good, or empty.
pub(super) fn draw(documents: &mut Documents, wanted: usize) -> Result<Sample, InputError> {
    let mut kept = Kept::new();
    for document in documents {
        kept.offer(document?);
    }
    let among = kept.seen;
    Ok(Sample { documents: spread(kept.documents, wanted), among })
}

/// As many of what was offered as fit, each as likely as any other.
struct Kept {
    documents: Vec<Tried>,
    bytes: usize,
    seen: u64,
    most: usize,
    /// Always the same, so that two calibrations of one input try the same documents.
    chance: u64,
}

impl Kept {
    fn new() -> Kept {
        Kept { documents: Vec::new(), bytes: 0, seen: 0, most: KEPT, chance: 0x5eed }
    }

    /// A number below `bound`: splitmix64.
    fn below(&mut self, bound: u64) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1)) as usize
    }

    fn offer(&mut self, document: Document) {
        let number = DocNumber(u32::try_from(self.seen).unwrap_or(u32::MAX));
        self.seen += 1;
        let tried = Tried { number, payload: document.payload.into(), length: document.length };
        if self.documents.len() < self.most {
            self.bytes += tried.payload.len();
            self.documents.push(tried);
        } else {
            let place = self.below(self.seen);
            if place >= self.documents.len() {
                return;
            }
            self.bytes = self.bytes + tried.payload.len() - self.documents[place].payload.len();
            self.documents[place] = tried;
        }
        while self.bytes > KEPT_BYTES && self.documents.len() > 1 {
            let place = self.below(self.documents.len() as u64);
            self.bytes -= self.documents.swap_remove(place).payload.len();
            self.most = self.documents.len();
        }
    }
}

/// So many of these, evenly from the shortest to the longest, in the order of [`Sample::documents`].
fn spread(mut documents: Vec<Tried>, wanted: usize) -> Vec<Tried> {
    documents.sort_by_key(|tried| (tried.length, tried.number));
    let count = wanted.min(documents.len());
    // The middle of each of so many parts; the longest and the shortest stand for theirs.
    let place = |part: usize| match part {
        0 => 0,
        _ if part + 1 == count => documents.len() - 1,
        _ => (2 * part + 1) * documents.len() / (2 * count),
    };
    let chosen: Vec<usize> = if count == 1 { vec![documents.len() - 1] } else { (0..count).map(place).collect() };
    let mut order: Vec<usize> = (0..count).collect();
    let bits = usize::BITS - count.leading_zeros();
    // Numbers with their bits the other way round jump to and fro between the halves, the quarters, and so on.
    order.sort_by_key(|part| (part + 1 != count, part.reverse_bits() >> (usize::BITS - bits.max(1))));
    order.into_iter().map(|part| documents[chosen[part]].clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::{Options, Source};

    fn sample(lengths: &[u64], wanted: usize) -> Vec<u64> {
        let tried = |(number, length): (usize, &u64)| Tried {
            number: DocNumber(number as u32),
            payload: Bytes::new(),
            length: Length(*length),
        };
        spread(lengths.iter().enumerate().map(tried).collect(), wanted).iter().map(|tried| tried.length.0).collect()
    }

    #[test]
    fn the_sample_is_spread_over_the_lengths_and_begins_with_the_longest() {
        let lengths: Vec<u64> = (0..1_000).collect();
        let drawn = sample(&lengths, 8);
        assert_eq!(drawn[0], 999);
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 187, 312, 437, 562, 687, 812, 999]);
        // Each half of the beginning is in each half of the lengths.
        assert!(drawn[1..5].iter().any(|length| *length < 500) && drawn[1..5].iter().any(|length| *length >= 500));
        assert_eq!(sample(&[5], 8), [5]);
        assert_eq!(sample(&[5, 9], 1), [9]);
    }

    #[test]
    fn a_long_input_needs_no_memory() {
        let words = (0..20_000).map(|number: u32| number.to_string().into()).collect();
        let mut documents = Documents::open(Source::Arguments(words), Options::default()).unwrap();
        let sample = draw(&mut documents, 10).unwrap();
        assert_eq!((sample.documents.len(), sample.among), (10, 20_000));
        let payload = &sample.documents[3].payload;
        assert_eq!(payload, sample.documents[3].number.0.to_string().as_bytes(), "a document keeps its number");
        assert!(sample.lengths_differ());
    }

    #[test]
    fn large_documents_are_kept_within_bounds() {
        let mut kept = Kept::new();
        for _ in 0..40 {
            kept.offer(Document { payload: vec![0; 16 << 20], length: Length(1) });
        }
        assert!(kept.bytes <= KEPT_BYTES && kept.documents.len() == 16, "{}", kept.documents.len());
        assert_eq!(kept.bytes, kept.documents.iter().map(|tried| tried.payload.len()).sum::<usize>());
    }

    proptest! {
        #[test]
        fn any_input_gives_a_sample(lengths in prop::collection::vec(0u64..50, 1..200), wanted in 1usize..100) {
            let drawn = sample(&lengths, wanted);
            prop_assert_eq!(drawn.len(), wanted.min(lengths.len()));
            prop_assert_eq!(drawn[0], *lengths.iter().max().unwrap());
        }
    }
}
