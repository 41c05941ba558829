//! Captured output of one stream: the first bytes up to a limit, and a count of the rest.

use bytes::Bytes;
use evenkeel_net::records::Captured;

/// Output as it is read.
#[derive(Debug)]
pub(super) struct Capture {
    kept: Vec<u8>,
    limit: usize,
    dropped: u64,
}

impl Capture {
    /// Keeps at most `limit` bytes. Memory grows with what is written, not with the limit.
    pub(super) fn new(limit: u64) -> Capture {
        Capture { kept: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), dropped: 0 }
    }

    /// Takes what was read.
    pub(super) fn take(&mut self, read: &[u8]) {
        let (kept, dropped) = read.split_at(read.len().min(self.limit - self.kept.len()));
        self.kept.extend_from_slice(kept);
        self.dropped += dropped.len() as u64;
    }

    /// What there was. Spare memory is given back: results wait in memory until they are stored.
    pub(super) fn finish(mut self) -> Captured {
        self.kept.shrink_to_fit();
        Captured { bytes: Bytes::from(self.kept), dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn kept_and_dropped_add_up(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10), limit in 0u64..200) {
            let mut capture = Capture::new(limit);
            parts.iter().for_each(|part| capture.take(part));
            let (whole, got) = (parts.concat(), capture.finish());
            prop_assert!(got.bytes.len() as u64 <= limit);
            prop_assert!(whole.starts_with(&got.bytes));
            prop_assert_eq!(got.bytes.len() as u64 + got.dropped, whole.len() as u64);
        }
    }
}
