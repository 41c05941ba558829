//! A cancelled batch: nothing of it starts on a node that knows.

use evenkeel_core::Effect;

use super::{Broken, Checker, Step};
use crate::world::Truth;

/// See above.
pub(super) struct Cancelled;

impl Checker for Cancelled {
    fn promise(&self) -> &'static str {
        "cancel (nothing of the batch starts)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        for effect in step.effects {
            let Effect::Start(claim) = effect else { continue };
            let Some(node) = &truth.machine(step.machine).node else { continue };
            if node.state().is_cancelled(claim.doc.batch) {
                let what = format!("{} starts {}, and knows that its batch is cancelled", step.machine, claim.doc);
                return Err(Broken::new(what).document(claim.doc).machine(step.machine));
            }
        }
        Ok(())
    }
}
