//! The donor's half of averaging: which documents go into which row of its plan. The largest that fit.
//!
//! It sees one weight at a time, heaviest first, and never the queue that they come from.

use super::grant::{Terms, grant};
use super::guard::Guard;
use super::plan::Row;
use super::standing::{Standing, below, mean_level, sane_work};
use crate::ids::NodeId;

/// Documents for one receiver: an offer in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel<D> {
    /// The receiver.
    pub to: NodeId,
    /// What the offer has to say beside the documents.
    pub terms: Terms,
    /// The documents, heaviest first. Never empty.
    pub docs: Vec<D>,
    /// What they weigh together.
    pub work: f64,
}

/// Packs documents into the rows of a plan.
///
/// Show it documents heaviest first with [`place`](Packing::place), skipping those above its
/// [`limit`](Packing::limit), until there is none; then take the [`parcels`](Packing::parcels).
#[derive(Debug, Clone)]
pub struct Packing<D> {
    donor: Standing,
    mean: f64,
    guard: Guard,
    rows: Vec<Open<D>>,
    /// The donor's work less what is packed.
    work: f64,
    /// What may still be packed, in all rows together.
    left: f64,
}

#[derive(Debug, Clone)]
struct Open<D> {
    /// The receiver, its work with what is packed for it.
    receiver: Standing,
    /// What may still be packed by the plan; negative once overfull.
    left: f64,
    docs: Vec<(D, f64)>,
}

impl<D> Packing<D> {
    /// Begins with nothing packed. Without effect are rows whose receiver is not among the nodes, and all of them if
    /// the donor is not.
    pub fn new(nodes: &[Standing], donor: NodeId, rows: &[Row], guard: &Guard) -> Packing<D> {
        let find = |id: NodeId| nodes.iter().find(|node| node.node() == id).copied();
        let (donor, rows) = match find(donor) {
            Some(donor) => (donor, rows),
            None => (Standing::new(donor, 0.0, 0, 1.0), [].as_slice()),
        };
        let open = |row: &Row| Some(Open { receiver: find(row.to)?, left: sane_work(row.amount), docs: Vec::new() });
        let rows: Vec<_> = rows.iter().filter_map(open).collect();
        let left = rows.iter().map(|row| row.left).sum();
        Packing { donor, mean: mean_level(nodes), guard: *guard, rows, work: donor.work(), left }
    }

    /// The greatest weight that might still fit; `None` once nothing does.
    pub fn limit(&self) -> Option<f64> {
        let widest = self.rows.iter().map(|row| row.left).max_by(f64::total_cmp)?;
        let limit = self.left.min(2.0 * widest);
        (limit > 0.0).then_some(limit)
    }

    /// Packs the document if it fits: into the row with most left of those that may run it, overfilling that by at
    /// most half the document, and only if it is better off there. Whether it did.
    pub fn place(&mut self, doc: D, weight: f64) -> bool {
        let weight = sane_work(weight);
        let guard = self.guard;
        let runs = |row: &&mut Open<D>| row.receiver.takes() && guard.in_time(row.receiver.speed(), weight);
        let widest = self.rows.iter_mut().filter(runs).max_by(|a, b| a.left.total_cmp(&b.left));
        let Some(row) = widest else { return false };
        let better = below(row.receiver.level_with(weight), self.donor.with_work(self.work).level());
        let fits = weight <= self.left && weight <= 2.0 * row.left && better;
        if fits {
            row.docs.push((doc, weight));
            row.receiver = row.receiver.with_work(row.receiver.work() + weight);
            row.left -= weight;
            self.left -= weight;
            self.work -= weight;
        }
        fits
    }

    /// The offers to make: of what is packed, what the receivers will grant if the view is true. What they would
    /// refuse is left out, or the same offer would be made and refused for ever.
    pub fn parcels(self) -> Vec<Parcel<D>> {
        let Packing { donor, mean, guard, rows, work, .. } = self;
        // Each offer is judged as if all others had been granted. With less granted the donor stands higher, and its
        // documents gain the more.
        let terms =
            |others: f64| Terms { work: donor.work() - others, capacity: donor.capacity(), mean, export: false };
        let packed = donor.work() - work;
        let mut parcels = Vec::new();
        for Open { receiver, docs, .. } in rows {
            let weights: Vec<f64> = docs.iter().map(|(_, weight)| *weight).collect();
            let own: f64 = weights.iter().sum();
            let before = receiver.with_work(receiver.work() - own);
            let granted = grant(&terms(packed - own), &before, &guard, &weights);
            let work = granted.iter().map(|place| weights[*place]).sum();
            let docs = docs.into_iter().enumerate().filter(|(place, _)| granted.binary_search(place).is_ok());
            let docs: Vec<D> = docs.map(|(_, (doc, _))| doc).collect();
            if !docs.is_empty() {
                parcels.push(Parcel { to: receiver.node(), terms: terms(0.0), docs, work });
            }
        }
        let offered: f64 = parcels.iter().map(|parcel| parcel.work).sum();
        for parcel in &mut parcels {
            parcel.terms = terms(offered - parcel.work);
        }
        parcels
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::guard::SlowRule;
    use super::super::plan::plan;
    use super::*;
    use crate::settings::Averaging;

    fn node(id: u8, work: f64, slots: u32, speed: f64) -> Standing {
        Standing::new(NodeId([id; 16]), work, slots, speed)
    }

    /// Parcels of the first node, by its plan.
    fn parcels(nodes: &[Standing], lengths: &[f64]) -> Vec<(u8, Vec<f64>)> {
        let me = nodes[0].node();
        let rows = plan(nodes, me, Averaging::Carry, 0.1);
        let mut packing = Packing::new(nodes, me, &rows, &Guard::new(SlowRule::default(), nodes));
        for length in lengths {
            packing.place(*length, *length);
        }
        packing.parcels().into_iter().map(|parcel| (parcel.to.0[0], parcel.docs)).collect()
    }

    #[test]
    fn the_largest_that_fit_go_first() {
        let nodes = [node(1, 20.0, 1, 1.0), node(2, 0.0, 1, 1.0)];
        // 10 may go: 12 is more than that, 7 goes, 3 fills it up.
        assert_eq!(parcels(&nodes, &[12.0, 7.0, 4.0, 3.0, 2.0]), [(2, vec![7.0, 3.0])]);
    }

    #[test]
    fn rows_are_filled_side_by_side() {
        let nodes = [node(1, 90.0, 1, 1.0), node(2, 0.0, 1, 1.0), node(3, 0.0, 1, 1.0)];
        let parcels = parcels(&nodes, &[20.0, 20.0, 10.0, 10.0, 10.0, 10.0, 10.0]);
        assert_eq!(parcels, [(2, vec![20.0, 10.0]), (3, vec![20.0, 10.0])]);
    }

    #[test]
    fn long_documents_are_not_packed_for_slow_nodes() {
        let nodes = [node(1, 100.0, 4, 1.0), node(2, 0.0, 4, 0.1), node(3, 0.0, 4, 1.0)];
        for (to, docs) in parcels(&nodes, &[10.0, 10.0, 10.0, 5.0, 1.0, 0.5, 0.5, 0.5]) {
            assert!(to == 3 || docs.iter().all(|length| *length <= 0.7), "{docs:?} to {to}");
        }
    }

    proptest! {
        #[test]
        fn what_is_offered_is_granted_if_the_view_is_true(
            works in prop::collection::vec((0u32..1000, 1u32..10, prop::sample::select(vec![0.1, 0.5, 2.0])), 1..10),
            mut lengths in prop::collection::vec(1u32..500, 1..40),
        ) {
            let mine = lengths.iter().map(|length| f64::from(*length)).sum();
            let mut nodes = vec![node(0, mine, 2, 1.0)];
            nodes.extend((1..).zip(&works).map(|(id, &(work, slots, speed))| node(id, work.into(), slots, speed)));
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            let guard = Guard::new(SlowRule::default(), &nodes);
            let rows = plan(&nodes, nodes[0].node(), Averaging::Carry, 0.0);
            let mut packing = Packing::new(&nodes, nodes[0].node(), &rows, &guard);
            for length in lengths.iter().map(|length| f64::from(*length)) {
                let limit = packing.limit();
                prop_assert!(!packing.place(length, length) || limit.is_some_and(|limit| length <= limit));
            }
            for parcel in packing.parcels() {
                let receiver = nodes.iter().find(|node| node.node() == parcel.to).expect("a node of the plan");
                let granted = grant(&parcel.terms, receiver, &guard, &parcel.docs);
                prop_assert_eq!(granted.len(), parcel.docs.len());
            }
        }

        #[test]
        fn nonsense_is_packed_without_a_panic(
            nodes in prop::collection::vec((any::<f64>(), any::<u32>(), any::<f64>(), any::<bool>(), 0u8..4), 0..5),
            rows in prop::collection::vec((0u8..5, any::<f64>()), 0..5),
            lengths in prop::collection::vec(any::<f64>(), 0..5),
        ) {
            let nodes: Vec<_> = nodes
                .iter()
                .map(|&(work, slots, speed, draining, id)| node(id, work, slots, speed).with_draining(draining))
                .collect();
            let rows: Vec<_> = rows.iter().map(|&(to, amount)| Row { to: NodeId([to; 16]), amount }).collect();
            let mut packing = Packing::new(&nodes, NodeId([0; 16]), &rows, &Guard::new(SlowRule::default(), &nodes));
            let placed = lengths.iter().filter(|length| packing.place((), **length)).count();
            prop_assert!(packing.limit().is_none_or(f64::is_finite));
            prop_assert!(packing.parcels().iter().map(|parcel| parcel.docs.len()).sum::<usize>() <= placed);
        }
    }
}
