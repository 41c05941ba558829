//! Names of things: nodes, batches, documents, and the counters that order their histories.
//!
//! Every identifier is a type of its own, so that a document number can never stand where an epoch is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares a counter-like identifier: a newtype over an unsigned integer that prints as the bare number.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Which run of a node: a restart is a new generation, and only the newest counts. Milliseconds since 1970 at start.
    Generation(u64)
}
counter! {
    /// Number of a document within its batch, from 0.
    DocNumber(u32)
}
counter! {
    /// Number of a segment within its batch, from 0: documents `n * 4096 ..`.
    SegmentNumber(u32)
}
counter! {
    /// How often a document has been given an owner. Strictly grows along causality; 1 is the submitter's allocation.
    Epoch(u32)
}
counter! {
    /// Number of an offer among all that one generation of a node has made.
    OfferId(u64)
}
counter! {
    /// How often a document has been tried, from 1.
    Attempt(u32)
}

impl Epoch {
    /// The epoch of the submitting node's allocation.
    pub const FIRST: Epoch = Epoch(1);

    /// The epoch under which the present owner gives the document away, or an heir claims it.
    pub fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

/// Number of documents in a full segment.
pub const SEGMENT_DOCUMENTS: u32 = 4096;

impl DocNumber {
    /// The segment that holds this document.
    pub fn segment(self) -> SegmentNumber {
        SegmentNumber(self.0 / SEGMENT_DOCUMENTS)
    }
}

impl SegmentNumber {
    /// The first document of this segment.
    pub fn first(self) -> DocNumber {
        DocNumber(self.0 * SEGMENT_DOCUMENTS)
    }
}

/// Identity of a node: the first 16 bytes of the BLAKE3 hash of its public key. Prints as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// Text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not 32 hexadecimal digits.
    #[error("a node id is 32 hexadecimal digits, not {0:?}")]
    Node(String),
    /// Not 13 letters and digits of the alphabet that batch ids use.
    #[error("a batch id is 13 letters and digits without i, l, o and u, not {0:?}")]
    Batch(String),
    /// Not a batch id, a slash and a number.
    #[error("a document is named BATCH/NUMBER, for example 01g3zq8v5m2ka/17, not {0:?}")]
    Document(String),
}

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = || InvalidId::Node(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(|number| NodeId(number.to_be_bytes())).map_err(|_| wrong())
    }
}

/// One run of one node: the writer of one change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The node.
    pub node: NodeId,
    /// Which run of it.
    pub generation: Generation,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.generation)
    }
}

/// Identity of a batch: 64 bits of a hash of its submission. Prints as 13 characters of Crockford's base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(pub u64);

/// Crockford's base 32 in lower case: no i, l, o or u, so that an id can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 13];
        for (place, letter) in text.iter_mut().enumerate() {
            *letter = ALPHABET[(self.0 >> (60 - 5 * place) & 31) as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchId({self})")
    }
}

impl FromStr for BatchId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = || InvalidId::Batch(text.to_owned());
        if text.len() != 13 {
            return Err(wrong());
        }
        let mut number: u64 = 0;
        for (place, byte) in text.bytes().enumerate() {
            let value =
                ALPHABET.iter().position(|letter| *letter == byte.to_ascii_lowercase()).ok_or_else(wrong)? as u64;
            if place == 0 && value > 15 {
                return Err(wrong());
            }
            number = number << 5 | value;
        }
        Ok(BatchId(number))
    }
}

/// One document: its batch and its number there. Prints as `BATCH/NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocId {
    /// The batch.
    pub batch: BatchId,
    /// The document's number in it.
    pub number: DocNumber,
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.batch, self.number)
    }
}

impl FromStr for DocId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = || InvalidId::Document(text.to_owned());
        let (batch, number) = text.split_once('/').ok_or_else(wrong)?;
        Ok(DocId {
            batch: batch.parse().map_err(|_| wrong())?,
            number: DocNumber(number.parse().map_err(|_| wrong())?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_survive_printing_and_parsing(batch: u64, number: u32, node: [u8; 16]) {
            let doc = DocId { batch: BatchId(batch), number: DocNumber(number) };
            prop_assert_eq!(doc.to_string().parse(), Ok(doc));
            prop_assert_eq!(NodeId(node).to_string().parse(), Ok(NodeId(node)));
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,40}") {
            let _ = (text.parse::<NodeId>(), text.parse::<BatchId>(), text.parse::<DocId>());
        }
    }

    #[test]
    fn a_batch_id_over_64_bits_is_refused() {
        assert!("zzzzzzzzzzzzz".parse::<BatchId>().is_err());
        assert_eq!("fzzzzzzzzzzzz".parse(), Ok(BatchId(u64::MAX)));
    }
}
