//! Pending counts at moments worth looking at, where nobody has named any: the first spread, before averaging and after,
//! and around the first loss of a machine.

use evenkeel_core::Effect;
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use crate::check::{Happening, Step};
use crate::world::{Machine, Truth};

/// Pending counts at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Micros,
    /// What is to be seen.
    pub what: String,
    /// Documents that each machine owns and that have no outcome.
    pub pending: Vec<u64>,
    /// Whether each machine is there.
    pub up: Vec<bool>,
}

impl Moment {
    fn new(what: impl Into<String>, at: Micros, pending: &[u64], truth: &Truth) -> Moment {
        let up = |machine: usize| truth.machines.get(machine).is_some_and(Machine::is_up);
        Moment { at, what: what.into(), pending: pending.to_vec(), up: (0..pending.len()).map(up).collect() }
    }
}

/// Waits for such moments.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Documents of all batches until the first spread is over.
    submitted: u64,
    /// The fullest counts since then.
    spread: Option<Moment>,
    spread_over: bool,
    averaging: bool,
    levelled: bool,
    lost: bool,
    /// Heirs have claimed what a lost machine had; the last of them, so far.
    taken_over: Option<Moment>,
    claiming: bool,
}

impl Watch {
    pub(super) fn submitted(&mut self, truth: &Truth) {
        if !self.spread_over {
            self.submitted = truth.batches.values().map(|batch| batch.documents.len() as u64).sum();
        }
    }

    /// A node has made a step; `pending` is how it was before.
    pub(super) fn before(
        &mut self,
        step: &Step<'_>,
        truth: &Truth,
        pending: &[u64],
        handing: bool,
        moments: &mut Vec<Moment>,
    ) {
        let moment = |what: &str| Moment::new(what, truth.now, pending, truth);
        if !self.spread_over && self.submitted > 0 {
            let sum: u64 = pending.iter().sum();
            let fuller = self.spread.as_ref().is_none_or(|spread| spread.pending.iter().sum::<u64>() < sum);
            if fuller {
                self.spread = Some(moment("the first spread"));
            }
            if handing || sum >= self.submitted {
                self.spread_over = true;
                moments.extend(self.spread.take());
            }
        }
        if handing && !self.averaging {
            self.averaging = true;
            moments.push(moment("before averaging"));
        }
        let claims = |effect: &Effect| matches!(effect, Effect::Observe(Event::TookOver { .. }));
        if self.lost && step.effects.iter().any(claims) {
            self.claiming = true;
        } else if self.claiming && self.taken_over.is_none() {
            self.taken_over = Some(moment("taken over"));
        }
    }

    /// Whether it is worth looking whether the machines are level.
    pub(super) fn waits_for_level(&self) -> bool {
        self.averaging && !self.levelled
    }

    pub(super) fn level(&mut self, at: Micros, pending: &[u64], truth: &Truth, moments: &mut Vec<Moment>) {
        self.levelled = true;
        moments.push(Moment::new("in equilibrium", at, pending, truth));
    }

    /// A machine is no longer there; `pending` is how it was before.
    pub(super) fn lose(&mut self, happening: &Happening, truth: &Truth, pending: &[u64], moments: &mut Vec<Moment>) {
        if let (Happening::Crashed { machine, .. }, false) = (happening, self.lost)
            && pending.iter().sum::<u64>() > 0
        {
            self.lost = true;
            let mut moment = Moment::new(format!("before {machine} is lost"), truth.now, pending, truth);
            if let Some(up) = moment.up.get_mut(machine.0) {
                *up = true;
            }
            moments.push(moment);
        }
    }

    pub(super) fn conclude(self, moments: &mut Vec<Moment>) {
        moments.extend(self.spread);
        moments.extend(self.taken_over);
        moments.sort_by_key(|moment| moment.at);
    }
}
