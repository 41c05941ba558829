//! Where the documents of one segment stand, packed: the entries that differ, and a small code for each document.
//!
//! This is what a batch is first told with, and what each replica keeps of it, so it is made to be shared: one copy
//! serves the log, the state, and in a simulation every node. It travels as runs of documents that stand alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::{Entry, Status};
use crate::ids::{Epoch, NodeId, SEGMENT_DOCUMENTS};

/// Entries of consecutive documents, at most a segment's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Runs", try_from = "Runs")]
pub struct Entries {
    /// The entries that differ, in the order in which they first stand.
    table: Vec<Entry>,
    codes: Codes,
    /// Of each entry the number of documents that stand so.
    counts: Vec<u16>,
    /// Runs of documents that stand alike.
    runs: usize,
}

/// Of each document the place of its entry in the table: in a byte where that is enough, as it is in most clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Codes {
    Bytes(Box<[u8]>),
    Words(Box<[u16]>),
}

impl Default for Codes {
    fn default() -> Codes {
        Codes::Bytes(Box::default())
    }
}

impl Entries {
    /// Packs a list of entries.
    ///
    /// # Panics
    /// If there are more than a segment has documents.
    pub fn pack(entries: impl IntoIterator<Item = Entry>) -> Entries {
        let mut table: Vec<Entry> = Vec::new();
        let mut known: BTreeMap<(NodeId, Epoch, Status), u16> = BTreeMap::new();
        let mut codes: Vec<u16> = Vec::new();
        let mut counts: Vec<u16> = Vec::new();
        let mut runs = 0;
        for entry in entries {
            assert!(codes.len() < SEGMENT_DOCUMENTS as usize, "more entries than a segment has documents");
            let alike = codes.last().copied().filter(|code| table[usize::from(*code)] == entry);
            runs += usize::from(alike.is_none());
            let code = alike.unwrap_or_else(|| {
                *known.entry((entry.node, entry.epoch, entry.status)).or_insert_with(|| {
                    table.push(entry);
                    counts.push(0);
                    (table.len() - 1) as u16
                })
            });
            counts[usize::from(code)] += 1;
            codes.push(code);
        }
        let codes = if table.len() <= 1 << 8 {
            Codes::Bytes(codes.into_iter().map(|code| code as u8).collect())
        } else {
            Codes::Words(codes.into())
        };
        Entries { table, codes, counts, runs }
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        match &self.codes {
            Codes::Bytes(codes) => codes.len(),
            Codes::Words(codes) => codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries that differ, each with the number of documents that stand so.
    pub fn table(&self) -> impl ExactSizeIterator<Item = (Entry, u16)> + '_ {
        self.table.iter().copied().zip(self.counts.iter().copied())
    }

    /// Place, in the table, of the entry of the document at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`Entries::len`].
    pub fn code(&self, index: usize) -> usize {
        match &self.codes {
            Codes::Bytes(codes) => codes[index].into(),
            Codes::Words(codes) => codes[index].into(),
        }
    }

    /// Where the document at `index` stands.
    ///
    /// # Panics
    /// If `index` is not below [`Entries::len`].
    pub fn get(&self, index: usize) -> Entry {
        self.table[self.code(index)]
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Bytes on the wire, about.
    pub fn weight(&self) -> usize {
        self.table.len() * size_of::<NodeId>() + self.runs * size_of::<Run>()
    }
}

/// Consecutive documents that stand alike.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Run {
    /// How many documents.
    count: u16,
    /// Their epoch.
    epoch: Epoch,
    /// Index of their node in [`Runs::nodes`].
    node: u16,
    /// Where they stand.
    status: Status,
}

/// How entries travel: runs over a table of the nodes concerned.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Runs {
    nodes: Vec<NodeId>,
    runs: Vec<Run>,
}

impl From<Entries> for Runs {
    fn from(entries: Entries) -> Runs {
        let mut nodes = Vec::new();
        let mut known: BTreeMap<NodeId, u16> = BTreeMap::new();
        for entry in &entries.table {
            known.entry(entry.node).or_insert_with(|| {
                nodes.push(entry.node);
                (nodes.len() - 1) as u16
            });
        }
        let mut runs: Vec<Run> = Vec::with_capacity(entries.runs);
        let mut before = None;
        for code in (0..entries.len()).map(|index| entries.code(index)) {
            match runs.last_mut() {
                Some(run) if before == Some(code) => run.count += 1,
                _ => {
                    let Entry { epoch, node, status } = entries.table[code];
                    runs.push(Run { count: 1, epoch, node: known[&node], status });
                }
            }
            before = Some(code);
        }
        Runs { nodes, runs }
    }
}

/// Runs that no honest peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum InvalidRuns {
    /// One names a node that is not in the table.
    #[error("a run of documents names no node")]
    Nobody,
    /// Together they are more than a segment has.
    #[error("more documents than a segment has")]
    TooMany,
}

impl TryFrom<Runs> for Entries {
    type Error = InvalidRuns;

    fn try_from(Runs { nodes, runs }: Runs) -> Result<Entries, InvalidRuns> {
        if runs.iter().map(|run| usize::from(run.count)).sum::<usize>() > SEGMENT_DOCUMENTS as usize {
            return Err(InvalidRuns::TooMany);
        }
        if runs.iter().any(|run| usize::from(run.node) >= nodes.len()) {
            return Err(InvalidRuns::Nobody);
        }
        Ok(Entries::pack(runs.iter().flat_map(|run| {
            let entry = Entry { epoch: run.epoch, node: nodes[usize::from(run.node)], status: run.status };
            std::iter::repeat_n(entry, run.count.into())
        })))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::change::{Outcome, Title};

    fn entry() -> impl Strategy<Value = Entry> {
        let status = prop_oneof![
            Just(Status::Owned(Title::Given)),
            Just(Status::Owned(Title::Claimed)),
            Just(Status::Ended(Outcome::Done))
        ];
        (1u32..3, 0u16..400, status).prop_map(|(epoch, node, status)| {
            let mut id = [7; 16];
            id[..2].copy_from_slice(&node.to_le_bytes());
            Entry { epoch: Epoch(epoch), node: NodeId(id), status }
        })
    }

    proptest! {
        #[test]
        fn packed_entries_are_what_was_packed_here_and_there(
            runs in prop::collection::vec((entry(), 1usize..9), 0..450),
        ) {
            let entries: Vec<Entry> = runs.iter().flat_map(|(entry, count)| vec![*entry; *count]).collect();
            let packed = Entries::pack(entries.iter().copied());
            prop_assert_eq!(packed.len(), entries.len());
            prop_assert!(packed.iter().eq(entries.iter().copied()));
            let travelling = Runs::from(packed.clone());
            prop_assert_eq!(travelling.runs.len(), packed.runs);
            prop_assert_eq!(Entries::try_from(travelling), Ok(packed));
        }
    }

    #[test]
    fn runs_of_nobody_or_of_too_many_are_refused() {
        let run = |count, node| Run { count, epoch: Epoch(1), node, status: Status::Owned(Title::Given) };
        let read = |runs| Entries::try_from(Runs { nodes: vec![NodeId([1; 16])], runs });
        assert_eq!(read(vec![run(1, 0), run(1, 1)]), Err(InvalidRuns::Nobody));
        assert_eq!(read(vec![run(4_096, 0), run(1, 0)]), Err(InvalidRuns::TooMany));
        assert_eq!(read(vec![run(4_096, 0)]).map(|entries| entries.len()), Ok(4_096));
    }
}
