//! How far a cluster is from equilibrium, exactly, and a certificate of what that is worth.
//!
//! The players are the documents; what each would lessen is the level of its node. The regret is the largest gain that
//! any document could have by moving alone; where it is 0 the allocation is a Nash equilibrium.
//!
//! The gain falls as the document gets longer, whatever the receiver, and a node that may run a document may run any
//! shorter one: so each node's shortest movable document has the largest gain of all that are there, and the view
//! holds all that is needed.

use super::guard::Guard;
use super::plan::{Row, levelling};
use super::standing::{Standing, below, mean_level, sane_fraction};
use crate::ids::NodeId;

/// A gain of this fraction of the mean level is worth a move of its own, less is not: where none has more, the cluster
/// is in equilibrium.
///
/// Half the default hysteresis. Pairs of nodes may differ by the hysteresis for ever; best responses to any regret
/// above this keep the highest level within 5 % of the mean as far as the shortest documents allow.
pub const EPSILON: f64 = 0.05;

/// How a cluster stands. All levels are in the unit of the nodes' levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equilibrium {
    /// The largest gain any document could have by moving alone.
    pub regret: f64,
    /// The highest level cannot be above this: mean + (n - 1) l / C + regret, where l is the shortest movable document
    /// of the highest node, and n and C count it and the nodes that may run that document. If nothing there can move,
    /// it is that level itself.
    pub certificate: f64,
    /// The highest level of the nodes that take documents.
    pub max_level: f64,
    /// The mean level.
    pub mean_level: f64,
    /// Whether no document would gain more than epsilon of the mean level, and none waits for a leaving node to hand
    /// it over.
    pub in_equilibrium: bool,
}

/// The largest gain that a document of `me` could have by moving alone, 0 if none has any.
pub fn regret(nodes: &[Standing], me: NodeId, guard: &Guard) -> f64 {
    nodes.iter().find(|node| node.node() == me).map_or(0.0, |node| regret_at(nodes, node, guard))
}

/// How the cluster stands. `epsilon` is the gain, as a fraction of the mean level, that is not worth a move: see
/// [`EPSILON`].
pub fn equilibrium(nodes: &[Standing], guard: &Guard, epsilon: f64) -> Equilibrium {
    let regret = nodes.iter().map(|node| regret_at(nodes, node, guard)).fold(0.0, f64::max);
    let highest = nodes.iter().filter(|node| node.takes()).max_by(|a, b| a.level().total_cmp(&b.level()));
    let mean_level = mean_level(nodes);
    let stranded = |node: &Standing| !node.takes() && node.shortest().is_some();
    Equilibrium {
        regret,
        certificate: highest.map_or(0.0, |highest| certificate(nodes, highest, regret, guard)),
        max_level: highest.map_or(0.0, Standing::level),
        mean_level,
        in_equilibrium: regret <= sane_fraction(epsilon) * mean_level
            && !(highest.is_some() && nodes.iter().any(stranded)),
    }
}

/// What a node should give that has nothing to give by the plan, although its shortest document would gain more than
/// `epsilon` of the mean level by moving.
///
/// The plan moves work from above the mean to below it. It does not see that a node below the mean can still unburden
/// itself on one lower yet, as when a third has one long document that fits nowhere. The row names the best place for
/// the shortest document, and the work that levels the two nodes, or that document's if it is more.
pub fn best_response(nodes: &[Standing], me: NodeId, guard: &Guard, epsilon: f64) -> Option<Row> {
    let mine = nodes.iter().find(|node| node.node() == me && node.takes())?;
    let shortest = mine.shortest()?;
    let to = best_place(nodes, mine, shortest, guard)?;
    let worthwhile = mine.level() - sane_fraction(epsilon) * mean_level(nodes);
    let row = Row { to: to.node(), amount: levelling(mine, to).max(shortest) };
    below(to.level_with(shortest), worthwhile).then_some(row)
}

/// The node on which a document would fare best, of those that may run it.
fn best_place<'a>(nodes: &'a [Standing], from: &Standing, length: f64, guard: &Guard) -> Option<&'a Standing> {
    nodes
        .iter()
        .filter(|node| node.takes() && node.node() != from.node() && guard.in_time(node.speed(), length))
        .min_by(|a, b| a.level_with(length).total_cmp(&b.level_with(length)).then(a.node().cmp(&b.node())))
}

/// Documents on a node that leaves are no players: they go, whatever they gain.
fn regret_at(nodes: &[Standing], node: &Standing, guard: &Guard) -> f64 {
    let Some(shortest) = node.shortest().filter(|_| node.takes()) else { return 0.0 };
    let best = best_place(nodes, node, shortest, guard).map(|place| place.level_with(shortest));
    best.map_or(0.0, |level| (node.level() - level).max(0.0))
}

/// Adds up, over all places j the document may go to, that moving there gains at most the regret:
/// `c_j * L <= W_j + l + c_j * regret`.
fn certificate(nodes: &[Standing], highest: &Standing, regret: f64, guard: &Guard) -> f64 {
    let Some(shortest) = highest.shortest() else { return highest.level() };
    let (mut work, mut capacity, mut places) = (highest.work(), highest.capacity(), 0.0);
    for node in nodes.iter().filter(|node| node.takes() && node.node() != highest.node()) {
        if guard.in_time(node.speed(), shortest) {
            work += node.work();
            capacity += node.capacity();
            places += 1.0;
        }
    }
    work / capacity + places * shortest / capacity + regret
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::guard::SlowRule;
    use super::super::plan::plan;
    use super::*;
    use crate::settings::Averaging;

    /// A cluster of nodes with these slots, speeds and documents.
    fn cluster(nodes: &[(u32, f64, Vec<u32>)]) -> Vec<Standing> {
        let node = |(id, (slots, speed, docs)): (u8, &(u32, f64, Vec<u32>))| {
            let work = docs.iter().map(|length| f64::from(*length)).sum();
            let shortest = docs.iter().min().map(|length| f64::from(*length));
            Standing::new(NodeId([id; 16]), work, *slots, *speed).with_shortest(shortest)
        };
        (0..).zip(nodes).map(node).collect()
    }

    fn guard(nodes: &[Standing]) -> Guard {
        Guard::new(SlowRule::default(), nodes)
    }

    #[test]
    fn level_nodes_are_in_equilibrium() {
        let nodes = cluster(&[(1, 1.0, vec![3, 2]), (1, 1.0, vec![5]), (2, 1.0, vec![4, 4, 2])]);
        let stands = equilibrium(&nodes, &guard(&nodes), EPSILON);
        assert_eq!((stands.regret, stands.max_level, stands.mean_level), (0.0, 5.0, 5.0));
        assert!(stands.in_equilibrium);
        // Mean 5, and the shortest document, 2, three nodes less one, over a capacity of 4.
        assert_eq!(stands.certificate, 5.0 + 2.0 * 2.0 / 4.0);
    }

    #[test]
    fn the_gain_left_is_that_of_the_shortest_document() {
        let nodes = cluster(&[(1, 1.0, vec![8, 2]), (1, 1.0, vec![])]);
        let stands = equilibrium(&nodes, &guard(&nodes), EPSILON);
        assert_eq!(stands.regret, 8.0);
        assert!(!stands.in_equilibrium);
        assert_eq!(best_response(&nodes, nodes[0].node(), &guard(&nodes), EPSILON).map(|row| row.amount), Some(5.0));
    }

    #[test]
    fn a_node_below_the_mean_has_a_best_response_that_the_plan_does_not_see() {
        let nodes = cluster(&[(1, 1.0, vec![100]), (1, 1.0, vec![3, 3, 3]), (1, 1.0, vec![])]);
        assert_eq!(plan(&nodes, nodes[1].node(), Averaging::Carry, 0.0), []);
        let row = best_response(&nodes, nodes[1].node(), &guard(&nodes), EPSILON);
        assert_eq!(row, Some(Row { to: nodes[2].node(), amount: 4.5 }));
    }

    #[test]
    fn documents_of_a_node_that_leaves_are_waiting_to_go() {
        let mut nodes = cluster(&[(1, 1.0, vec![5]), (1, 1.0, vec![5])]);
        nodes[0] = nodes[0].with_draining(true);
        let stands = equilibrium(&nodes, &guard(&nodes), EPSILON);
        assert!(!stands.in_equilibrium && stands.regret == 0.0);
        nodes[0] = nodes[0].with_shortest(None).with_work(0.0);
        assert!(equilibrium(&nodes, &guard(&nodes), EPSILON).in_equilibrium);
    }

    fn any_cluster() -> impl Strategy<Value = Vec<(u32, f64, Vec<u32>)>> {
        let speed = prop::sample::select(vec![0.1, 0.5, 1.0, 2.0]);
        prop::collection::vec((1u32..9, speed, prop::collection::vec(1u32..100, 0..8)), 1..9)
    }

    proptest! {
        #[test]
        fn regret_is_what_trying_every_move_finds(documents in any_cluster()) {
            let nodes = cluster(&documents);
            let guard = guard(&nodes);
            let mut worst: f64 = 0.0;
            for (i, (_, _, docs)) in documents.iter().enumerate() {
                for length in docs.iter().map(|length| f64::from(*length)) {
                    for j in (0..nodes.len()).filter(|j| *j != i && guard.in_time(nodes[*j].speed(), length)) {
                        let there = (nodes[j].work() + length) / nodes[j].capacity();
                        worst = worst.max(nodes[i].level() - there);
                    }
                }
            }
            let stands = equilibrium(&nodes, &guard, EPSILON);
            prop_assert!((stands.regret - worst).abs() <= 1e-9 * (1.0 + worst), "{} is not {}", stands.regret, worst);
            prop_assert!(stands.max_level <= stands.certificate * (1.0 + 1e-9));
            for node in &nodes {
                let gains = regret(&nodes, node.node(), &guard) > 1e-9;
                prop_assert_eq!(gains, best_response(&nodes, node.node(), &guard, 0.0).is_some());
            }
        }

        #[test]
        fn where_nobody_is_slow_the_certificate_is_the_documented_one(documents in any_cluster()) {
            let nodes = cluster(&documents);
            let all = Guard::new(SlowRule { slow: 0.0, horizon: 1.0 }, &nodes);
            let stands = equilibrium(&nodes, &all, EPSILON);
            let highest = nodes.iter().max_by(|a, b| a.level().total_cmp(&b.level())).expect("one node at least");
            if let Some(shortest) = highest.shortest() {
                let capacity: f64 = nodes.iter().map(Standing::capacity).sum();
                let bound = stands.mean_level + (nodes.len() - 1) as f64 * shortest / capacity + stands.regret;
                prop_assert!((stands.certificate - bound).abs() <= 1e-9 * bound);
            }
        }

        #[test]
        fn nonsense_is_judged_without_a_panic(
            nodes in prop::collection::vec(any::<(f64, u32, f64, bool, Option<f64>)>(), 0..6),
            least: f64,
        ) {
            let nodes: Vec<_> = (0..).zip(&nodes)
                .map(|(id, &(work, slots, speed, draining, shortest))| {
                    let node = Standing::new(NodeId([id; 16]), work, slots, speed);
                    node.with_draining(draining).with_shortest(shortest)
                })
                .collect();
            let stands = equilibrium(&nodes, &guard(&nodes), EPSILON);
            prop_assert!(stands.regret.is_finite() && stands.certificate.is_finite() && stands.max_level.is_finite());
            let _ = best_response(&nodes, NodeId([0; 16]), &guard(&nodes), least);
        }
    }
}
