//! S5, conservation: averaging never creates or loses a document. Each open document of a node is in exactly one of its
//! lists (which [`evenkeel_core::Node::check`] knows), and in the end nobody owns anything.

use super::{Broken, Checker, Step};
use crate::world::Truth;

/// Documents that are looked at before anything is left out: small worlds are looked at after each of their first steps.
const AT_FIRST: u64 = 50_000;

/// Documents that each further step allows to be looked at: a look is at all of them, and is to take a small part of the time.
const EACH_STEP: u64 = 4;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    steps: u64,
    /// Documents looked at so far.
    looked_at: u64,
}

impl Checker for Invariants {
    fn promise(&self) -> &'static str {
        "S5 (conservation)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        self.steps += 1;
        let due = self.looked_at < AT_FIRST + EACH_STEP * self.steps;
        if due && let Some(node) = &truth.machine(step.machine).node {
            let documents: usize = truth.batches.values().map(|batch| batch.documents.len()).sum();
            self.looked_at += documents as u64 + 1;
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
