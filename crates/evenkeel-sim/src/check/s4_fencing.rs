//! S4, fencing: no two runs of a node start a document under the same epoch, where messages arrive and no other
//! node is lost, so that another knows of what a node claims (its next run cannot know of what it told nobody, before logs
//! are kept on disk); what a node starts is its own by its own
//! state; and a node that learns that it was away starts nothing until it has caught up.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use super::{Broken, Checker, Happening, Step};
use crate::world::{MachineId, Truth};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Fencing {
    /// Machines that catch up.
    settling: BTreeSet<MachineId>,
    /// Which run of a machine started a document last, under which epoch, and when.
    started: BTreeMap<(DocId, MachineId), (u32, Epoch, Micros)>,
    /// When each machine was lost last.
    lost: BTreeMap<MachineId, Micros>,
}

impl Fencing {
    /// Whether another machine was lost since: it may have been the only one that knew.
    fn others_lost(&self, machine: MachineId, since: Micros) -> bool {
        self.lost.iter().any(|(other, at)| *other != machine && *at + KNOWN >= since)
    }
}

/// What was claimed before such a time is known to all.
const KNOWN: Micros = Micros::from_secs(5);

impl Checker for Fencing {
    fn promise(&self) -> &'static str {
        "S4 (fencing)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        for effect in step.effects {
            match effect {
                Effect::Observe(Event::Paused | Event::Settling) => drop(self.settling.insert(step.machine)),
                Effect::Observe(Event::Settled) => drop(self.settling.remove(&step.machine)),
                Effect::Start(claim) => {
                    if self.settling.contains(&step.machine) {
                        let what = format!("{} starts {} before it has caught up", step.machine, claim.doc);
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                    let machine = truth.machine(step.machine);
                    let now = (machine.life, claim.epoch, truth.now);
                    let before = self.started.insert((claim.doc, step.machine), now);
                    if let Some((life, epoch, since)) = before
                        && truth.options.faults.is_reliable()
                        && !self.others_lost(step.machine, since)
                        && (life < machine.life && epoch >= claim.epoch || epoch > claim.epoch)
                    {
                        let what = format!(
                            "run {} of {} starts {} under epoch {}, and run {life} had started it under {epoch}",
                            machine.life, step.machine, claim.doc, claim.epoch
                        );
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                    let node = machine.node.as_ref().expect("it made a step");
                    let entry = node.state().entry(claim.doc);
                    let fits = entry
                        .is_some_and(|entry| entry.epoch == claim.epoch && MachineId::of(entry.node) == step.machine);
                    if !fits {
                        let what = format!(
                            "{} starts {} under epoch {}, but by its own state it is {entry:?}",
                            step.machine, claim.doc, claim.epoch
                        );
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        match happening {
            Happening::Crashed { machine, .. } => {
                self.settling.remove(machine);
                self.lost.insert(*machine, truth.now);
            }
            // What it knew it has left to others.
            Happening::Left(machine) => drop(self.settling.remove(machine)),
            _ => {}
        }
        Ok(())
    }
}
