//! L7: once a partition has healed, no document runs on two machines for longer than it takes to learn of it.

use std::collections::BTreeMap;

use evenkeel_core::ids::DocId;
use evenkeel_core::units::Micros;

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::Truth;

/// Time between two looks.
const EVERY: Micros = Micros::from_secs(1);

/// Time that the nodes have to meet, to tell each other, and to kill the loser.
const BOUND: Micros = Micros::from_secs(20);

/// See above.
#[derive(Debug, Default)]
pub(super) struct Healed {
    due: Option<Micros>,
}

impl Checker for Healed {
    fn promise(&self) -> &'static str {
        "L7 (duplicates end when partitions do)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        if *step.cause != Cause::Wake || self.due.is_none_or(|due| truth.now < due) {
            return Ok(());
        }
        self.due = Some(truth.now + EVERY);
        let mut seen: BTreeMap<DocId, crate::world::MachineId> = BTreeMap::new();
        for machine in truth.healthy() {
            for (doc, _) in machine.processes.keys() {
                if let Some(other) = seen.insert(*doc, machine.id) {
                    let what = format!("{doc} runs both at {other} and at {}", machine.id);
                    return Err(Broken::new(what).document(*doc).machine(machine.id));
                }
            }
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        if *happening == Happening::Healed {
            self.due = Some(truth.now + truth.options.cluster.detection.0 + BOUND);
        }
        Ok(())
    }
}
