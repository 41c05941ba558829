//! Where the documents of one segment are said to hold a slot. Advisory: of two marks the one of the higher epoch stands,
//! then that of the lower node, until the document ends.

use std::cmp::Reverse;

use super::slot::{NodeIndex, NodeTable};
use crate::ids::Epoch;

/// One mark, in eight bytes: at any time there is one for each document that runs, on every node.
#[derive(Debug, Clone, Copy)]
struct Mark {
    place: u16,
    node: NodeIndex,
    epoch: Epoch,
}

/// The marks of one segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    /// By place, in ascending order.
    marks: Vec<Mark>,
}

impl Marks {
    fn find(&self, place: usize) -> Result<usize, usize> {
        self.marks.binary_search_by_key(&(place as u16), |mark| mark.place)
    }

    pub(super) fn get(&self, place: usize) -> Option<(Epoch, NodeIndex)> {
        let mark = self.marks[self.find(place).ok()?];
        Some((mark.epoch, mark.node))
    }

    /// Joins a mark with what is there.
    pub(super) fn put(&mut self, place: usize, epoch: Epoch, node: NodeIndex, nodes: &NodeTable) {
        let rank = |epoch: Epoch, node: NodeIndex| (epoch, Reverse(nodes.id(node)));
        let mark = Mark { place: place as u16, node, epoch };
        match self.find(place) {
            Ok(at) if rank(self.marks[at].epoch, self.marks[at].node) < rank(epoch, node) => self.marks[at] = mark,
            Ok(_) => {}
            Err(at) => self.marks.insert(at, mark),
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Ok(at) = self.find(place) {
            self.marks.remove(at);
        }
        if self.marks.is_empty() {
            self.marks = Vec::new();
        }
    }

    /// Each place with its mark, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Epoch, NodeIndex)> + '_ {
        self.marks.iter().map(|mark| (mark.place.into(), mark.epoch, mark.node))
    }
}
