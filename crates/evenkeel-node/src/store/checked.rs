//! A value on the disk: compressed if that makes it smaller, and with a checksum that knows where the value belongs, so
//! that neither a byte that has changed nor a value in the place of another is ever taken for the truth.

use std::borrow::Cow;

use super::Trouble;

/// Bytes of the checksum.
const CHECK: usize = 16;

/// A value shorter than this is not worth compressing: it costs a few microseconds, and saves a few bytes.
const SHORT: usize = 256;

/// The first byte after the checksum: how the rest is to be read.
const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Where a value belongs: its table and its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) table: u8,
    pub(super) major: u64,
    pub(super) middle: u32,
    pub(super) minor: u32,
}

impl Place {
    fn check(self, rest: &[u8]) -> [u8; CHECK] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[self.table]);
        hasher.update(&self.major.to_le_bytes());
        hasher.update(&self.middle.to_le_bytes());
        hasher.update(&self.minor.to_le_bytes());
        hasher.update(rest);
        hasher.finalize().as_bytes()[..CHECK].try_into().expect("a hash has 32 bytes")
    }

    /// The value as it is stored in this place.
    pub(super) fn seal(self, value: &[u8]) -> Vec<u8> {
        let compressed = if value.len() < SHORT { Vec::new() } else { lz4_flex::compress_prepend_size(value) };
        let (form, body) = match !compressed.is_empty() && compressed.len() < value.len() {
            true => (LZ4, compressed.as_slice()),
            false => (PLAIN, value),
        };
        let mut sealed = Vec::with_capacity(CHECK + 1 + body.len());
        sealed.extend_from_slice(&[0; CHECK]);
        sealed.push(form);
        sealed.extend_from_slice(body);
        let check = self.check(&sealed[CHECK..]);
        sealed[..CHECK].copy_from_slice(&check);
        sealed
    }

    /// The value that was stored here.
    ///
    /// # Errors
    /// [`Trouble::Corrupt`] if these are not the bytes that [`Place::seal`] made for this place.
    pub(super) fn open(self, sealed: &[u8]) -> Result<Cow<'_, [u8]>, Trouble> {
        let Some((check, rest)) = sealed.split_first_chunk::<CHECK>() else {
            return Err(Trouble::corrupt("a value without a checksum"));
        };
        if self.check(rest) != *check {
            return Err(Trouble::corrupt("its checksum is wrong"));
        }
        match rest.split_first() {
            Some((&PLAIN, body)) => Ok(Cow::Borrowed(body)),
            // The size that the body says is trusted: the checksum covers it.
            Some((&LZ4, body)) => lz4_flex::decompress_size_prepended(body)
                .map(Cow::Owned)
                .map_err(|error| Trouble::corrupt(format!("it cannot be unpacked: {error}"))),
            _ => Err(Trouble::corrupt("a value of an unknown form")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_only_whole_and_in_its_place() {
        let place = Place { table: 1, major: 2, middle: 3, minor: 4 };
        let noise: Vec<u8> = (0..1000u32).map(|number| ((number * number) >> 3) as u8 ^ number as u8).collect();
        for value in [b"".as_slice(), b"short", &[7; 5000], &noise] {
            let sealed = place.seal(value);
            assert_eq!(place.open(&sealed).unwrap(), value);
            assert!(sealed.len() <= value.len() + CHECK + 1);
            for elsewhere in [
                Place { table: 2, ..place },
                Place { major: 9, ..place },
                Place { middle: 9, ..place },
                Place { minor: 9, ..place },
            ] {
                assert!(elsewhere.open(&sealed).is_err());
            }
            for at in 0..sealed.len() {
                let mut wrong = sealed.clone();
                wrong[at] ^= 1;
                assert!(place.open(&wrong).is_err(), "byte {at}");
                assert!(place.open(&sealed[..at]).is_err(), "cut at {at}");
            }
        }
        assert!(place.seal(&[7; 5000]).len() < 100, "it is compressed");
    }
}
