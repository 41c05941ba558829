//! S2, one result: in the end the outcome of a document is the same on every node.

use evenkeel_core::ids::DocId;

use super::{Broken, Checker};
use crate::world::Truth;

/// See above.
pub(super) struct OneResult;

impl Checker for OneResult {
    fn promise(&self) -> &'static str {
        "S2 (one result)"
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        let mut healthy = truth.healthy();
        let Some(first) = healthy.next() else { return Ok(()) };
        let told = first.node.as_ref().expect("a healthy machine is up").state();
        for machine in healthy {
            let state = machine.node.as_ref().expect("a healthy machine is up").state();
            for id in truth.batches.keys() {
                if let Some(number) = told.first_difference(state, *id) {
                    let doc = DocId { batch: *id, number };
                    let (here, there) = (told.entry(doc), state.entry(doc));
                    let what = format!("{doc} is {here:?} at {}, but {there:?} at {}", first.id, machine.id);
                    return Err(Broken::new(what).document(doc).machine(machine.id));
                }
            }
        }
        Ok(())
    }
}
