//! S2, which result it is: where a document has ended well on a node that still lives, it is done in the end, whatever became
//! of it elsewhere.

use std::collections::BTreeMap;

use evenkeel_core::Effect;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::DocId;
use evenkeel_core::outbox::Event;

use super::{Broken, Checker, Step};
use crate::world::{MachineId, Truth};

/// See above.
#[derive(Debug, Default)]
pub(super) struct DoneWins {
    /// The runs of machines on which documents ended well.
    done: BTreeMap<(MachineId, u32), Vec<DocId>>,
}

impl Checker for DoneWins {
    fn promise(&self) -> &'static str {
        "S2 (done wins)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        for effect in step.effects {
            if let Effect::Observe(Event::Ended { doc, outcome: Outcome::Done }) = effect {
                let run = (step.machine, truth.machine(step.machine).life);
                self.done.entry(run).or_default().push(*doc);
            }
        }
        Ok(())
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        for machine in truth.healthy() {
            let state = machine.node.as_ref().expect("a healthy machine is up").state();
            let kept = |doc: &&DocId| truth.batches.get(&doc.batch).is_some_and(|batch| !batch.removed);
            for doc in self.done.get(&(machine.id, machine.life)).into_iter().flatten().filter(kept) {
                let outcome = state.slot(*doc).and_then(|slot| slot.outcome());
                if outcome != Some(Outcome::Done) {
                    let what = format!("{doc} has ended well at {}, and its outcome is {outcome:?}", machine.id);
                    return Err(Broken::new(what).document(*doc).machine(machine.id));
                }
            }
        }
        Ok(())
    }
}
