//! How the rows of holders are written: lists of nodes, and which documents of a segment have which list.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::ids::{NodeId, SEGMENT_DOCUMENTS};

use super::index::ListId;

/// Bytes of a bitmap with a bit for each document of a segment.
const BITMAP: usize = SEGMENT_DOCUMENTS as usize / 8;

/// Documents that are written one by one, two bytes each; more are written as a bitmap.
const SINGLY: usize = BITMAP / 2;

/// A list of nodes.
pub(super) fn nodes_to_bytes(nodes: &[NodeId]) -> Vec<u8> {
    nodes.iter().flat_map(|node| node.0).collect()
}

pub(super) fn nodes_from_bytes(bytes: &[u8]) -> Option<Arc<[NodeId]>> {
    let (nodes, []) = bytes.as_chunks::<16>() else { return None };
    Some(nodes.iter().map(|node| NodeId(*node)).collect())
}

/// For each list its number, how many documents have it, and these.
pub(super) fn held_to_bytes(row: &BTreeMap<ListId, Vec<u32>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (list, numbers) in row {
        let places = numbers.iter().map(|number| (number % SEGMENT_DOCUMENTS) as u16);
        bytes.extend_from_slice(&list.0.to_le_bytes());
        bytes.extend_from_slice(&(numbers.len() as u16).to_le_bytes());
        if numbers.len() < SINGLY {
            bytes.extend(places.flat_map(u16::to_le_bytes));
        } else {
            let mut bitmap = [0u8; BITMAP];
            places.for_each(|place| bitmap[place as usize / 8] |= 1 << (place % 8));
            bytes.extend_from_slice(&bitmap);
        }
    }
    bytes
}

/// The lists of such a row, and the places in the segment of the documents that have each.
pub(super) fn held_from_bytes(mut bytes: &[u8]) -> Option<Vec<(ListId, Vec<u32>)>> {
    let mut row = Vec::new();
    while !bytes.is_empty() {
        let (list, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        let (places, rest) = match count < SINGLY {
            true => {
                let (places, rest) = rest.split_at_checked(2 * count)?;
                let (places, _) = places.as_chunks::<2>();
                (places.iter().map(|place| u32::from(u16::from_le_bytes(*place))).collect(), rest)
            }
            false => {
                let (bitmap, rest) = rest.split_first_chunk::<BITMAP>()?;
                let set = |place: &u32| bitmap[*place as usize / 8] & 1 << (place % 8) != 0;
                ((0..SEGMENT_DOCUMENTS).filter(set).collect::<Vec<u32>>(), rest)
            }
        };
        let sound = places.len() == count && places.iter().all(|place| *place < SEGMENT_DOCUMENTS);
        sound.then_some(())?;
        row.push((ListId(u32::from_le_bytes(*list)), places));
        bytes = rest;
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let first = 3 * SEGMENT_DOCUMENTS;
        let numbers = |step: usize| -> Vec<u32> { (first..first + SEGMENT_DOCUMENTS).step_by(step).collect() };
        let rows = [
            BTreeMap::new(),
            BTreeMap::from([(ListId(0), numbers(1))]),
            BTreeMap::from([
                (ListId(0), numbers(2)),
                (ListId(7), vec![first + 1, first + 4095]),
                (ListId(9), numbers(1000)),
            ]),
            BTreeMap::from([(ListId(1), numbers(16)), (ListId(2), numbers(17))]),
        ];
        for row in rows {
            let bytes = held_to_bytes(&row);
            let expected: Vec<(ListId, Vec<u32>)> = row
                .iter()
                .map(|(list, numbers)| (*list, numbers.iter().map(|number| number - first).collect()))
                .collect();
            assert_eq!(held_from_bytes(&bytes), Some(expected));
            for cut in 1..bytes.len().min(7) {
                assert_ne!(held_from_bytes(&bytes[..cut]), held_from_bytes(&bytes));
            }
        }
        let nodes = [NodeId([1; 16]), NodeId([2; 16])];
        assert_eq!(nodes_from_bytes(&nodes_to_bytes(&nodes)).as_deref(), Some(nodes.as_slice()));
        assert_eq!(nodes_from_bytes(&[1; 17]), None);
    }
}
