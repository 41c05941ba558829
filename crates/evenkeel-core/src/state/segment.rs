//! The documents of one segment: their lengths, and where each stands.
//!
//! Four forms. A segment begins as what it was told with, which is shared, and what has become of it since; once every
//! document has ended it is all alike, or an array of codes into a small table, one byte a document. Where little is as
//! it was told, and in what ended in too many ways for a byte, it is an array of slots.

use std::sync::Arc;

use super::marks::Marks;
use super::since::Since;
use super::slot::{NodeIndex, NodeTable, Slot};
use crate::change::{Entries, Entry, Lengths, Outcome};
use crate::ids::{Epoch, NodeId};
use crate::units::Length;

#[derive(Debug, Clone)]
enum Slots {
    Since(Since),
    Same(Slot),
    Coded { table: Box<[Slot]>, codes: Box<[u8]> },
    Each(Box<[Slot]>),
}

/// One segment as one replica knows it.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    lengths: Arc<Lengths>,
    slots: Slots,
    /// Of documents without an outcome.
    marks: Marks,
    documents: u16,
    open: u16,
}

/// What ending a document where it was first given has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stood so, and has ended now.
    Ended {
        /// As it stood.
        before: Entry,
    },
    /// It had ended so already.
    Known,
    /// It does not stand so: it is to be compared with what is there.
    Otherwise,
}

impl Segment {
    /// A segment whose documents stand as `entries` says. All its nodes are in the table.
    ///
    /// # Panics
    /// If there are more or fewer entries than lengths, or none: the caller has checked.
    pub(super) fn new(lengths: Arc<Lengths>, entries: Arc<Entries>, nodes: &NodeTable) -> Segment {
        let documents = entries.len();
        assert!(documents > 0 && documents == lengths.len(), "{documents} entries, {} lengths", lengths.len());
        let open = entries.table().filter(|(entry, _)| entry.outcome().is_none()).map(|(_, count)| count).sum();
        let slots = Slots::Since(Since::new(entries));
        let marks = Marks::default();
        let mut segment = Segment { lengths, slots, marks, documents: documents as u16, open };
        segment.compact_if_ended(nodes);
        segment
    }

    pub(super) fn documents(&self) -> usize {
        usize::from(self.documents)
    }

    pub(super) fn get(&self, place: usize, nodes: &NodeTable) -> Slot {
        match &self.slots {
            Slots::Since(since) => since.get(place, nodes),
            Slots::Same(slot) => *slot,
            Slots::Coded { table, codes } => table[usize::from(codes[place])],
            Slots::Each(slots) => slots[place],
        }
    }

    /// Where a document stands. Of one that stands as it was told this is found sooner than its slot.
    pub(super) fn entry(&self, place: usize, nodes: &NodeTable) -> Entry {
        match &self.slots {
            Slots::Since(since) => since.entry(place, nodes),
            _ => nodes.entry(self.get(place, nodes)),
        }
    }

    fn is_open(&self, place: usize, nodes: &NodeTable) -> bool {
        match &self.slots {
            Slots::Since(since) => since.is_open(place),
            _ => self.get(place, nodes).outcome().is_none(),
        }
    }

    /// Takes in that a document is said to hold a slot, unless it has ended.
    pub(super) fn mark(&mut self, place: usize, epoch: Epoch, node: NodeIndex, nodes: &NodeTable) {
        if self.is_open(place, nodes) {
            self.marks.put(place, epoch, node, nodes);
        }
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(super) fn set(&mut self, place: usize, slot: Slot, nodes: &NodeTable) {
        let before = self.entry(place, nodes);
        if before == nodes.entry(slot) {
            return;
        }
        self.open -= u16::from(before.outcome().is_none());
        self.open += u16::from(slot.outcome().is_none());
        if slot.outcome().is_some() {
            self.marks.remove(place);
        }
        if let Slots::Since(since) = &mut self.slots
            && since.set(place, slot, nodes)
        {
            self.compact_if_ended(nodes);
            return;
        }
        if !matches!(self.slots, Slots::Each(_)) {
            self.slots = Slots::Each(self.iter(nodes).collect());
        }
        let Slots::Each(slots) = &mut self.slots else { unreachable!("made an array just now") };
        slots[place] = slot;
        self.compact_if_ended(nodes);
    }

    /// Ends a document under this epoch on this node, if that is whose it was from the first: the way of nearly all.
    pub(super) fn end_as_given(
        &mut self,
        place: usize,
        epoch: Epoch,
        node: NodeId,
        outcome: Outcome,
        nodes: &NodeTable,
    ) -> Ending {
        let Slots::Since(since) = &mut self.slots else { return Ending::Otherwise };
        let ending = since.end_as_given(place, epoch, node, outcome);
        if matches!(ending, Ending::Ended { .. }) {
            self.open -= 1;
            self.marks.remove(place);
            self.compact_if_ended(nodes);
        }
        ending
    }

    pub(super) fn iter<'a>(&'a self, nodes: &'a NodeTable) -> impl Iterator<Item = Slot> + 'a {
        // Each node of those that were told is looked up once.
        let told = if let Slots::Since(since) = &self.slots { since.told_slots(nodes) } else { Vec::new() };
        (0..self.documents()).map(move |place| match &self.slots {
            Slots::Since(since) => since.get_by(place, |code| told[code]),
            _ => self.get(place, nodes),
        })
    }

    /// Number of documents without an outcome.
    pub(super) fn open(&self) -> u16 {
        self.open
    }

    /// Whether a document may stand so, `None` being without outcome: told without a look at each.
    pub(super) fn may_have(&self, outcome: Option<Outcome>) -> bool {
        if outcome.is_none() || self.open == self.documents {
            return outcome.is_none() && self.open > 0;
        }
        match &self.slots {
            Slots::Same(slot) => slot.outcome() == outcome,
            Slots::Coded { table, .. } => table.iter().any(|slot| slot.outcome() == outcome),
            Slots::Since(_) | Slots::Each(_) => true,
        }
    }

    /// Length of a document; 0 once all documents of the segment have ended, when nobody needs it any more.
    pub(super) fn length(&self, place: usize) -> Length {
        self.lengths.get(place)
    }

    pub(super) fn lengths(&self) -> &Arc<Lengths> {
        &self.lengths
    }

    /// The first document that stands otherwise here than there, by two replicas with tables of their own.
    pub(super) fn difference(&self, nodes: &NodeTable, there: &Segment, nodes_there: &NodeTable) -> Option<usize> {
        if let (Slots::Since(here), Slots::Since(there)) = (&self.slots, &there.slots)
            && here.is_same(nodes, there, nodes_there)
        {
            return None;
        }
        let same = |place| nodes.entry(self.get(place, nodes)) == nodes_there.entry(there.get(place, nodes_there));
        (0..self.documents().max(there.documents()))
            .find(|place| self.documents() != there.documents() || !same(*place))
    }

    /// The first document without an outcome.
    pub(super) fn first_open(&self, nodes: &NodeTable) -> Option<usize> {
        match &self.slots {
            Slots::Since(since) => since.first_open(),
            _ => self.iter(nodes).position(|slot| slot.outcome().is_none()),
        }
    }

    fn compact_if_ended(&mut self, nodes: &NodeTable) {
        if self.open > 0 {
            return;
        }
        self.lengths = Arc::new(Lengths::Same { length: Length(0), count: u32::from(self.documents) });
        let compact = match &self.slots {
            Slots::Since(since) => since.codes(nodes),
            Slots::Each(slots) => codes(slots),
            Slots::Same(_) | Slots::Coded { .. } => return,
        };
        let Some((table, codes)) = compact else { return };
        self.slots = match table.as_slice() {
            [slot] => Slots::Same(*slot),
            _ => Slots::Coded { table: table.into(), codes: codes.into() },
        };
    }
}

/// The slots that differ, and of each document which it has; `None` if a byte cannot say it.
fn codes(slots: &[Slot]) -> Option<(Vec<Slot>, Vec<u8>)> {
    let mut table: Vec<Slot> = Vec::new();
    let mut codes = Vec::with_capacity(slots.len());
    for slot in slots {
        let code = table.iter().position(|known| known == slot).unwrap_or_else(|| {
            table.push(*slot);
            table.len() - 1
        });
        codes.push(u8::try_from(code).ok()?);
    }
    Some((table, codes))
}
