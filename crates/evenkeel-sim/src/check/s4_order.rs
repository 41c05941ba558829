//! S4, of two owners under one epoch: whoever claimed the document as heir has it, not whoever was given it by an owner that
//! was held dead. Once a node knows of the claim, it stands.
//!
//! Few documents have both, and of those only the first are looked at.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::change::{Change, Status, Title};
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::message::Message;

use super::{Broken, Cause, Checker, Happening, Kind, Step};
use crate::world::{MachineId, Truth};

/// How many are looked at.
const LOOKED_AT: usize = 50;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Documents that were given away, and those that were claimed, under which epochs.
    given: BTreeSet<(DocId, Epoch)>,
    claimed: BTreeSet<(DocId, Epoch)>,
    /// Those that were both.
    contested: BTreeSet<(DocId, Epoch)>,
    /// Machines that have known of the claim.
    knowing: BTreeMap<MachineId, BTreeSet<(DocId, Epoch)>>,
}

impl Order {
    fn note(&mut self, change: &Change) {
        let Change::Moved { batch, docs, epoch, title, .. } = change else { return };
        let (own, other) = match title {
            Title::Claimed => (&mut self.claimed, &self.given),
            Title::Given | Title::PassedOn => (&mut self.given, &self.claimed),
        };
        for number in docs.iter() {
            let moved = (DocId { batch: *batch, number }, *epoch);
            own.insert(moved);
            if self.contested.len() < LOOKED_AT && other.contains(&moved) {
                self.contested.insert(moved);
            }
        }
    }
}

impl Checker for Order {
    fn promise(&self) -> &'static str {
        "S4 (a claim stands above a gift)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        if truth.options.faults.are_none() {
            return Ok(());
        }
        for effect in step.effects {
            if let Effect::Send { message: Message::Ahead { changes, .. }, .. } = effect {
                changes.iter().for_each(|change| self.note(change));
            }
        }
        let may_know = matches!(step.cause, Cause::Message(Kind::Changes | Kind::Snapshot | Kind::Ahead));
        let Some(node) = truth.machine(step.machine).node.as_ref().filter(|_| may_know) else { return Ok(()) };
        let knowing = self.knowing.entry(step.machine).or_default();
        for moved in &self.contested {
            let Some(slot) = node.state().slot(moved.0).filter(|slot| slot.epoch == moved.1) else { continue };
            match slot.status {
                Status::Owned(Title::Claimed) => drop(knowing.insert(*moved)),
                Status::Owned(Title::Given | Title::PassedOn) if knowing.contains(moved) => {
                    let what = format!(
                        "{} knows that {} was claimed under epoch {}, and holds a gift under the same to be more",
                        step.machine, moved.0, moved.1
                    );
                    return Err(Broken::new(what).document(moved.0).machine(step.machine));
                }
                Status::Owned(_) | Status::Ended(_) => {}
            }
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, _truth: &Truth) -> Result<(), Broken> {
        if let Happening::Crashed { machine, .. } = happening {
            self.knowing.remove(machine);
        }
        Ok(())
    }
}
