//! S12: declared bounds hold. Of those, the core's: the log that a node keeps for others.

use evenkeel_core::Effect;

use super::{Broken, Cause, Checker, Step};
use crate::world::Truth;

/// See above.
pub(super) struct Bounds;

impl Checker for Bounds {
    fn promise(&self) -> &'static str {
        "S12 (bounds)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        // Between two ticks a log may grow beyond it: a batch and its segments come at once. In a tick, at whose end a node
        // tells its load, it is cut down.
        let ticked = || step.effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));
        if *step.cause != Cause::Wake || !ticked() {
            return Ok(());
        }
        let machine = truth.machine(step.machine);
        let Some(node) = &machine.node else { return Ok(()) };
        let (bytes, bound) = (node.log().bytes(), machine.settings().log_bytes);
        if bytes > bound {
            let what = format!("{} keeps {bytes} bytes of log, and {bound} are the bound", step.machine);
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }
}
