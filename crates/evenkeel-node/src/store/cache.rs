//! Unpacked blocks of payloads that were read lately: documents that run one after the other lie beside each other.

use std::collections::BTreeMap;

use bytes::Bytes;
use evenkeel_net::records::SegmentId;

/// A segment and a block of it.
pub(super) type Name = (SegmentId, u32);

/// The least recently used go first.
#[derive(Debug)]
pub(super) struct Cache {
    limit: usize,
    size: usize,
    uses: u64,
    blocks: BTreeMap<Name, (Bytes, u64)>,
    by_use: BTreeMap<u64, Name>,
}

impl Cache {
    /// Keeps so many bytes at most.
    pub(super) fn new(limit: usize) -> Cache {
        Cache { limit, size: 0, uses: 0, blocks: BTreeMap::new(), by_use: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, name: Name) -> Option<Bytes> {
        let (bytes, used) = self.blocks.get_mut(&name)?;
        self.uses += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, name);
        *used = self.uses;
        Some(bytes.clone())
    }

    pub(super) fn insert(&mut self, name: Name, bytes: Bytes) {
        self.remove(name);
        self.uses += 1;
        self.size += bytes.len();
        self.by_use.insert(self.uses, name);
        self.blocks.insert(name, (bytes, self.uses));
        while self.size > self.limit
            && let Some((_, oldest)) = self.by_use.first_key_value()
        {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, name: Name) {
        if let Some((bytes, used)) = self.blocks.remove(&name) {
            self.by_use.remove(&used);
            self.size -= bytes.len();
        }
    }

    /// Forgets segments of which this is true.
    pub(super) fn forget(&mut self, is: impl Fn(SegmentId) -> bool) {
        let names: Vec<Name> = self.blocks.keys().filter(|(segment, _)| is(*segment)).copied().collect();
        names.into_iter().for_each(|name| self.remove(name));
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::{BatchId, SegmentNumber};

    use super::*;

    #[test]
    fn what_was_used_last_stays_and_the_limit_holds() {
        let segment = |batch| SegmentId { batch: BatchId(batch), segment: SegmentNumber(0) };
        let mut cache = Cache::new(100);
        for block in 0..10 {
            cache.insert((segment(1), block), Bytes::from(vec![block as u8; 30]));
            assert!(cache.get((segment(1), 0)).is_some(), "it is used all the time");
        }
        let there: Vec<u32> = (0..10).filter(|block| cache.get((segment(1), *block)).is_some()).collect();
        assert_eq!(there, [0, 8, 9]);
        cache.insert((segment(2), 0), Bytes::from(vec![0; 101]));
        assert!(cache.blocks.is_empty() && cache.by_use.is_empty() && cache.size == 0, "too large to be kept");
        cache.insert((segment(1), 0), Bytes::from(vec![0; 10]));
        cache.insert((segment(2), 0), Bytes::from(vec![0; 10]));
        cache.forget(|other| other == segment(1));
        assert!(cache.get((segment(1), 0)).is_none() && cache.get((segment(2), 0)).is_some());
        assert_eq!(cache.size, 10);
    }
}
