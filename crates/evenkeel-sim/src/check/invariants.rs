//! S5, conservation: averaging never creates or loses a document. Each open document of a node is in exactly one of its
//! lists (which [`evenkeel_core::Node::check`] knows), and in the end nobody owns anything.

use super::{Broken, Checker, Step};
use crate::world::Truth;

/// Steps of which each is looked at, before only some are: the look is at every document.
const EACH: u64 = 300;

/// After that, one of so many steps for each thousand documents.
const RARELY: u64 = 200;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    steps: u64,
}

impl Checker for Invariants {
    fn promise(&self) -> &'static str {
        "S5 (conservation)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        self.steps += 1;
        let documents: usize = truth.batches.values().map(|batch| batch.documents.len()).sum();
        let every = if self.steps < EACH { 1 } else { RARELY * (1 + documents as u64 / 1_000) };
        if self.steps.is_multiple_of(every)
            && let Some(node) = &truth.machine(step.machine).node
        {
            // It panics with the document concerned: the run turns that into a violation.
            node.check();
        }
        Ok(())
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        for machine in truth.healthy() {
            let node = machine.node.as_ref().expect("a healthy machine is up");
            node.check();
        }
        Ok(())
    }
}
