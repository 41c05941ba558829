//! What has become of a segment's documents since it was told: two bits for each, and a list of those that have moved.
//!
//! Most documents end where they were first given. What they were given is shared with everybody who was told the same:
//! the log, and in a simulation all other nodes.

use std::sync::Arc;

use super::segment::Ending;
use super::slot::{NodeTable, Slot};
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

/// One document in so many may be in the list; with more of them an array is hardly larger, and quicker.
const MOST_MOVED: usize = 3;

#[derive(Debug, Clone)]
pub(super) struct Since {
    told: Arc<Entries>,
    fates: Box<[u64]>,
    /// By place, in ascending order.
    moved: Vec<(u16, Slot)>,
}

/// The same document ended there.
fn ended(slot: Slot, outcome: Outcome) -> Slot {
    Slot { status: Status::Ended(outcome), ..slot }
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

    fn find(&self, place: usize) -> Result<usize, usize> {
        self.moved.binary_search_by_key(&(place as u16), |(place, _)| *place)
    }

    pub(super) fn get(&self, place: usize, nodes: &NodeTable) -> Slot {
        self.get_by(place, |_| nodes.slot(self.told.get(place)))
    }

    /// The same as an entry, which for what stands as it was told needs no search for its node.
    pub(super) fn entry(&self, place: usize, nodes: &NodeTable) -> Entry {
        let told = || self.told.get(place);
        match self.fate(place) {
            AS_TOLD => told(),
            DONE => Entry { status: Status::Ended(Outcome::Done), ..told() },
            FAILED => Entry { status: Status::Ended(Outcome::Failed), ..told() },
            _ => nodes.entry(self.moved_to(place)),
        }
    }

    /// Whether the document has no outcome.
    pub(super) fn is_open(&self, place: usize) -> bool {
        match self.fate(place) {
            AS_TOLD => self.told.get(place).outcome().is_none(),
            MOVED => self.moved_to(place).outcome().is_none(),
            _ => false,
        }
    }

    fn moved_to(&self, place: usize) -> Slot {
        self.moved[self.find(place).expect("what has moved is in the list")].1
    }

    /// The same as [`Since::get`], where the slot of each code that was told is known.
    pub(super) fn get_by(&self, place: usize, told: impl Fn(usize) -> Slot) -> Slot {
        match self.fate(place) {
            AS_TOLD => told(self.told.code(place)),
            DONE => ended(told(self.told.code(place)), Outcome::Done),
            FAILED => ended(told(self.told.code(place)), Outcome::Failed),
            _ => self.moved_to(place),
        }
    }

    /// What was told, by code.
    pub(super) fn told_slots(&self, nodes: &NodeTable) -> Vec<Slot> {
        self.told.table().map(|(entry, _)| nodes.slot(entry)).collect()
    }

    /// Where the document stands from now on. False, and nothing is changed, if so many have moved that this is no longer
    /// the form for them.
    pub(super) fn set(&mut self, place: usize, slot: Slot, nodes: &NodeTable) -> bool {
        let (told, stands) = (self.told.get(place), nodes.entry(slot));
        let ended = |outcome| Entry { status: Status::Ended(outcome), ..told };
        let fate = match stands {
            _ if stands == told => AS_TOLD,
            _ if stands == ended(Outcome::Done) => DONE,
            _ if stands == ended(Outcome::Failed) => FAILED,
            _ => MOVED,
        };
        match (self.find(place), fate) {
            (Ok(at), MOVED) => self.moved[at].1 = slot,
            (Ok(at), _) => drop(self.moved.remove(at)),
            (Err(_), MOVED) if self.moved.len() >= self.told.len() / MOST_MOVED => return false,
            (Err(at), MOVED) => self.moved.insert(at, (place as u16, slot)),
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
                Ending::Ended { before: told }
            }
            fate if fate == ends => Ending::Known,
            _ => Ending::Otherwise,
        }
    }

    /// Whether the documents were told the same, and the same has become of them.
    pub(super) fn is_same(&self, nodes: &NodeTable, there: &Since, nodes_there: &NodeTable) -> bool {
        let same = |((here, slot), (there, slot_there)): (&(u16, Slot), &(u16, Slot))| {
            here == there && nodes.entry(*slot) == nodes_there.entry(*slot_there)
        };
        Arc::ptr_eq(&self.told, &there.told)
            && self.fates == there.fates
            && self.moved.len() == there.moved.len()
            && self.moved.iter().zip(&there.moved).all(same)
    }

    /// The first document without an outcome.
    pub(super) fn first_open(&self) -> Option<usize> {
        (0..self.told.len()).find(|place| self.is_open(*place))
    }

    /// The slots that differ, and of each document which it has; `None` if a byte cannot say it.
    pub(super) fn codes(&self, nodes: &NodeTable) -> Option<(Vec<Slot>, Vec<u8>)> {
        let mut table: Vec<Slot> = Vec::new();
        let mut code_of = |slot: Slot| {
            let known = table.iter().position(|known| *known == slot);
            let code = known.unwrap_or_else(|| {
                table.push(slot);
                table.len() - 1
            });
            u8::try_from(code).ok()
        };
        // What was told and became the same has the same code, and is looked up once.
        let mut codes_by_fate = vec![None; 3 * self.told.table().len()];
        let mut codes = Vec::with_capacity(self.told.len());
        for place in 0..self.told.len() {
            let code = match self.fate(place) {
                MOVED => code_of(self.get(place, nodes))?,
                fate => {
                    let known = &mut codes_by_fate[3 * self.told.code(place) + fate as usize];
                    match *known {
                        Some(code) => code,
                        None => *known.insert(code_of(self.get(place, nodes))?),
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
    use crate::change::Title;

    fn entry() -> impl Strategy<Value = Entry> {
        let outcome = prop_oneof![Just(Outcome::Done), Just(Outcome::Failed), Just(Outcome::Cancelled)];
        let status = prop_oneof![
            Just(Status::Owned(Title::Given)),
            Just(Status::Owned(Title::Claimed)),
            outcome.prop_map(Status::Ended)
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
        fn it_is_an_array_of_slots(
            told in prop::collection::vec(entry(), 1..70),
            steps in prop::collection::vec((any::<prop::sample::Index>(), entry(), any::<bool>()), 0..60),
        ) {
            let mut nodes = NodeTable::new(NodeId([9; 16]));
            let mut slot = |entry: Entry| nodes.intern_entry(entry).expect("there is room");
            let given: Vec<Slot> = told.iter().copied().map(&mut slot).collect();
            let steps: Vec<_> = steps.into_iter().map(|(index, entry, short)| (index, entry, slot(entry), short)).collect();
            let mut since = Since::new(Arc::new(Entries::pack(told)));
            let mut plain = given.clone();
            for (index, entry, slot, short) in steps {
                let place = index.index(plain.len());
                if let Some(outcome) = entry.outcome().filter(|_| short) {
                    let (before, now) = (plain[place], ended(given[place], outcome));
                    match since.end_as_given(place, entry.epoch, entry.node, outcome) {
                        Ending::Ended { before: stood } => {
                            prop_assert_eq!((before, now), (given[place], slot));
                            prop_assert_eq!(stood, nodes.entry(before));
                            plain[place] = now;
                        }
                        Ending::Known => prop_assert_eq!((before, now), (slot, slot)),
                        Ending::Otherwise => {}
                    }
                } else if since.set(place, slot, &nodes) {
                    plain[place] = slot;
                }
            }
            let told = since.told_slots(&nodes);
            prop_assert!((0..plain.len()).map(|place| since.get(place, &nodes)).eq(plain.iter().copied()));
            let entries = plain.iter().map(|slot| nodes.entry(*slot));
            prop_assert!((0..plain.len()).map(|place| since.entry(place, &nodes)).eq(entries));
            let open = plain.iter().map(|slot| slot.outcome().is_none());
            prop_assert!((0..plain.len()).map(|place| since.is_open(place)).eq(open));
            prop_assert!((0..plain.len()).map(|place| since.get_by(place, |code| told[code])).eq(plain.iter().copied()));
            prop_assert_eq!(since.first_open(), plain.iter().position(|slot| slot.outcome().is_none()));
            let (table, codes) = since.codes(&nodes).expect("fewer than 256 slots can be drawn");
            prop_assert!(codes.iter().map(|code| table[usize::from(*code)]).eq(plain));
        }
    }
}
