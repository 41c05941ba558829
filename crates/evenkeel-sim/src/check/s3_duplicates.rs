//! S3, duplicates bounded: a document starts once, once more for each attempt that failed, and once more for each time
//! that an owner died while it ran there, truly or in the eyes of an heir. Without faults: exactly once.
//!
//! Who suspects whom wrongly, and when, is not reckoned up yet: from the first pause, cut, deafness or wrong takeover on
//! this checker no longer judges. Worlds with crashes, losses, joins and leaves alone are judged to their end.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::change::Status;
use evenkeel_core::ids::DocId;
use evenkeel_core::outbox::Event;

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::{MachineId, Truth};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// Deaths, true or suspected, of owners while a document ran there.
    deaths: BTreeMap<DocId, u32>,
    /// Documents that ended somewhere, as long as not every node knows: who knows.
    told: BTreeMap<DocId, BTreeSet<MachineId>>,
    /// There was a fault that makes a node believe that another has died.
    disturbed: bool,
}

impl Duplicates {
    /// A machine is lost: what ran there may run again, and so may what had ended and was known to the lost only.
    fn lose(&mut self, machine: MachineId, slots: &[DocId], truth: &Truth) {
        for doc in slots {
            *self.deaths.entry(*doc).or_default() += 1;
        }
        let up = |id: &MachineId| *id != machine && truth.machine(*id).is_up();
        for (doc, knowing) in &mut self.told {
            if knowing.remove(&machine) && !knowing.iter().any(up) && !slots.contains(doc) {
                *self.deaths.entry(*doc).or_default() += 1;
            }
        }
        self.told.retain(|_, knowing| !knowing.is_empty());
    }
}

impl Checker for Duplicates {
    fn promise(&self) -> &'static str {
        "S3 (duplicates bounded)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let Some(node) = &truth.machine(step.machine).node else { return Ok(()) };
        if let Cause::Exited { doc, success: true, .. } = step.cause {
            self.told.entry(*doc).or_default().insert(step.machine);
        }
        for effect in step.effects {
            match effect {
                Effect::Start(claim) => {
                    let Some(document) = truth.document(claim.doc) else { continue };
                    // The process itself is made after this step.
                    let starts = document.starts + 1;
                    let deaths = self.deaths.get(&claim.doc).copied().unwrap_or(0);
                    let allowed = 1 + document.failures + deaths;
                    if starts > allowed && !self.disturbed {
                        let what = format!(
                            "{} is started for the {starts}. time, by {}, after {} failures and {deaths} deaths of an \
                             owner while it ran",
                            claim.doc, step.machine, document.failures
                        );
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                }
                Effect::Observe(Event::TookOver { from, .. }) => {
                    let from = truth.machine(MachineId::of(*from));
                    // Wrongly: what is claimed may start here and run, or still start, there.
                    if from.is_up() && from.is_running(truth.now) {
                        self.disturbed = true;
                    }
                    for (doc, _) in from.processes.keys() {
                        let claimed = node.state().entry(*doc);
                        let claimed = claimed.is_some_and(|entry| {
                            entry.status == Status::Claimed && MachineId::of(entry.node) == step.machine
                        });
                        if claimed {
                            *self.deaths.entry(*doc).or_default() += 1;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        match happening {
            Happening::Crashed { machine, slots, .. } => self.lose(*machine, slots, truth),
            Happening::Paused(_) | Happening::Suspected { .. } | Happening::Cut => self.disturbed = true,
            _ => {}
        }
        Ok(())
    }
}
