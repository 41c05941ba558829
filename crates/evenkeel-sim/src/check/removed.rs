//! A removed batch: it had ended, nothing of it starts or is remembered on a node that knows, and nobody removes what no client
//! wanted removed.

use std::collections::BTreeSet;

use evenkeel_core::Effect;
use evenkeel_core::ids::{BatchId, DocId};

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::Truth;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// A document without outcome, at the machine that was asked last.
    open: Option<DocId>,
    asked: BTreeSet<BatchId>,
}

impl Checker for Removed {
    fn promise(&self) -> &'static str {
        "remove (what has ended, and for good)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let Some(node) = &truth.machine(step.machine).node else { return Ok(()) };
        let state = node.state();
        if let Cause::Remove(batch) = step.cause
            && let Some(doc) = self.open.take()
            && state.is_removed(*batch)
        {
            let what = format!("{} removes {batch}, and {doc} has not ended", step.machine);
            return Err(Broken::new(what).document(doc).machine(step.machine));
        }
        if self.asked.is_empty() {
            return Ok(());
        }
        for effect in step.effects {
            let Effect::Start(claim) = effect else { continue };
            if state.is_removed(claim.doc.batch) {
                let what = format!("{} starts {}, and knows that its batch is removed", step.machine, claim.doc);
                return Err(Broken::new(what).document(claim.doc).machine(step.machine));
            }
        }
        let remembered = |batch: &&BatchId| state.is_removed(**batch) && state.batch(**batch).is_some();
        if let Some(batch) = self.asked.iter().find(remembered) {
            let what = format!("{} remembers {batch}, and that it is removed", step.machine);
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        if let Happening::Removed { batch, by } = happening {
            let state = truth.machine(*by).node.as_ref().map(|node| node.state());
            self.open = state.and_then(|state| state.first_open(*batch)).map(|number| DocId { batch: *batch, number });
            self.asked.insert(*batch);
        }
        Ok(())
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        for machine in truth.healthy() {
            let state = machine.node.as_ref().expect("a healthy machine is up").state();
            if let Some(batch) = state.removed().find(|batch| !self.asked.contains(batch)) {
                let what = format!("{} has removed {batch}, and no client wanted that", machine.id);
                return Err(Broken::new(what).machine(machine.id));
            }
        }
        Ok(())
    }
}
