//! Tests of the first spread.

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;

fn node(id: u8, work: f64, slots: u32, speed: f64) -> Standing {
    Standing::new(NodeId([id; 16]), work, slots, speed)
}

fn equal_nodes(count: u8) -> Vec<Standing> {
    (0..count).map(|id| node(id, 0.0, 10, 1.0)).collect()
}

fn lengths(lengths: &[u64]) -> Vec<Length> {
    lengths.iter().copied().map(Length).collect()
}

fn lpt(batch: &[Length], nodes: &[Standing]) -> Vec<u16> {
    allocate(Allocate::Lpt, Metric::Length, SlowRule::default(), batch, nodes)
}

/// Number of documents of each node.
fn counts(placed: &[u16], nodes: usize) -> Vec<usize> {
    (0..nodes).map(|node| placed.iter().filter(|place| usize::from(**place) == node).count()).collect()
}

/// Number of runs of consecutive documents on one node.
fn runs(placed: &[u16]) -> usize {
    placed.chunk_by(|a, b| a == b).count()
}

/// Level of each node with what it has been given.
fn levels(placed: &[u16], batch: &[Length], nodes: &[Standing]) -> Vec<f64> {
    let mut work: Vec<f64> = nodes.iter().map(Standing::work).collect();
    placed.iter().zip(batch).for_each(|(place, length)| work[usize::from(*place)] += weigh(Metric::Length, *length));
    nodes.iter().zip(work).map(|(node, work)| work / node.capacity()).collect()
}

fn highest_over_mean(placed: &[u16], batch: &[Length], nodes: &[Standing]) -> f64 {
    let total: f64 = batch.iter().map(|length| weigh(Metric::Length, *length)).sum();
    let capacity: f64 = nodes.iter().map(Standing::capacity).sum();
    levels(placed, batch, nodes).into_iter().fold(0.0, f64::max) / (mean_level(nodes) + total / capacity)
}

/// Seeded Pareto lengths.
fn pareto(count: u64, alpha: f64) -> Vec<Length> {
    let uniform = |n: u64| ((xxh3_64(&n.to_le_bytes()) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    (0..count).map(|n| Length((1000.0 * libm::pow(uniform(n), -1.0 / alpha)) as u64)).collect()
}

#[test]
fn longest_first_to_the_lowest() {
    // 7 6 5 4 3 on two nodes: 7 | 6 5, 7 4 3.
    let batch = lengths(&[3, 4, 5, 6, 7]);
    let nodes = [node(0, 0.0, 1, 1.0), node(1, 0.0, 1, 1.0)];
    assert_eq!(lpt(&batch, &nodes), [0, 0, 1, 1, 0]);
}

#[test]
fn what_nodes_have_counts() {
    let nodes = [node(0, 60.0, 1, 1.0), node(1, 0.0, 1, 1.0), node(2, 0.0, 2, 1.0)];
    let placed = lpt(&lengths(&[1; 180]), &nodes);
    assert_eq!(counts(&placed, 3), [0, 60, 120]);
}

#[test]
fn equal_documents_are_given_as_ranges() {
    let nodes = [node(3, 0.0, 4, 1.0), node(1, 0.0, 10, 1.0), node(2, 0.0, 10, 1.0), node(0, 0.0, 16, 1.0)];
    let placed = lpt(&lengths(&[1; 100_000]), &nodes);
    assert_eq!(counts(&placed, 4), [10_000, 25_000, 25_000, 40_000]);
    assert_eq!(runs(&placed), 4);
}

#[test]
fn ties_go_to_the_lower_id_however_the_view_is_ordered() {
    let (a, b) = (node(1, 0.0, 1, 1.0), node(2, 0.0, 1, 1.0));
    assert_eq!(lpt(&lengths(&[5, 5, 5]), &[a, b]), [0, 0, 1]);
    assert_eq!(lpt(&lengths(&[5, 5, 5]), &[b, a]), [1, 1, 0]);
}

#[test]
fn a_million_uneven_documents_are_level_and_cheap_to_tell() {
    let batch = pareto(1_000_000, 1.5);
    let nodes = [node(0, 0.0, 4, 1.0), node(1, 0.0, 10, 1.0), node(2, 0.0, 10, 1.0), node(3, 0.0, 16, 1.0)];
    let placed = lpt(&batch, &nodes);
    assert!(highest_over_mean(&placed, &batch, &nodes) < 1.001);
    assert!(runs(&placed) < 20_000, "{} runs", runs(&placed));
}

#[test]
fn two_thousand_documents_are_level() {
    for alpha in [1.1, 1.5, 3.0] {
        let batch = pareto(2_000, alpha);
        let total: u64 = batch.iter().map(|length| length.0).sum();
        let longest = batch.iter().map(|length| length.0).max().unwrap_or(0);
        let nodes = equal_nodes(4);
        let over = highest_over_mean(&lpt(&batch, &nodes), &batch, &nodes);
        let fits = longest * 4 < total;
        assert!(!fits || over < 1.001, "alpha {alpha}: {over}");
    }
}

#[test]
fn uniform_is_by_count_whatever_the_nodes() {
    let nodes = [node(0, 1e6, 1, 1.0), node(1, 0.0, 10, 2.0), node(2, 0.0, 16, 0.1)];
    let placed = allocate(Allocate::Uniform, Metric::Length, SlowRule::default(), &pareto(100, 1.1), &nodes);
    assert_eq!(counts(&placed, 3), [34, 33, 33]);
    assert_eq!(runs(&placed), 3);
}

#[test]
fn pareto_levels_the_heaviest_fifth_and_counts_the_rest() {
    let nodes = [node(0, 0.0, 10, 1.0), node(1, 0.0, 30, 1.0)];
    let batch = lengths(&[&[100; 20][..], &[1; 80]].concat());
    let placed = allocate(Allocate::Pareto, Metric::Length, SlowRule::default(), &batch, &nodes);
    assert_eq!(counts(&placed[..20], 2), [5, 15]);
    assert_eq!(counts(&placed[20..], 2), [20, 60]);
}

#[test]
fn by_count_lengths_do_not_matter() {
    let placed = allocate(Allocate::Lpt, Metric::Count, SlowRule::default(), &pareto(400, 1.1), &equal_nodes(4));
    assert_eq!(counts(&placed, 4), [100; 4]);
    assert_eq!(runs(&placed), 4);
}

#[test]
fn a_slow_node_gets_no_document_that_it_cannot_end_in_time() {
    let nodes = [node(0, 0.0, 4, 1.0), node(1, 0.0, 40, 0.1), node(2, 0.0, 4, 1.0)];
    let batch = lengths(&[&[600; 10][..], &[30; 100], &[1; 3000]].concat());
    let placed = lpt(&batch, &nodes);
    // Drain time (6000 + 3000 + 3000) / 12 = 1000: the slow one may take what is at most 70 long.
    assert_eq!(counts(&placed[..10], 3)[1], 0);
    assert!(counts(&placed[10..], 3)[1] > 100);
    assert!(highest_over_mean(&placed, &batch, &nodes) < 1.3);
}

#[test]
fn whoever_leaves_gets_nothing_unless_all_do() {
    let mut nodes = equal_nodes(3);
    nodes[1] = nodes[1].with_draining(true);
    for kind in [Allocate::Lpt, Allocate::Uniform, Allocate::Pareto] {
        let placed = allocate(kind, Metric::Length, SlowRule::default(), &pareto(300, 2.0), &nodes);
        assert_eq!(counts(&placed, 3)[1], 0);
    }
    let leaving: Vec<_> = nodes.iter().map(|node| node.with_draining(true)).collect();
    assert_eq!(counts(&lpt(&lengths(&[1; 30]), &leaving), 3), [10; 3]);
}

#[test]
fn no_nodes_no_allocation() {
    assert_eq!(lpt(&lengths(&[1, 2]), &[]), [0u16; 0]);
    assert_eq!(lpt(&[], &equal_nodes(2)), [0u16; 0]);
    assert_eq!(lpt(&lengths(&[4, 9]), &[node(1, 5.0, 0, 1.0)]), [0, 0]);
}

/// LPT by the book: the level of each node after it.
fn by_the_book(batch: &[Length], nodes: &[Standing]) -> Vec<f64> {
    let mut order = batch.to_vec();
    order.sort_by_key(|length| Reverse(*length));
    let mut work: Vec<f64> = nodes.iter().map(Standing::work).collect();
    for length in order {
        let weight = weigh(Metric::Length, length);
        let after = |at: &usize| ((work[*at] + weight) / nodes[*at].capacity(), nodes[*at].node());
        let lowest = (0..nodes.len()).min_by(|a, b| after(a).partial_cmp(&after(b)).expect("finite"));
        work[lowest.expect("one node at least")] += weight;
    }
    nodes.iter().zip(work).map(|(node, work)| work / node.capacity()).collect()
}

proptest! {
    #[test]
    fn it_is_lpt_by_the_book_where_no_document_is_too_short_to_matter(
        cluster in prop::collection::vec((0u32..100, 1u32..8), 1..8),
        batch in prop::collection::vec(5u64..12, 0..60),
    ) {
        // All weights, and hence all works, are whole numbers: levels are equal or clearly different.
        let nodes: Vec<_> = (0..).zip(&cluster).map(|(id, &(work, slots))| node(id, work.into(), slots, 1.0)).collect();
        let batch = lengths(&batch);
        prop_assert_eq!(levels(&lpt(&batch, &nodes), &batch, &nodes), by_the_book(&batch, &nodes));
    }

    #[test]
    fn the_highest_is_above_the_mean_by_one_document_at_most(
        cluster in prop::collection::vec((1u32..8, 0.8..1.0f64), 1..8),
        batch in prop::collection::vec(prop_oneof![1u64..10, 100u64..1000], 1..500),
    ) {
        let nodes: Vec<_> = (0..).zip(&cluster).map(|(id, &(slots, speed))| node(id, 0.0, slots, speed)).collect();
        let batch = lengths(&batch);
        let levels = levels(&lpt(&batch, &nodes), &batch, &nodes);
        let total: f64 = batch.iter().map(|length| length.as_f64()).sum();
        let longest = batch.iter().map(|length| length.as_f64()).fold(0.0, f64::max);
        let capacity: f64 = nodes.iter().map(Standing::capacity).sum();
        let bound = total / capacity + nodes.len() as f64 * longest / capacity;
        prop_assert!(levels.iter().all(|level| *level <= bound * (1.0 + 1e-9)), "{:?} above {}", levels, bound);
    }

    #[test]
    fn uniform_is_exact_to_one(count in 0usize..1000, nodes in 1u8..20) {
        let batch = vec![Length(9); count];
        let placed = allocate(Allocate::Uniform, Metric::Length, SlowRule::default(), &batch, &equal_nodes(nodes));
        let each = count / usize::from(nodes);
        prop_assert_eq!(placed.len(), count);
        prop_assert!(counts(&placed, nodes.into()).iter().all(|count| *count == each || *count == each + 1));
    }

    #[test]
    fn nonsense_is_allocated_without_a_panic(
        nodes in prop::collection::vec((any::<f64>(), any::<u32>(), any::<f64>(), any::<bool>()), 1..8),
        batch in prop::collection::vec(any::<u64>(), 0..40),
        kind in prop::sample::select(vec![Allocate::Lpt, Allocate::Uniform, Allocate::Pareto]),
        metric in prop::sample::select(vec![Metric::Length, Metric::Count]),
        (slow, horizon) in any::<(f64, f64)>(),
    ) {
        let nodes: Vec<_> = (0..).zip(&nodes)
            .map(|(id, &(work, slots, speed, draining))| node(id, work, slots, speed).with_draining(draining))
            .collect();
        let placed = allocate(kind, metric, SlowRule { slow, horizon }, &lengths(&batch), &nodes);
        prop_assert_eq!(placed.len(), batch.len());
        let anybody = !nodes.iter().any(Standing::takes);
        let allowed = |place: &u16| nodes.get(usize::from(*place)).is_some_and(|node| node.takes() || anybody);
        prop_assert!(placed.iter().all(allowed));
    }
}
