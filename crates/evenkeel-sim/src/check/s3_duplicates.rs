//! S3, duplicates bounded: a document starts once, once more for each attempt that failed, and once more for each time
//! that an owner died while it ran there, truly or in the eyes of an heir. Without faults: exactly once.
//!
//! Two bounds. Where nobody is held dead wrongly, only the death of an owner while the document ran there excuses another
//! start. From the first pause, cut, deafness or wrong takeover on, and where messages are lost, two may rightly hold a document for theirs, and run it
//! whenever they come to it; but one of them has claimed it as heir, or as one who came back. So then each claim of
//! that document, and nothing else, excuses one start. Of two runs of a machine each may claim it, and under the same epoch:
//! who knew of the first claim may have been out of reach of the second run for as long as heirs wait.
//!
//! A machine that comes back with its journal while another is down that was up after it makes such a time too: what that one
//! claimed last it cannot be asked for, and goes on with when it is back.
//!
//! The death of a machine on which a document had ended excuses another start too, since nobody else may know of the end.
//! (It does so also where others know, and heirs should have heard of it from them: of that too little is judged here.)
//! But if another knew, and left as the last who did, what was lost was lost by leaving, and that excuses nothing: a node
//! leaves what it knows to others first.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::change::{Change, Status, Title};
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;
use evenkeel_core::{Effect, Node};

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::{MachineId, Truth};

/// See above.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// Deaths, true or suspected, of owners while a document ran there.
    deaths: BTreeMap<DocId, u32>,
    /// Documents that ended somewhere, as long as not every node knows: who knows.
    told: BTreeMap<DocId, BTreeSet<MachineId>>,
    /// Documents that may run again because the machines where they ended have died: another one that knows of the end.
    heard: BTreeMap<DocId, MachineId>,
    /// Machines that were asked to leave after the last one was killed.
    leaving: BTreeSet<MachineId>,
    /// Which runs of which machines have claimed a document, under which epochs.
    claims: BTreeMap<DocId, BTreeSet<(Epoch, MachineId, u32)>>,
    /// Machines that were killed and will be back, and when that was.
    down: BTreeMap<MachineId, Micros>,
    /// There was a fault that makes a node believe that another has died.
    disturbed: bool,
}

impl Duplicates {
    /// A machine is lost: what ran there may run again, and so may what had ended and was known to the lost only.
    fn lose(&mut self, machine: MachineId, slots: &[DocId], truth: &Truth) {
        for doc in slots {
            *self.deaths.entry(*doc).or_default() += 1;
        }
        self.leaving.clear();
        self.forget(machine, truth);
        let up = |id: &MachineId| *id != machine && truth.machine(*id).is_up();
        for (doc, knowing) in &mut self.told {
            if knowing.remove(&machine) && !knowing.iter().any(up) && !slots.contains(doc) {
                *self.deaths.entry(*doc).or_default() += 1;
                if let Some(other) = another_knows(*doc, machine, truth) {
                    self.heard.insert(*doc, other);
                }
            }
        }
        self.told.retain(|_, knowing| !knowing.is_empty());
    }

    /// A machine has left: what it was the last to know was lost by that, and the death before it excuses nothing.
    fn leave(&mut self, machine: MachineId, truth: &Truth) {
        let forgotten = self.forget(machine, truth);
        // Whom it has left that to may have been killed meanwhile.
        if self.leaving.remove(&machine) {
            for doc in forgotten {
                *self.deaths.get_mut(&doc).expect("it is in `heard` because a death was counted") -= 1;
            }
        }
    }

    /// A machine has gone: takes out of `heard` what nobody knows any more.
    fn forget(&mut self, machine: MachineId, truth: &Truth) -> BTreeSet<DocId> {
        let mut forgotten = BTreeSet::new();
        for (doc, knowing) in self.heard.iter_mut().filter(|(_, knowing)| **knowing == machine) {
            match another_knows(*doc, machine, truth) {
                Some(other) => *knowing = other,
                None => drop(forgotten.insert(*doc)),
            }
        }
        self.heard.retain(|doc, _| !forgotten.contains(doc));
        forgotten
    }

    /// Notes what a machine has claimed in this step: it tells somebody at once, if there is anybody.
    fn note_claims(&mut self, step: &Step<'_>, truth: &Truth) {
        let life = truth.machine(step.machine).life;
        let mut told = false;
        let mut claims = false;
        for effect in step.effects {
            match effect {
                Effect::Send { message: Message::Ahead { reason: Reason::Claim, changes, .. }, .. } => {
                    for change in changes {
                        if let Change::Moved { batch, docs, epoch, .. } = change {
                            told = true;
                            for number in docs.iter() {
                                let doc = DocId { batch: *batch, number };
                                self.claims.entry(doc).or_default().insert((*epoch, step.machine, life));
                            }
                        }
                    }
                }
                Effect::Observe(Event::TookOver { .. } | Event::Settled) => claims = true,
                _ => {}
            }
        }
        let Some(node) = truth.machine(step.machine).node.as_ref().filter(|_| claims && !told) else { return };
        for (doc, epoch) in node.state().documents_of(node.me().node) {
            if node.state().slot(doc).is_some_and(|slot| slot.status == Status::Owned(Title::Claimed)) {
                self.claims.entry(doc).or_default().insert((epoch, step.machine, life));
            }
        }
    }
}

/// A machine other than this one that knows that a document has ended.
fn another_knows(doc: DocId, machine: MachineId, truth: &Truth) -> Option<MachineId> {
    let knows = |node: &Node| node.state().entry(doc).is_some_and(|entry| entry.outcome().is_some());
    let mut others = truth.machines.iter().filter(|other| other.id != machine);
    others.find(|other| other.node.as_ref().is_some_and(knows)).map(|other| other.id)
}

impl Checker for Duplicates {
    fn promise(&self) -> &'static str {
        "S3 (duplicates bounded)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let Some(node) = &truth.machine(step.machine).node else { return Ok(()) };
        if let Cause::Exited { doc, success: true, .. } = step.cause {
            self.told.entry(*doc).or_default().insert(step.machine);
            self.heard.remove(doc);
        }
        self.note_claims(step, truth);
        for effect in step.effects {
            match effect {
                Effect::Start(claim) => {
                    let Some(document) = truth.document(claim.doc) else { continue };
                    // The process itself is made after this step.
                    let starts = document.starts + 1;
                    let deaths = self.deaths.get(&claim.doc).copied().unwrap_or(0);
                    let claims = self.claims.get(&claim.doc).map_or(0, |claims| claims.len() as u32);
                    let disturbed = self.disturbed || !truth.options.faults.loss.is_never();
                    let (excuses, which) = if disturbed {
                        (claims.max(deaths), "claims of it by heirs")
                    } else {
                        (deaths, "deaths of an owner while it ran")
                    };
                    if starts > 1 + document.failures + excuses {
                        let what = format!(
                            "{} is started for the {starts}. time, by {}, after {} failures and {excuses} {which}",
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
                            entry.status == Status::Owned(Title::Claimed) && MachineId::of(entry.node) == step.machine
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
            Happening::Crashed { machine, slots, amnesia } => {
                self.lose(*machine, slots, truth);
                if !amnesia {
                    self.down.insert(*machine, truth.now);
                }
            }
            Happening::Started(machine) => {
                let since = self.down.remove(machine);
                if since.is_some_and(|since| self.down.values().any(|later| *later > since)) {
                    self.disturbed = true;
                }
            }
            Happening::Draining(machine) => drop(self.leaving.insert(*machine)),
            Happening::Left(machine) => self.leave(*machine, truth),
            Happening::Paused(_) | Happening::Suspected { .. } | Happening::Cut => self.disturbed = true,
            _ => {}
        }
        Ok(())
    }
}
