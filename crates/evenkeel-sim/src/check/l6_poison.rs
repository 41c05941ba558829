//! L6: documents that take their nodes with them are given up after so many deaths, and never stop the others.
//!
//! That the others end is S1. Here: each such document of a batch that was promised ends as failed, or cancelled, and takes
//! no more nodes with it than are to be counted. The first owner that dies within a gossip interval of the start is not
//! counted by the protocol; and where messages may be lost, what is counted may be.

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{DocId, DocNumber};

use super::{Broken, Checker};
use crate::world::{Fate, Truth};

/// See above.
pub(super) struct Poison;

impl Checker for Poison {
    fn promise(&self) -> &'static str {
        "L6 (poison is given up)"
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        let limit = truth.options.cluster.crash_limit + 1;
        let reliable = truth.options.faults.is_reliable();
        for (id, batch) in truth.batches.iter().filter(|(_, batch)| batch.acknowledged.is_some()) {
            let poison = (0..).zip(&batch.documents).filter(|(_, document)| document.fate == Fate::Poison);
            for (number, document) in poison {
                let doc = DocId { batch: *id, number: DocNumber(number) };
                if reliable && document.poisoned > limit {
                    let what = format!("{doc} took {} nodes with it, and {limit} are the most", document.poisoned);
                    return Err(Broken::new(what).document(doc));
                }
                for machine in truth.healthy() {
                    let state = machine.node.as_ref().expect("a healthy machine is up").state();
                    let outcome = state.slot(doc).and_then(|slot| slot.outcome());
                    if outcome == Some(Outcome::Done) {
                        let what = format!("{doc} cannot end well, and is done in the eyes of {}", machine.id);
                        return Err(Broken::new(what).document(doc).machine(machine.id));
                    }
                }
            }
        }
        Ok(())
    }
}
