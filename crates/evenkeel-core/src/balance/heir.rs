//! Weighted rendezvous: who inherits a document, and who holds a segment's payloads.
//!
//! Every node computes the same from the ids and static capacities of the live nodes alone, whatever it thinks of
//! their loads. When views differ by one node, only that node's share is in dispute.

use std::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{BatchId, DocId, NodeId, SegmentNumber};

/// Capacity of a node that has none. It holds something only where nobody has any.
const LEAST_CAPACITY: f64 = 1e-12;

/// What segment numbers begin at where document numbers end, so that a segment is never drawn like a document.
const SEGMENTS: u64 = 1 << 32;

/// The node that claims a dead owner's document: of these live nodes, with their static capacities, the one with the
/// greatest score. `None` if there are none.
pub fn heir(doc: DocId, nodes: &[(NodeId, f64)]) -> Option<NodeId> {
    let mut best: Option<(f64, NodeId)> = None;
    for &(node, capacity) in nodes {
        let candidate = Candidate::new(doc.batch, doc.number.0.into(), node, capacity);
        match best {
            // Most are seen to lose without a logarithm: a takeover asks for very many documents at once.
            Some((score, _)) if candidate.is_certainly_below(score) => {}
            _ => best = best.into_iter().chain([(candidate.score(), node)]).min_by(by_score),
        }
    }
    best.map(|(_, node)| node)
}

/// The nodes that keep a segment's payloads and results, best first: as many as `copies` says, or all if there are
/// fewer.
pub fn holders(batch: BatchId, segment: SegmentNumber, nodes: &[(NodeId, f64)], copies: usize) -> Vec<NodeId> {
    let number = SEGMENTS + u64::from(segment.0);
    let mut best: Vec<(f64, NodeId)> = Vec::new();
    for &(node, capacity) in nodes {
        let candidate = Candidate::new(batch, number, node, capacity);
        let full = best.len() == copies;
        // As with heirs, most are seen to lose without a logarithm: each result of each document has its holders.
        if full && best.last().is_none_or(|(score, _)| candidate.is_certainly_below(*score)) {
            continue;
        }
        let scored = (candidate.score(), node);
        let place = best.partition_point(|better| by_score(better, &scored).is_lt());
        best.insert(place, scored);
        best.truncate(copies);
    }
    best.into_iter().map(|(_, node)| node).collect()
}

/// Best first; the lower id where scores are equal.
fn by_score(a: &(f64, NodeId), b: &(f64, NodeId)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

struct Candidate {
    capacity: f64,
    /// In (0, 1), uniform.
    hash: f64,
}

impl Candidate {
    /// The hash is XXH3-64, seed 0, of 32 bytes: the 16 of the node id, then, as 8 little-endian bytes each, the batch
    /// id and the number, to which 2^32 is added if it is a segment's. All nodes of a cluster must agree on it.
    fn new(batch: BatchId, number: u64, node: NodeId, capacity: f64) -> Candidate {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&node.0);
        key[16..24].copy_from_slice(&batch.0.to_le_bytes());
        key[24..].copy_from_slice(&number.to_le_bytes());
        // 52 bits and a half: never 0, never 1.
        let hash = ((xxh3_64(&key) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        let capacity = if capacity > LEAST_CAPACITY { capacity.min(1e15) } else { LEAST_CAPACITY };
        Candidate { capacity, hash }
    }

    /// The greatest of n such scores is each node's with a chance in proportion to its capacity.
    fn score(&self) -> f64 {
        -self.capacity / libm::log(self.hash)
    }

    /// Whether the score is below this one, by `-ln(h) >= 1 - h`. The margin is far above the error of the logarithm,
    /// so that no outcome depends on the order in which nodes are looked at.
    fn is_certainly_below(&self, score: f64) -> bool {
        self.capacity < score * (1.0 - self.hash) * (1.0 - 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::DocNumber;

    fn doc(number: u32) -> DocId {
        DocId { batch: BatchId(0x0123_4567_89ab_cdef), number: DocNumber(number) }
    }

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    /// How many of 20,000 documents each node inherits.
    fn shares(nodes: &[(NodeId, f64)]) -> Vec<f64> {
        let mut shares = vec![0.0; nodes.len()];
        for number in 0..20_000 {
            let heir = heir(doc(number), nodes).expect("there are nodes");
            shares[nodes.iter().position(|(node, _)| *node == heir).expect("one of them")] += 1.0;
        }
        shares
    }

    #[test]
    fn shares_are_in_proportion_to_capacity() {
        let nodes = [(node(1), 4.0), (node(2), 10.0), (node(3), 10.0), (node(4), 16.0)];
        let chi_square: f64 = nodes
            .iter()
            .zip(shares(&nodes))
            .map(|((_, capacity), share)| (share, 20_000.0 * capacity / 40.0))
            .map(|(share, expected)| (share - expected) * (share - expected) / expected)
            .sum();
        // Three degrees of freedom: 16.3 is exceeded by chance once in a thousand.
        assert!(chi_square < 16.3, "{chi_square}");
    }

    proptest! {
        #[test]
        fn holders_are_the_first_in_the_order_of_scores(
            capacities in prop::collection::vec(prop_oneof![Just(0.0), 0.5..20.0f64], 0..40),
            (batch, segment, copies) in (any::<u64>(), any::<u32>(), 0usize..50),
        ) {
            let nodes: Vec<_> = (0..).map(node).zip(capacities).collect();
            let score = |(node, capacity): &(NodeId, f64)| {
                (Candidate::new(BatchId(batch), SEGMENTS + u64::from(segment), *node, *capacity).score(), *node)
            };
            let mut order: Vec<_> = nodes.iter().map(score).collect();
            order.sort_by(by_score);
            let first: Vec<NodeId> = order.into_iter().map(|(_, node)| node).take(copies).collect();
            prop_assert_eq!(holders(BatchId(batch), SegmentNumber(segment), &nodes, copies), first);
        }
    }

    #[test]
    fn a_joiner_changes_its_own_share_only() {
        let nodes: Vec<_> = (0..16).map(|n| (node(n), 1.0)).collect();
        let changed = (0..20_000).filter(|n| heir(doc(*n), &nodes[..15]) != heir(doc(*n), &nodes)).count();
        assert!((1_100..1_400).contains(&changed), "{changed} of 20,000 changed, a sixteenth is 1,250");
    }

    #[test]
    fn without_capacity_one_inherits_only_where_nobody_has_any() {
        assert_eq!(shares(&[(node(1), 1.0), (node(2), 0.0), (node(3), f64::NAN)]), [20_000.0, 0.0, 0.0]);
        let equal = shares(&[(node(1), 0.0), (node(2), -1.0)]);
        assert!(equal.iter().all(|share| (9_500.0..10_500.0).contains(share)), "{equal:?}");
        assert_eq!(heir(doc(0), &[]), None);
    }

    /// Nodes of different versions must name the same heir.
    #[test]
    fn heirs_are_these_for_ever() {
        let nodes: Vec<_> = (0..4).map(|n| (node(n), f64::from(n) + 1.0)).collect();
        let heirs: Vec<u8> = (0..12).filter_map(|n| heir(doc(n), &nodes)).map(|node| node.0[0]).collect();
        assert_eq!(heirs, [2, 2, 2, 3, 2, 3, 3, 3, 3, 1, 0, 2]);
        let held = holders(BatchId(7), SegmentNumber(3), &nodes, 2);
        assert_eq!(held, [node(2), node(3)]);
    }

    fn any_nodes() -> impl Strategy<Value = Vec<(NodeId, f64)>> {
        let capacity = prop_oneof![3 => (1u32..20).prop_map(f64::from), 1 => any::<f64>()];
        prop::collection::btree_map(any::<[u8; 16]>().prop_map(NodeId), capacity, 1..12)
            .prop_map(|nodes| nodes.into_iter().collect())
    }

    proptest! {
        #[test]
        fn equal_views_give_equal_heirs_in_any_order(
            (nodes, shuffled) in any_nodes().prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
            number: u32,
        ) {
            prop_assert_eq!(heir(doc(number), &nodes), heir(doc(number), &shuffled));
            let segment = SegmentNumber(number);
            prop_assert_eq!(holders(BatchId(1), segment, &nodes, 3), holders(BatchId(1), segment, &shuffled, 3));
        }

        #[test]
        fn the_heir_has_the_greatest_score(nodes in any_nodes(), number: u32) {
            let score = |&(node, capacity): &(NodeId, f64)| {
                Candidate::new(doc(number).batch, number.into(), node, capacity).score()
            };
            let best = nodes.iter().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.0.cmp(&a.0)));
            prop_assert_eq!(heir(doc(number), &nodes), best.map(|(node, _)| *node));
        }

        #[test]
        fn without_somebody_else_the_heir_is_the_same(nodes in any_nodes(), number: u32, gone: prop::sample::Index) {
            let before = heir(doc(number), &nodes);
            let (gone, _) = nodes[gone.index(nodes.len())];
            let left: Vec<_> = nodes.iter().copied().filter(|(node, _)| *node != gone).collect();
            if before != Some(gone) {
                prop_assert_eq!(heir(doc(number), &left), before);
            }
            let segment = SegmentNumber(number);
            let after = holders(BatchId(1), segment, &left, 2);
            let mut kept = holders(BatchId(1), segment, &nodes, 2);
            kept.retain(|node| *node != gone);
            prop_assert!(after.starts_with(&kept) && after.len() == left.len().min(2));
        }
    }
}
