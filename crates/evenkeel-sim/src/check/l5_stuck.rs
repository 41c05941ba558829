//! L5: nothing stays "running" on a node that is dead. In the end no document without outcome is said to run.

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
            if let Some(((doc, _), _)) = machine.processes.first_key_value() {
                let what = format!("{doc} has an outcome, and a process at {}", machine.id);
                return Err(Broken::new(what).document(*doc).machine(machine.id));
            }
        }
        Ok(())
    }
}
