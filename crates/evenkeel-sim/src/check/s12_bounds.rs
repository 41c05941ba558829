//! S12: declared bounds hold. Of those, the core's: the log that a node keeps for others.

use super::{Broken, Cause, Checker, Step};
use crate::world::Truth;

/// What may be logged between two ticks beyond the bound: a batch and its segments come at once.
const SLACK: usize = 16 << 20;

/// See above.
pub(super) struct Bounds;

impl Checker for Bounds {
    fn promise(&self) -> &'static str {
        "S12 (bounds)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        if *step.cause != Cause::Wake {
            return Ok(());
        }
        let machine = truth.machine(step.machine);
        let Some(node) = &machine.node else { return Ok(()) };
        let (bytes, bound) = (node.log().bytes(), machine.settings().log_bytes);
        if bytes > bound + SLACK {
            let what = format!("{} keeps {bytes} bytes of log, and {bound} are the bound", step.machine);
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }
}
