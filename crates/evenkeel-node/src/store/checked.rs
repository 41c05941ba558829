//! Values as they are on the disk: smaller if that is possible, and with a checksum that also knows where they belong, so
//! that neither other bytes nor the right bytes in a wrong place are ever taken for the value.

/// Bytes of a checksum: half a blake3 hash.
const CHECKSUM: usize = 16;

/// Bytes before the body: how it is packed, its size unpacked, its checksum.
const HEAD: usize = 1 + 4 + CHECKSUM;

/// Values shorter than this are not worth packing.
const WORTH: usize = 64;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// A value as it is on the disk. `place`: its table and key, in any form that is the same when it is read.
pub(super) fn seal(place: &[u8], value: &[u8]) -> Vec<u8> {
    let mut packed = if value.len() < WORTH { Vec::new() } else { lz4_flex::block::compress(value) };
    let how = if packed.is_empty() || packed.len() >= value.len() { PLAIN } else { LZ4 };
    if how == PLAIN {
        packed = value.to_vec();
    }
    let mut sealed = Vec::with_capacity(HEAD + packed.len());
    sealed.push(how);
    sealed.extend_from_slice(&(value.len() as u32).to_le_bytes());
    sealed.extend_from_slice(&checksum(place, &sealed, &packed));
    sealed.append(&mut packed);
    sealed
}

/// The value that was sealed for this place; `None` if these bytes are not that.
pub(super) fn unseal(place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (head, body) = sealed.split_at_checked(HEAD)?;
    let (what, sum) = head.split_at(HEAD - CHECKSUM);
    if checksum(place, what, body) != sum {
        return None;
    }
    let size = u32::from_le_bytes(what[1..].try_into().expect("four bytes")) as usize;
    match what[0] {
        PLAIN => Some(body.to_vec()),
        // The checksum was right: these bytes are ours, and so is the size that is reserved here.
        LZ4 => lz4_flex::block::decompress(body, size).ok().filter(|value| value.len() == size),
        _ => None,
    }
}

fn checksum(place: &[u8], what: &[u8], body: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(place.len() as u32).to_le_bytes());
    hasher.update(place);
    hasher.update(what);
    hasher.update(body);
    hasher.finalize().as_bytes()[..CHECKSUM].try_into().expect("a hash is longer")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_comes_back_from_its_place_and_from_no_other(
            value in proptest::collection::vec(0..4u8, 0..600), other: Vec<u8>, at: usize, bit in 0..8u8,
        ) {
            let sealed = seal(b"here", &value);
            prop_assert_eq!(unseal(b"here", &sealed), Some(value));
            prop_assert_eq!(unseal(b"there", &sealed), None);
            prop_assert_eq!(unseal(b"here", &other), None);
            let mut spoilt = sealed.clone();
            let at = at % spoilt.len();
            spoilt[at] ^= 1 << bit;
            prop_assert_eq!(unseal(b"here", &spoilt), None);
            prop_assert_eq!(unseal(b"here", &sealed[..at]), None);
        }
    }

    #[test]
    fn what_repeats_itself_is_packed_and_what_does_not_is_left() {
        let text = b"https://example.org/page/1\n".repeat(100);
        assert!(seal(b"", &text).len() < text.len() / 5);
        let noise: Vec<u8> = blake3::Hasher::new().finalize_xof().take_bytes(500);
        assert_eq!(seal(b"", &noise).len(), HEAD + noise.len());
    }

    trait Take {
        fn take_bytes(self, count: usize) -> Vec<u8>;
    }

    impl Take for blake3::OutputReader {
        fn take_bytes(mut self, count: usize) -> Vec<u8> {
            let mut bytes = vec![0; count];
            self.fill(&mut bytes);
            bytes
        }
    }
}
