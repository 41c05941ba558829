//! S4, the first half of it: a node that stood still for longer than the others may have waited for it knows that it did.
//! What it must not do then is the business of the checker of fencing.

use std::collections::BTreeMap;

use evenkeel_core::Effect;
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use super::{Broken, Checker, Step};
use crate::world::{MachineId, Truth};

/// Tenths of the detection time after which it must know; it says itself that half is enough. Clocks drift.
const TENTHS: u64 = 6;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// The last step of each machine, and in which of its runs.
    last: BTreeMap<MachineId, (u32, Micros)>,
}

impl Checker for Pauses {
    fn promise(&self) -> &'static str {
        "S4 (a pause is noticed)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let machine = truth.machine(step.machine);
        let before = self.last.insert(step.machine, (machine.life, truth.now));
        let Some((life, last)) = before else { return Ok(()) };
        // A node that has only just been started knows nothing that could be old.
        if life != machine.life || last == machine.born {
            return Ok(());
        }
        let still = truth.now.since(last);
        let noticed = || step.effects.iter().any(|effect| matches!(effect, Effect::Observe(Event::Paused)));
        if still.0 > machine.settings().detection.0 / 10 * TENTHS && !noticed() {
            let what = format!("{} stood still for {still}, and goes on as if nothing had been", step.machine);
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }
}
