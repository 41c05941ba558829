//! L5: nothing stays "running" on a node that is dead. In the end no document without outcome is said to run.

use evenkeel_core::ids::DocId;

use super::{Broken, Checker};
use crate::world::Truth;

/// See above.
pub(super) struct Stuck;

impl Checker for Stuck {
    fn promise(&self) -> &'static str {
        "L5 (nothing is stuck)"
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        for machine in truth.healthy() {
            let node = machine.node.as_ref().expect("a healthy machine is up");
            for (id, batch) in &truth.batches {
                if batch.acknowledged.is_some() && node.running_in(*id) > 0 {
                    let what = format!("{} says that {} documents of {id} run", machine.id, node.running_in(*id));
                    return Err(Broken::new(what).machine(machine.id));
                }
            }
            // What was never promised may go on, or stay as it is: nobody waits for it.
            let promised =
                |doc: &DocId| truth.batches.get(&doc.batch).is_some_and(|batch| batch.acknowledged.is_some());
            if let Some((doc, _)) = machine.processes.keys().find(|(doc, _)| promised(doc)) {
                let what = format!("{doc} has an outcome, and a process at {}", machine.id);
                return Err(Broken::new(what).document(*doc).machine(machine.id));
            }
        }
        Ok(())
    }
}
