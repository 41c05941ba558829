//! Averaging: to whom a node should give how much, by its view.
//!
//! Every node computes the whole plan and acts on its own rows only. Views differ, so plans do: the handshake of
//! [`grant()`](super::grant()) makes up for it.

use super::standing::{Standing, mean_level, sane_fraction, unless_rounding};
use crate::ids::NodeId;
use crate::settings::Averaging;

/// So much work should go to this node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The receiver.
    pub to: NodeId,
    /// How much work.
    pub amount: f64,
}

/// What `me` should give to whom. Only pairs in which `me` is the higher one, by at least `hysteresis` of the mean
/// level.
///
/// A draining node is given nothing, and gives all it has: by the carried plan in either mode, since half of a
/// difference would never empty it. `me` must be among the nodes to have any rows.
pub fn plan(nodes: &[Standing], me: NodeId, averaging: Averaging, hysteresis: f64) -> Vec<Row> {
    let Some(mine) = nodes.iter().find(|node| node.node() == me) else { return Vec::new() };
    let mean = mean_level(nodes);
    let worthwhile = sane_fraction(hysteresis) * mean;
    let pairs = match averaging {
        Averaging::Halves if mine.takes() => halves(nodes, me),
        _ => carry(nodes, me, mean),
    };
    let kept = pairs.into_iter().filter(|(to, _)| mine.level_to_leave() - to.level() >= worthwhile);
    kept.map(|(to, amount)| Row { to: to.node(), amount }).collect()
}

/// Lowest first; those that take nothing stand above all others.
fn ascending<'a>(nodes: impl Iterator<Item = &'a Standing>) -> Vec<&'a Standing> {
    let mut order: Vec<_> = nodes.collect();
    order.sort_by(|a, b| a.level_to_leave().total_cmp(&b.level_to_leave()).then(a.node().cmp(&b.node())));
    order
}

/// Pairs lowest with highest, and carries what is left of the larger to the next extreme: every unit of work moves
/// once.
fn carry(nodes: &[Standing], me: NodeId, mean: f64) -> Vec<(&Standing, f64)> {
    let order = ascending(nodes.iter());
    let surplus = |place: usize| {
        let node = order[place];
        let share = if node.takes() { mean * node.capacity() } else { 0.0 };
        unless_rounding(node.work() - share, share)
    };
    let mut pairs = Vec::new();
    let (mut low, mut high) = (0, order.len() - 1);
    let (mut lacks, mut excess) = (-surplus(low), surplus(high));
    while low < high {
        if excess <= 0.0 {
            high -= 1;
            excess = surplus(high);
            if excess <= 0.0 {
                break;
            }
        } else if lacks <= 0.0 {
            low += 1;
            lacks = -surplus(low);
            if lacks <= 0.0 {
                break;
            }
        } else {
            let amount = excess.min(lacks);
            if order[high].node() == me {
                pairs.push((order[low], amount));
            }
            excess -= amount;
            lacks -= amount;
        }
    }
    pairs
}

/// The white paper's: lowest with highest, second with second, each pair levelled. With equal capacities that is half
/// the difference of their work.
fn halves(nodes: &[Standing], me: NodeId) -> Vec<(&Standing, f64)> {
    let order = ascending(nodes.iter().filter(|node| node.takes()));
    let Some(high) = order.iter().position(|node| node.node() == me) else { return Vec::new() };
    let low = order.len() - 1 - high;
    if low >= high {
        return Vec::new();
    }
    let amount = levelling(order[high], order[low]);
    if amount > 0.0 { vec![(order[low], amount)] } else { Vec::new() }
}

/// The work whose move from the higher to the lower brings both to one level.
pub(super) fn levelling(high: &Standing, low: &Standing) -> f64 {
    let (a, b) = (high.capacity(), low.capacity());
    unless_rounding((high.level() - low.level()) * (a * b / (a + b)), high.work()).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: usize) -> NodeId {
        NodeId((n as u128).to_be_bytes())
    }

    fn nodes(work_and_slots: &[(f64, u32)]) -> Vec<Standing> {
        work_and_slots.iter().enumerate().map(|(n, &(work, slots))| Standing::new(id(n), work, slots, 1.0)).collect()
    }

    fn rows(nodes: &[Standing], me: usize, averaging: Averaging) -> Vec<(usize, f64)> {
        let place = |row: &Row| nodes.iter().position(|node| node.node() == row.to).expect("a node of the plan");
        plan(nodes, id(me), averaging, 0.1).iter().map(|row| (place(row), row.amount)).collect()
    }

    #[test]
    fn the_white_papers_example() {
        let nodes = nodes(&[(100.0, 10), (150.0, 10), (175.0, 10), (200.0, 10)]);
        assert_eq!(rows(&nodes, 3, Averaging::Halves), [(0, 50.0)]);
        assert_eq!(rows(&nodes, 2, Averaging::Halves), [(1, 12.5)]);
        assert_eq!(rows(&nodes, 1, Averaging::Halves), []);
        assert_eq!(rows(&nodes, 0, Averaging::Halves), []);
    }

    #[test]
    fn carrying_levels_everything_at_once() {
        let nodes = nodes(&[(0.0, 10), (100.0, 10), (300.0, 10), (400.0, 10)]);
        assert_eq!(rows(&nodes, 3, Averaging::Carry), [(0, 200.0)]);
        assert_eq!(rows(&nodes, 2, Averaging::Carry), [(1, 100.0)]);
    }

    #[test]
    fn one_hot_node_fills_all_others() {
        let nodes = nodes(&[(60.0, 1), (0.0, 1), (0.0, 2), (0.0, 2)]);
        assert_eq!(rows(&nodes, 0, Averaging::Carry), [(1, 10.0), (2, 20.0), (3, 20.0)]);
        assert_eq!(rows(&nodes, 0, Averaging::Halves), [(1, 30.0)]);
    }

    #[test]
    fn a_small_difference_is_left_alone() {
        assert_eq!(rows(&nodes(&[(95.0, 1), (104.0, 1)]), 1, Averaging::Carry), []);
        assert_eq!(rows(&nodes(&[(95.0, 1), (106.0, 1)]), 1, Averaging::Carry), [(0, 5.5)]);
    }

    #[test]
    fn a_joiner_is_filled_although_each_donor_has_little_to_spare() {
        let mut cluster = vec![(100.0, 4); 63];
        cluster.push((0.0, 4));
        let nodes = nodes(&cluster);
        let given: f64 = (0..63).flat_map(|me| rows(&nodes, me, Averaging::Carry)).map(|(_, amount)| amount).sum();
        assert!((given - 100.0 * 63.0 / 64.0).abs() < 1e-9, "{given}");
    }

    #[test]
    fn whoever_leaves_gives_all_and_is_given_nothing() {
        for averaging in [Averaging::Carry, Averaging::Halves] {
            let mut nodes = nodes(&[(0.0, 10), (50.0, 10), (40.0, 10)]);
            nodes[2] = nodes[2].with_draining(true);
            assert_eq!(rows(&nodes, 2, averaging), [(0, 40.0)]);
            nodes[0] = nodes[0].with_draining(true);
            assert_eq!(rows(&nodes, 1, averaging), []);
            nodes[1] = nodes[1].with_draining(true);
            assert_eq!(rows(&nodes, 2, averaging), [], "nobody takes anything");
        }
    }

    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![4 => 0.0..1e6, 1 => any::<f64>()]
    }

    proptest! {
        #[test]
        fn all_rows_together_level_the_cluster(
            cluster in prop::collection::vec((0.0..1e6, 1u32..20, 0.1..10.0f64, prop::bool::weighted(0.1)), 1..40),
        ) {
            let nodes: Vec<_> = cluster.iter().enumerate()
                .map(|(n, &(work, slots, speed, out))| Standing::new(id(n), work, slots, speed).with_draining(out))
                .collect();
            prop_assume!(nodes.iter().any(Standing::takes));
            let mut after: Vec<f64> = nodes.iter().map(Standing::work).collect();
            for (n, node) in nodes.iter().enumerate() {
                for row in plan(&nodes, node.node(), Averaging::Carry, 0.0) {
                    let to = nodes.iter().position(|node| node.node() == row.to).expect("a node of the plan");
                    prop_assert!(nodes[to].takes() && row.amount > 0.0);
                    after[n] -= row.amount;
                    after[to] += row.amount;
                }
            }
            let mean = mean_level(&nodes);
            for (node, work) in nodes.iter().zip(after) {
                let share = if node.takes() { mean * node.capacity() } else { 0.0 };
                prop_assert!((work - share).abs() <= 1e-6 * (1.0 + mean * 200.0), "{} is not {}", work, share);
            }
        }

        #[test]
        fn nonsense_gives_a_plan_that_conserves_work(
            cluster in prop::collection::vec((any_number(), 0u32.., any_number(), any::<bool>(), 0usize..6), 0..8),
            hysteresis in any::<f64>(),
            me in 0usize..8,
        ) {
            let nodes: Vec<_> = cluster.iter()
                .map(|&(work, slots, speed, leaves, n)| Standing::new(id(n), work, slots, speed).with_draining(leaves))
                .collect();
            for averaging in [Averaging::Carry, Averaging::Halves] {
                let rows = plan(&nodes, id(me), averaging, hysteresis);
                prop_assert!(rows.iter().all(|row| row.amount > 0.0 && row.amount.is_finite()));
                let given: f64 = rows.iter().map(|row| row.amount).sum();
                let had: f64 = nodes.iter().filter(|node| node.node() == id(me)).map(Standing::work).sum();
                prop_assert!(given <= had * (1.0 + 1e-9));
            }
        }
    }
}
