//! S6: no more processes than slots, on any machine, at any time. Where slots have become fewer, what ran in the others may run to
//! its end, but nothing starts before there is a free slot.

use evenkeel_core::Effect;

use super::{Broken, Checker, Step};
use crate::world::Truth;

/// See above.
pub(super) struct Slots;

impl Checker for Slots {
    fn promise(&self) -> &'static str {
        "S6 (running <= max_process)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let machine = truth.machine(step.machine);
        let wanted = step.effects.iter().filter(|effect| matches!(effect, Effect::Start(_))).count();
        let slots = machine.slots as usize;
        if wanted > 0 && machine.processes.len() + wanted > slots {
            let what = format!(
                "{} runs {} processes in {slots} slots, and starts {wanted} more",
                step.machine,
                machine.processes.len()
            );
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }
}
