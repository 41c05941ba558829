//! L2: once faults have stopped, a dead node's documents have other owners within detection, delay and five seconds.

use std::collections::BTreeMap;

use evenkeel_core::units::Micros;

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::{MachineId, Truth};

/// Beyond detection and delay.
const MARGIN: Micros = Micros::from_secs(5);

/// Time that nodes that were apart have to meet first.
const MEETING: Micros = Micros::from_secs(15);

/// See above.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    /// Machines that are down for good, and when nobody may think any more that they own anything.
    dead: BTreeMap<MachineId, Micros>,
    healed: Option<Micros>,
}

impl Checker for Takeover {
    fn promise(&self) -> &'static str {
        "L2 (a dead node's documents are taken over)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        if *step.cause != Cause::Wake || self.healed.is_none() || !truth.core.contains(&step.machine) {
            return Ok(());
        }
        let state = truth.machine(step.machine).node.as_ref().map(|node| node.state());
        let Some(state) = state else { return Ok(()) };
        for (dead, due) in &self.dead {
            let owned = state.owned_by(truth.machine(*dead).identity());
            if truth.now >= *due && owned > 0 {
                let what =
                    format!("{dead} is down, and {} still holds it for the owner of {owned} documents", step.machine);
                return Err(Broken::new(what).machine(step.machine));
            }
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        let healed = *happening == Happening::Healed;
        if healed {
            self.healed = Some(truth.now);
            let gone = truth.machines.iter().filter(|machine| machine.gone);
            self.dead = gone.map(|machine| (machine.id, Micros::ZERO)).collect();
        }
        // A document that takes its nodes with it goes on doing so, and an heir that dies has heirs of its own.
        let again = matches!(happening, Happening::Crashed { .. } | Happening::Started(_)) && self.healed.is_some();
        if healed || again {
            let cluster = &truth.options.cluster;
            let due = truth.now + cluster.detection.0 + cluster.takeover_delay.0 + MARGIN + MEETING;
            self.dead.values_mut().for_each(|dead| *dead = due);
        }
        Ok(())
    }
}
