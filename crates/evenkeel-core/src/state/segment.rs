//! The documents of one segment: their lengths, and where each stands.
//!
//! Three forms, whichever is smallest: all alike, an array, or, once every document has ended, an array of codes into
//! a small table, one byte a document.

use std::sync::Arc;

use super::slot::Slot;
use crate::change::Lengths;
use crate::units::Length;

#[derive(Debug, Clone)]
enum Slots {
    Same(Slot),
    Each(Box<[Slot]>),
    Coded { table: Box<[Slot]>, codes: Box<[u8]> },
}

/// One segment as one replica knows it.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    lengths: Arc<Lengths>,
    slots: Slots,
    documents: u16,
    open: u16,
}

impl Segment {
    /// A segment whose documents stand as `slots` says.
    ///
    /// # Panics
    /// If there are more or fewer slots than lengths, or none: the caller has checked.
    pub(super) fn new(lengths: Arc<Lengths>, slots: Vec<Slot>) -> Segment {
        assert!(!slots.is_empty() && slots.len() == lengths.len(), "{} slots, {} lengths", slots.len(), lengths.len());
        let documents = slots.len() as u16;
        let open = slots.iter().filter(|slot| slot.outcome().is_none()).count() as u16;
        let same = slots.iter().all(|slot| *slot == slots[0]);
        let slots = if same { Slots::Same(slots[0]) } else { Slots::Each(slots.into()) };
        let mut segment = Segment { lengths, slots, documents, open };
        segment.compact_if_ended();
        segment
    }

    pub(super) fn documents(&self) -> usize {
        usize::from(self.documents)
    }

    pub(super) fn get(&self, place: usize) -> Slot {
        match &self.slots {
            Slots::Same(slot) => *slot,
            Slots::Each(slots) => slots[place],
            Slots::Coded { table, codes } => table[usize::from(codes[place])],
        }
    }

    pub(super) fn set(&mut self, place: usize, slot: Slot) {
        let before = self.get(place);
        if before == slot {
            return;
        }
        self.open -= u16::from(before.outcome().is_none());
        self.open += u16::from(slot.outcome().is_none());
        let documents = self.documents();
        if !matches!(self.slots, Slots::Each(_)) {
            self.slots = Slots::Each((0..documents).map(|place| self.get(place)).collect());
        }
        let Slots::Each(slots) = &mut self.slots else { unreachable!("made an array just now") };
        slots[place] = slot;
        self.compact_if_ended();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.documents()).map(|place| self.get(place))
    }

    /// Number of documents without an outcome.
    pub(super) fn open(&self) -> u16 {
        self.open
    }

    /// Length of a document; 0 once all documents of the segment have ended, when nobody needs it any more.
    pub(super) fn length(&self, place: usize) -> Length {
        self.lengths.get(place)
    }

    pub(super) fn lengths(&self) -> &Arc<Lengths> {
        &self.lengths
    }

    fn compact_if_ended(&mut self) {
        if self.open > 0 {
            return;
        }
        self.lengths = Arc::new(Lengths::Same { length: Length(0), count: u32::from(self.documents) });
        let Slots::Each(slots) = &self.slots else { return };
        let mut table: Vec<Slot> = Vec::new();
        let mut codes = Vec::with_capacity(slots.len());
        for slot in slots {
            let code = table.iter().position(|known| known == slot).unwrap_or_else(|| {
                table.push(*slot);
                table.len() - 1
            });
            let Ok(code) = u8::try_from(code) else { return };
            codes.push(code);
        }
        self.slots = match table.as_slice() {
            [slot] => Slots::Same(*slot),
            _ => Slots::Coded { table: table.into(), codes: codes.into() },
        };
    }
}
