//! The receiver's half of the handshake: which of the documents on offer it grants, by its own exact load.
//!
//! Donors plan by stale views; all that the plan lacks in truth is made up here. Grants of one node are serial: each
//! is counted into its work before the next offer is judged.

use super::guard::Guard;
use super::standing::{Standing, below, level, sane_work};

/// What a donor says beside the documents on offer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The donor's work, less what it offers to others at the same time.
    pub work: f64,
    /// The donor's capacity.
    pub capacity: f64,
    /// The mean level by the donor's view.
    pub mean: f64,
    /// The documents go from a slow node to a fast one, whatever the levels.
    pub export: bool,
}

/// Places, in the list of lengths on offer, of the documents that the receiver grants.
///
/// A document is granted if it is strictly better off: the receiver's level with it is below the donor's. That is also
/// the condition under which the potential [`psi`] falls, and under which the maximum level cannot rise. Beyond it,
/// the receiver does not let itself be lifted above both the mean and what the donor is left with, except by an offer
/// of one document: that is a best response, and refusing it would leave its regret standing for ever.
///
/// Exports are free of both conditions; that a slow node grants only what it can end in time holds for all.
pub fn grant(terms: &Terms, receiver: &Standing, guard: &Guard, lengths: &[f64]) -> Vec<usize> {
    if !receiver.takes() {
        return Vec::new();
    }
    let capacity = receiver.capacity();
    let share = sane_work(terms.mean) * capacity;
    let donor_level = |work: f64| level(work, terms.capacity);
    let mut work = receiver.work();
    let mut donor_work = sane_work(terms.work);
    let mut granted = Vec::new();
    for (place, length) in lengths.iter().map(|length| sane_work(*length)).enumerate() {
        let here = level(work + length, capacity);
        let better = below(here, donor_level(donor_work));
        let measured =
            lengths.len() == 1 || work + length / 2.0 <= share || here <= donor_level((donor_work - length).max(0.0));
        if guard.in_time(receiver.speed(), length) && (terms.export || better && measured) {
            granted.push(place);
            work += length;
            donor_work = (donor_work - length).max(0.0);
        }
    }
    granted
}

/// A node's part of the potential Psi = sum of (W^2 + sum of l^2) / 2c, from its work, the squares of the lengths of
/// its documents and its capacity.
///
/// A document of length l that moves from i to j changes it by l times ((W_j + l) / c_j - W_i / c_i).
pub fn psi(work: f64, squares: f64, capacity: f64) -> f64 {
    let work = sane_work(work);
    level((work * work + squares.max(0.0)) / 2.0, capacity)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::guard::SlowRule;
    use super::*;
    use crate::ids::NodeId;

    fn receiver(work: f64, slots: u32, speed: f64) -> Standing {
        Standing::new(NodeId([2; 16]), work, slots, speed)
    }

    fn guard(nodes: &[Standing]) -> Guard {
        Guard::new(SlowRule::default(), nodes)
    }

    fn terms(work: f64, capacity: f64, mean: f64) -> Terms {
        Terms { work, capacity, mean, export: false }
    }

    #[test]
    fn it_grants_up_to_the_mean_and_not_much_more() {
        let here = receiver(0.0, 1, 1.0);
        assert_eq!(grant(&terms(100.0, 1.0, 50.0), &here, &guard(&[here]), &[30.0, 15.0, 8.0, 4.0, 4.0]), [0, 1, 2]);
    }

    #[test]
    fn it_grants_nothing_that_would_not_be_better_off() {
        let here = receiver(95.0, 1, 1.0);
        assert_eq!(grant(&terms(100.0, 1.0, 50.0), &here, &guard(&[here]), &[5.0]), [0usize; 0]);
        assert_eq!(grant(&terms(100.0, 1.0, 50.0), &here, &guard(&[here]), &[4.0]), [0]);
    }

    #[test]
    fn grants_under_way_are_counted() {
        let lengths = [10.0; 10];
        let before = receiver(0.0, 1, 1.0);
        let first = grant(&terms(100.0, 1.0, 50.0), &before, &guard(&[before]), &lengths);
        assert_eq!(first.len(), 5);
        let after = before.with_work(50.0);
        assert_eq!(grant(&terms(50.0, 1.0, 50.0), &after, &guard(&[after]), &lengths), [0usize; 0]);
    }

    #[test]
    fn a_slow_node_refuses_what_it_cannot_end_in_time() {
        let fast = Standing::new(NodeId([1; 16]), 100.0, 9, 1.0);
        let slow = receiver(0.0, 10, 0.1);
        let guard = guard(&[fast, slow]);
        let offer = |export| Terms { work: 100.0, capacity: 9.0, mean: 10.0, export };
        assert_eq!(grant(&offer(false), &slow, &guard, &[0.8, 0.6]), [1]);
        assert_eq!(grant(&offer(true), &slow, &guard, &[0.8, 0.6]), [1]);
        let exported = Terms { work: 1.0, capacity: 1.0, mean: 10.0, export: true };
        assert_eq!(grant(&exported, &fast, &guard, &[0.8]), [0], "whatever the levels");
    }

    #[test]
    fn whoever_leaves_or_has_no_slot_grants_nothing() {
        let here = receiver(0.0, 1, 1.0);
        let leaves = here.with_draining(true);
        assert_eq!(grant(&terms(1e9, 1.0, 50.0), &leaves, &guard(&[here]), &[1.0]), [0usize; 0]);
        let slotless = receiver(0.0, 0, 1.0);
        assert_eq!(grant(&terms(1e9, 1.0, 50.0), &slotless, &guard(&[here]), &[1.0]), [0usize; 0]);
    }

    proptest! {
        #[test]
        fn every_grant_lowers_the_potential_and_never_raises_the_higher_of_the_two(
            donor in prop::collection::vec(1u32..1000, 1..30),
            held in 0u32..10_000,
            (slots, donor_slots) in (1u32..20, 1u32..20),
            (speed, donor_speed) in (0.1..4.0f64, 0.1..4.0f64),
            mean in 0.0..1000.0f64,
        ) {
            let lengths: Vec<f64> = donor.iter().map(|length| f64::from(*length)).collect();
            let here = receiver(f64::from(held), slots, speed);
            let there = Standing::new(NodeId([1; 16]), lengths.iter().sum(), donor_slots, donor_speed);
            let offer = terms(there.work(), there.capacity(), mean);
            let (mut w, mut x) = (here.work(), there.work());
            for place in grant(&offer, &here, &guard(&[here, there]), &lengths) {
                let before = psi(w, 0.0, here.capacity()) + psi(x, lengths[place] * lengths[place], there.capacity());
                let higher = (w / here.capacity()).max(x / there.capacity());
                w += lengths[place];
                x -= lengths[place];
                let after = psi(w, lengths[place] * lengths[place], here.capacity()) + psi(x, 0.0, there.capacity());
                prop_assert!(after < before * (1.0 + 1e-12), "{} to {}", before, after);
                prop_assert!((w / here.capacity()).max(x / there.capacity()) <= higher);
            }
        }

        #[test]
        fn nonsense_is_judged_without_a_panic(
            (work, capacity, mean, held, speed) in any::<(f64, f64, f64, f64, f64)>(),
            slots: u32,
            export: bool,
            lengths in prop::collection::vec(any::<f64>(), 0..5),
        ) {
            let here = receiver(held, slots, speed);
            let granted = grant(&Terms { work, capacity, mean, export }, &here, &guard(&[here]), &lengths);
            prop_assert!(granted.is_sorted() && granted.iter().all(|place| *place < lengths.len()));
            prop_assert!(!psi(work, held, capacity).is_nan());
        }
    }
}
