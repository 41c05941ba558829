//! What happened to machines and between them, as it is marked in pictures.

use evenkeel_core::units::Micros;

use crate::check::Happening;
use crate::world::{MachineId, Truth};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A machine was killed.
    Killed,
    /// A machine was started again.
    Returned,
    /// A machine came that had not been there.
    Joined,
    /// A machine was asked to leave.
    Draining,
    /// A machine has left.
    Left,
    /// A machine stood still.
    Paused,
    /// A machine was taken for dead by another.
    Suspected,
    /// The network was cut.
    Cut,
    /// A batch was taken.
    Submitted,
    /// A batch was cancelled.
    Cancelled,
    /// The faults ended.
    Healed,
    /// Offers are no longer withheld.
    Levelling,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Micros,
    /// Until when, of what lasts.
    pub until: Micros,
    /// To which machine.
    pub machine: Option<MachineId>,
    /// What.
    pub what: What,
}

/// When levelling begins, where it has been held back.
pub(super) fn levelling(truth: &Truth) -> Option<Mark> {
    let at = truth.options.phases.levelling.0;
    (at > Micros::ZERO && at < truth.now).then_some(Mark { at, until: at, machine: None, what: What::Levelling })
}

pub(super) fn of(happening: &Happening, truth: &Truth) -> Option<Mark> {
    let now = truth.now;
    let (what, machine, until) = match happening {
        Happening::Started(machine) if truth.machine(*machine).life > 1 => (What::Returned, Some(*machine), now),
        Happening::Started(machine) => (What::Joined, Some(*machine), now),
        Happening::Crashed { machine, .. } => (What::Killed, Some(*machine), now),
        Happening::Paused(machine) => (What::Paused, Some(*machine), truth.machine(*machine).paused_until),
        Happening::Suspected { who, .. } => (What::Suspected, Some(*who), now),
        Happening::Draining(machine) => (What::Draining, Some(*machine), now),
        Happening::Left(machine) => (What::Left, Some(*machine), now),
        Happening::Cut => (What::Cut, None, truth.cut_until),
        Happening::Submitted(_) => (What::Submitted, None, now),
        Happening::Cancelled(_) => (What::Cancelled, None, now),
        Happening::Healed => (What::Healed, None, now),
        // It was started a moment before; and what is removed is nothing to look at.
        Happening::Joined { .. } | Happening::Removed { .. } => return None,
    };
    Some(Mark { at: now, until, machine, what })
}
