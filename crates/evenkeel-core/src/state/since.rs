//! What has become of a segment's documents since it was told: two bits for each, and a list of those that have moved.
//!
//! Most documents end where they were first given. What they were given is shared with everybody who was told the same:
//! the log, and in a simulation all other nodes.

use std::sync::Arc;

use super::segment::Ending;
use crate::change::{Entries, Entry, Outcome, Status};
use crate::ids::{Epoch, NodeId};

/// What a document may have come to, as two bits.
const AS_TOLD: u64 = 0;
const DONE: u64 = 1;
const FAILED: u64 = 2;
/// Anything else: it is in the list.
const MOVED: u64 = 3;

/// Documents in one word of fates.
const IN_WORD: usize = 32;

/// One document in so many may be in the list; with more of them an array is smaller, and quicker.
const MOST_MOVED: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Since {
    told: Arc<Entries>,
    fates: Box<[u64]>,
    /// By place, in ascending order.
    moved: Vec<(u16, Entry)>,
}

/// The same document ended there.
fn ended(entry: Entry, outcome: Outcome) -> Entry {
    Entry { status: Status::Ended(outcome), ..entry }
}

impl Since {
    pub(super) fn new(told: Arc<Entries>) -> Since {
        let fates = vec![0; told.len().div_ceil(IN_WORD)].into();
        Since { told, fates, moved: Vec::new() }
    }

    fn fate(&self, place: usize) -> u64 {
        self.fates[place / IN_WORD] >> (2 * (place % IN_WORD)) & 3
    }

    fn set_fate(&mut self, place: usize, fate: u64) {
        let word = &mut self.fates[place / IN_WORD];
        let shift = 2 * (place % IN_WORD);
        *word = *word & !(3 << shift) | fate << shift;
    }

    pub(super) fn get(&self, place: usize) -> Entry {
        match self.fate(place) {
            AS_TOLD => self.told.get(place),
            DONE => ended(self.told.get(place), Outcome::Done),
            FAILED => ended(self.told.get(place), Outcome::Failed),
            _ => {
                let found = self.moved.binary_search_by_key(&(place as u16), |(place, _)| *place);
                self.moved[found.expect("what has moved is in the list")].1
            }
        }
    }

    /// Where the document stands from now on. False, and nothing is changed, if so many have moved that this is no longer
    /// the form for them.
    pub(super) fn set(&mut self, place: usize, entry: Entry) -> bool {
        let told = self.told.get(place);
        let fate = match entry.status {
            _ if entry == told => AS_TOLD,
            Status::Ended(Outcome::Done) if entry == ended(told, Outcome::Done) => DONE,
            Status::Ended(Outcome::Failed) if entry == ended(told, Outcome::Failed) => FAILED,
            _ => MOVED,
        };
        let found = self.moved.binary_search_by_key(&(place as u16), |(place, _)| *place);
        match (found, fate) {
            (Ok(at), MOVED) => self.moved[at].1 = entry,
            (Ok(at), _) => drop(self.moved.remove(at)),
            (Err(_), MOVED) if self.moved.len() >= self.told.len() / MOST_MOVED => return false,
            (Err(at), MOVED) => self.moved.insert(at, (place as u16, entry)),
            (Err(_), _) => {}
        }
        self.set_fate(place, fate);
        true
    }

    /// See [`super::segment::Segment::end_as_given`].
    pub(super) fn end_as_given(&mut self, place: usize, epoch: Epoch, node: NodeId, outcome: Outcome) -> Ending {
        let ends = match outcome {
            Outcome::Done => DONE,
            Outcome::Failed => FAILED,
            Outcome::Cancelled => return Ending::Otherwise,
        };
        let told = self.told.get(place);
        if told.epoch != epoch || told.node != node || told.outcome().is_some() {
            return Ending::Otherwise;
        }
        match self.fate(place) {
            AS_TOLD => {
                self.set_fate(place, ends);
                Ending::Ended
            }
            fate if fate == ends => Ending::Known,
            _ => Ending::Otherwise,
        }
    }

    /// Whether the documents were told the same, and the same has become of them.
    pub(super) fn is_same(&self, other: &Since) -> bool {
        Arc::ptr_eq(&self.told, &other.told) && self.fates == other.fates && self.moved == other.moved
    }

    /// The first document without an outcome.
    pub(super) fn first_open(&self) -> Option<usize> {
        (0..self.told.len()).find(|place| match self.fate(*place) {
            DONE | FAILED => false,
            _ => self.get(*place).outcome().is_none(),
        })
    }

    /// The entries that differ, and of each document which it has; `None` if a byte cannot say it.
    pub(super) fn codes(&self) -> Option<(Vec<Entry>, Vec<u8>)> {
        let mut table: Vec<Entry> = Vec::new();
        let mut code_of = |entry: Entry| {
            let known = table.iter().position(|known| *known == entry);
            let code = known.unwrap_or_else(|| {
                table.push(entry);
                table.len() - 1
            });
            u8::try_from(code).ok()
        };
        // What was told and became the same has the same code, and is looked up once.
        let mut codes_by_fate = vec![None; 3 * self.told.table().len()];
        let mut codes = Vec::with_capacity(self.told.len());
        for place in 0..self.told.len() {
            let code = match self.fate(place) {
                MOVED => code_of(self.get(place))?,
                fate => {
                    let known = &mut codes_by_fate[3 * self.told.code(place) + fate as usize];
                    match *known {
                        Some(code) => code,
                        None => *known.insert(code_of(self.get(place))?),
                    }
                }
            };
            codes.push(code);
        }
        Some((table, codes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let status = prop_oneof![
            Just(Status::Given),
            Just(Status::Claimed),
            prop_oneof![Just(Outcome::Done), Just(Outcome::Failed), Just(Outcome::Cancelled)].prop_map(Status::Ended),
        ];
        (1u32..3, 0u8..3, status).prop_map(|(epoch, node, status)| Entry {
            epoch: Epoch(epoch),
            node: NodeId([node; 16]),
            status,
        })
    }

    proptest! {
        /// The plain form of it all is an array.
        #[test]
        fn it_is_an_array_of_entries(
            told in prop::collection::vec(entry(), 1..70),
            steps in prop::collection::vec((any::<prop::sample::Index>(), entry(), any::<bool>()), 0..60),
        ) {
            let mut since = Since::new(Arc::new(Entries::pack(told.iter().copied())));
            let mut plain = told.clone();
            for (index, entry, short) in steps {
                let place = index.index(plain.len());
                let ends = entry.outcome().filter(|_| short);
                if let Some(outcome) = ends {
                    let (before, now) = (plain[place], ended(told[place], outcome));
                    match since.end_as_given(place, entry.epoch, entry.node, outcome) {
                        Ending::Ended => {
                            prop_assert_eq!((before, now), (told[place], entry));
                            plain[place] = now;
                        }
                        Ending::Known => prop_assert_eq!((before, now), (entry, entry)),
                        Ending::Otherwise => {}
                    }
                } else if since.set(place, entry) {
                    plain[place] = entry;
                }
            }
            prop_assert!((0..plain.len()).map(|place| since.get(place)).eq(plain.iter().copied()));
            prop_assert_eq!(since.first_open(), plain.iter().position(|entry| entry.outcome().is_none()));
            let (table, codes) = since.codes().expect("fewer than 256 entries can be drawn");
            prop_assert!(codes.iter().map(|code| table[usize::from(*code)]).eq(plain));
        }
    }
}
