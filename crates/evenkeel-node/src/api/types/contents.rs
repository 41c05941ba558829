//! What the documents of a batch hold, told by digests: enough to see whether an input has been submitted before, at a fraction of
//! its size.

use std::fmt;
use std::str::FromStr;

use evenkeel_core::ids::{BatchId, DocNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Schema, text};

/// The first 128 bits of a payload's BLAKE3 hash; as text, 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// That of a payload.
    pub fn of(payload: &[u8]) -> Digest {
        let hash = blake3::hash(payload);
        let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        Digest(*first)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Digest, String> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| format!("{text:?} is not a digest, which has 32 hexadecimal digits"))?;
        Ok(Digest(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        text::deserialize(deserializer)
    }
}

/// Some documents of a batch, by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Version of the JSON.
    pub schema: Schema,
    /// The batch.
    #[serde(with = "text")]
    pub batch: BatchId,
    /// Number of the first of these documents.
    pub first: DocNumber,
    /// Of each from there on its digest; `null` if it has failed, was cancelled or will be.
    pub digests: Vec<Option<Digest>>,
    /// The `from` of what follows. Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<DocNumber>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_beginning_of_the_hash() {
        // Of nothing, as b3sum prints it.
        let empty = "af1349b9f5f9a1a6a0404dea36dcc949";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        assert!("af13".parse::<Digest>().unwrap_err().contains("32 hexadecimal digits"));
    }
}
