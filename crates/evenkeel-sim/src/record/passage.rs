//! Through which pending counts a world passes: those that a scenario expects, and those that averaging makes.

use std::collections::BTreeSet;

use evenkeel_core::units::Micros;
use serde::{Deserialize, Serialize};

use crate::span::Span;
use crate::world::MachineId;

/// States of the averaging that are kept: what is levelled takes a handful of hand-overs for each pair.
const STATES: usize = 200;

/// Pending counts that are expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pending {
    /// What this shows, for people.
    #[serde(default)]
    pub what: String,
    /// Pending documents of the first machine, the second and so on.
    pub are: Vec<f64>,
    /// How far each may be off.
    #[serde(default)]
    pub within: f64,
    /// When they are so; without it, at some moment after the one before it.
    #[serde(default)]
    pub at: Option<Span>,
}

impl Pending {
    /// How far the counts are from what is expected, at the machine where they are furthest.
    fn distance(&self, pending: &[u64]) -> f64 {
        let off = self.are.iter().zip(pending).map(|(wanted, is)| (wanted - *is as f64).abs());
        off.fold(0.0, f64::max)
    }

    /// As they are written in a line.
    pub fn told(&self) -> String {
        let counts: Vec<String> = self.are.iter().map(f64::to_string).collect();
        counts.join(" ")
    }
}

/// Pending counts at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// When.
    pub at: Micros,
    /// Of each machine.
    pub pending: Vec<u64>,
}

impl State {
    fn new(at: Micros, pending: &[u64]) -> State {
        State { at, pending: pending.to_vec() }
    }

    /// As it is written in a line.
    pub fn told(&self) -> String {
        let counts: Vec<String> = self.pending.iter().map(u64::to_string).collect();
        counts.join(" ")
    }
}

/// What was seen of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was so.
    Met(State),
    /// It never was so; the nearest that was seen.
    Missed(Option<State>),
}

/// Through which pending counts a world has passed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Passage {
    /// What each expectation shows, for people.
    pub names: Vec<String>,
    /// What came of each.
    pub seen: Vec<Seen>,
    /// The counts before the first hand-over by averaging, and after each until the first equilibrium.
    pub averaging: Vec<State>,
    /// Of the counts, those that were too many to keep.
    pub skipped: u64,
    /// When no document could gain any more by moving alone.
    pub equilibrium: Option<Micros>,
    /// When the world ended.
    pub end: Micros,
}

/// Watches a world pass by.
#[derive(Debug)]
pub(super) struct Watch {
    expected: Vec<Pending>,
    /// The expectation without a time whose turn it is.
    turn: usize,
    /// Machines that have been given documents which have not come yet.
    coming: BTreeSet<MachineId>,
    /// When it was last looked whether the world is level.
    looked: Micros,
    passage: Passage,
}

impl Watch {
    pub(super) fn new(expected: &[Pending]) -> Watch {
        let seen = vec![Seen::Missed(None); expected.len()];
        let name = |expected: &Pending| if expected.what.is_empty() { expected.told() } else { expected.what.clone() };
        let names = expected.iter().map(name).collect();
        let mut watch = Watch {
            expected: expected.to_vec(),
            turn: 0,
            coming: BTreeSet::new(),
            looked: Micros::ZERO,
            passage: Passage { names, seen, ..Passage::default() },
        };
        watch.turn = watch.next_turn(0);
        watch
    }

    fn next_turn(&self, from: usize) -> usize {
        (from..self.expected.len()).find(|place| self.expected[*place].at.is_none()).unwrap_or(self.expected.len())
    }

    /// What holds now holds until then: what was expected at a time before is judged.
    pub(super) fn pass(&mut self, until: Micros, pending: &[u64]) {
        for (expected, seen) in self.expected.iter().zip(&mut self.passage.seen) {
            if let Some(Span(at)) = expected.at
                && *seen == Seen::Missed(None)
                && at < until
            {
                let state = State::new(at, pending);
                let met = expected.distance(pending) <= expected.within;
                *seen = if met { Seen::Met(state) } else { Seen::Missed(Some(state)) };
            }
        }
    }

    /// These are the counts now.
    pub(super) fn look(&mut self, now: Micros, pending: &[u64]) {
        let Some(expected) = self.expected.get(self.turn) else { return };
        let distance = expected.distance(pending);
        let seen = &mut self.passage.seen[self.turn];
        if distance <= expected.within {
            *seen = Seen::Met(State::new(now, pending));
            self.turn = self.next_turn(self.turn + 1);
        } else if let Seen::Missed(nearest) = seen
            && nearest.as_ref().is_none_or(|state| expected.distance(&state.pending) > distance)
        {
            *nearest = Some(State::new(now, pending));
        }
    }

    /// Documents are given to these machines; the counts are those of before.
    pub(super) fn give(&mut self, now: Micros, to: &[MachineId], pending: &[u64]) {
        if !to.is_empty() && self.passage.averaging.is_empty() {
            self.passage.averaging.push(State::new(now, pending));
        }
        self.coming.extend(to);
    }

    /// A machine has got some; true if it got them by averaging, and no equilibrium has been seen before.
    pub(super) fn arrive(&mut self, now: Micros, at: MachineId, pending: &[u64]) -> bool {
        let averaged = self.coming.remove(&at) && self.passage.equilibrium.is_none();
        if averaged && self.passage.averaging.len() < STATES {
            self.passage.averaging.push(State::new(now, pending));
        } else if averaged {
            self.passage.skipped += 1;
        }
        averaged
    }

    /// Whether it is time to look again whether the world is level, if that is waited for.
    pub(super) fn waits_for_level(&mut self, now: Micros, interval: Micros) -> bool {
        let waits = !self.passage.averaging.is_empty() && self.passage.equilibrium.is_none();
        let due = waits && now.since(self.looked) >= interval;
        if due {
            self.looked = now;
        }
        due
    }

    /// The world is in equilibrium.
    pub(super) fn settle(&mut self, now: Micros) {
        self.passage.equilibrium.get_or_insert(now);
    }

    pub(super) fn conclude(self, end: Micros) -> Passage {
        Passage { end, ..self.passage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(are: &[f64], at: Option<u64>) -> Pending {
        Pending { what: String::new(), are: are.to_vec(), within: 0.5, at: at.map(|at| Span(Micros(at))) }
    }

    #[test]
    fn counts_are_passed_one_after_the_other() {
        let mut watch =
            Watch::new(&[pending(&[1.0, 5.0], None), pending(&[3.0, 3.0], None), pending(&[1.0, 5.0], None)]);
        watch.look(Micros(1), &[1, 5]);
        watch.look(Micros(2), &[2, 4]);
        watch.look(Micros(3), &[3, 3]);
        let passage = watch.conclude(Micros(9));
        assert_eq!(passage.seen[0], Seen::Met(State::new(Micros(1), &[1, 5])));
        assert_eq!(passage.seen[1], Seen::Met(State::new(Micros(3), &[3, 3])));
        assert_eq!(passage.seen[2], Seen::Missed(None), "that they were so before does not count");
    }

    #[test]
    fn halves_of_documents_are_met_by_either_side_and_the_nearest_is_told_otherwise() {
        let mut watch = Watch::new(&[pending(&[162.5, 162.5], None), pending(&[100.0, 100.0], None)]);
        watch.look(Micros(1), &[150, 175]);
        watch.look(Micros(2), &[162, 163]);
        watch.look(Micros(3), &[120, 110]);
        watch.look(Micros(4), &[101, 103]);
        watch.look(Micros(5), &[90, 80]);
        let passage = watch.conclude(Micros(9));
        assert_eq!(passage.seen[0], Seen::Met(State::new(Micros(2), &[162, 163])));
        assert_eq!(passage.seen[1], Seen::Missed(Some(State::new(Micros(4), &[101, 103]))));
    }

    #[test]
    fn at_a_time_only_what_holds_then_counts() {
        let mut watch = Watch::new(&[pending(&[1.0], Some(10)), pending(&[2.0], Some(20)), pending(&[2.0], Some(90))]);
        watch.pass(Micros(5), &[0]);
        watch.pass(Micros(15), &[1]);
        watch.pass(Micros(20), &[2]);
        watch.pass(Micros(25), &[3]);
        let passage = watch.conclude(Micros(25));
        assert_eq!(passage.seen[0], Seen::Met(State::new(Micros(10), &[1])));
        assert_eq!(passage.seen[1], Seen::Missed(Some(State::new(Micros(20), &[3]))));
        assert_eq!(passage.seen[2], Seen::Missed(None), "the world ended before");
    }

    #[test]
    fn averaging_is_told_hand_over_by_hand_over_until_all_is_level() {
        let mut watch = Watch::new(&[pending(&[1.0, 1.0], None)]);
        assert!(!watch.arrive(Micros(1), MachineId(0), &[2, 8]), "nothing was given by averaging");
        watch.give(Micros(2), &[MachineId(0)], &[2, 8]);
        assert!(watch.arrive(Micros(3), MachineId(0), &[5, 5]));
        watch.settle(Micros(3));
        watch.give(Micros(4), &[MachineId(1)], &[5, 3]);
        assert!(!watch.arrive(Micros(5), MachineId(1), &[4, 4]));
        let passage = watch.conclude(Micros(9));
        let told: Vec<String> = passage.averaging.iter().map(State::told).collect();
        assert_eq!((told, passage.equilibrium), (vec!["2 8".to_owned(), "5 5".to_owned()], Some(Micros(3))));
    }
}
