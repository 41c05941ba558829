//! The checkers: each promise of the protocol is a file here that names it, sees everything, and says in words how it was
//! broken.
//!
//! A checker knows the truth, and what nodes were told and wanted; it never tells anybody anything. What it must not
//! know is how the protocol keeps its promises.

mod cancelled;
mod cautious;
mod invariants;
mod l1_alike;
mod l2_takeover;
mod l3_levelling;
mod l5_stuck;
mod l6_poison;
mod l7_healed;
mod removed;
mod retries;
mod s12_bounds;
mod s1_acknowledged;
mod s1_nothing_lost;
mod s2_done_wins;
mod s2_one_result;
mod s3_duplicates;
mod s4_fencing;
mod s4_order;
mod s4_pause;
mod s6_slots;
mod s7_longest_first;

use std::fmt;

use evenkeel_core::ids::{BatchId, DocId, Epoch};
use evenkeel_core::message::Message;
use evenkeel_core::units::Micros;
use evenkeel_core::{Effect, Exited, Input};

use crate::world::{MachineId, Truth};

/// What a node was told, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its timer.
    Wake,
    /// Who lives.
    View,
    /// A message.
    Message(Kind),
    /// A new batch.
    Submit(BatchId),
    /// A process has ended.
    Exited {
        /// Its document.
        doc: DocId,
        /// Under which epoch.
        epoch: Epoch,
        /// Whether it ended well.
        success: bool,
    },
    /// A process could not be tried.
    Unstarted(DocId),
    /// A result is kept.
    Kept(DocId),
    /// A batch is cancelled.
    Cancel(BatchId),
    /// A batch is removed.
    Remove(BatchId),
    /// A node is to leave.
    Drain,
    /// Its disk fails, or works again.
    Disk,
    /// It has more slots than before, or fewer.
    Slots,
}

/// What kind of message it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the core's messages")]
pub enum Kind {
    Head,
    Pull,
    Changes,
    Snapshot,
    Ahead,
    Offer,
    Grant,
    Dry,
    Nothing,
}

impl Cause {
    pub(crate) fn of(input: &Input) -> Cause {
        match input {
            Input::Wake => Cause::Wake,
            Input::View(_) => Cause::View,
            Input::Received { message, .. } => Cause::Message(match message {
                Message::Head { .. } => Kind::Head,
                Message::Pull { .. } => Kind::Pull,
                Message::Changes { .. } => Kind::Changes,
                Message::Snapshot { .. } => Kind::Snapshot,
                Message::Ahead { .. } => Kind::Ahead,
                Message::Offer { .. } => Kind::Offer,
                Message::Grant { .. } => Kind::Grant,
                Message::Dry { .. } => Kind::Dry,
                Message::Nothing { .. } => Kind::Nothing,
            }),
            Input::Submit { batch, .. } => Cause::Submit(batch.id),
            Input::Exited(Exited { doc, epoch, success, .. }) => {
                Cause::Exited { doc: *doc, epoch: *epoch, success: *success }
            }
            Input::Unstarted { doc, .. } => Cause::Unstarted(*doc),
            Input::Kept { doc, .. } => Cause::Kept(*doc),
            Input::Cancel(batch) => Cause::Cancel(*batch),
            Input::Remove(batch) => Cause::Remove(*batch),
            Input::Drain(_) => Cause::Drain,
            Input::DiskFails | Input::DiskWorks => Cause::Disk,
            Input::Slots(_) => Cause::Slots,
        }
    }
}

/// One step of one node: it is the state after it that the truth shows.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Whose.
    pub machine: MachineId,
    /// What it was told.
    pub cause: &'a Cause,
    /// What it wants done.
    pub effects: &'a [Effect],
}

/// Something that no node did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A machine was started.
    Started(MachineId),
    /// A machine was killed, with these documents in its slots.
    Crashed {
        /// Which.
        machine: MachineId,
        /// Documents that held a slot.
        slots: Vec<DocId>,
        /// It has lost its key, and will not come back.
        amnesia: bool,
    },
    /// A machine stands still.
    Paused(MachineId),
    /// One machine no longer hears of another.
    Suspected {
        /// Of whom.
        who: MachineId,
        /// Which.
        by: MachineId,
    },
    /// A machine has joined.
    Joined {
        /// Which.
        machine: MachineId,
        /// Nothing was cut at the time.
        whole: bool,
    },
    /// A machine is asked to leave.
    Draining(MachineId),
    /// A machine has left.
    Left(MachineId),
    /// The network is cut.
    Cut,
    /// A node took a batch.
    Submitted(BatchId),
    /// A client cancelled a batch.
    Cancelled(BatchId),
    /// A client has a batch removed.
    Removed {
        /// Which.
        batch: BatchId,
        /// The machine that it asks, which knows that it has ended.
        by: MachineId,
    },
    /// The faults have ended.
    Healed,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: &'static str,
    /// When.
    pub at: Micros,
    /// The document concerned, whose story explains it.
    pub document: Option<DocId>,
    /// The machine concerned.
    pub machine: Option<MachineId>,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken at {}: {}", self.promise, self.at, self.what)
    }
}

/// What a checker has to say.
pub type Verdict = Result<(), Violation>;

/// Watches over one promise.
pub trait Checker: Send {
    /// The promise: its number, and what it says.
    fn promise(&self) -> &'static str;

    /// A node has made a step.
    fn step(&mut self, _step: &Step<'_>, _truth: &Truth) -> Result<(), Broken> {
        Ok(())
    }

    /// Something happened that no node did.
    fn happening(&mut self, _happening: &Happening, _truth: &Truth) -> Result<(), Broken> {
        Ok(())
    }

    /// The world has come to its end: everything has an outcome, or the time is up.
    fn end(&mut self, _truth: &Truth) -> Result<(), Broken> {
        Ok(())
    }
}

/// How a promise was broken, in a checker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    document: Option<DocId>,
    machine: Option<MachineId>,
    what: String,
}

impl Broken {
    fn new(what: impl Into<String>) -> Broken {
        Broken { document: None, machine: None, what: what.into() }
    }

    fn document(self, document: DocId) -> Broken {
        Broken { document: Some(document), ..self }
    }

    fn machine(self, machine: MachineId) -> Broken {
        Broken { machine: Some(machine), ..self }
    }
}

/// All checkers.
pub struct Checkers(Vec<Box<dyn Checker>>);

impl Checkers {
    /// One of each.
    pub fn all() -> Checkers {
        Checkers(vec![
            Box::new(invariants::Invariants::default()),
            Box::new(s1_nothing_lost::NothingLost),
            Box::new(s2_one_result::OneResult),
            Box::new(s3_duplicates::Duplicates::default()),
            Box::new(s4_fencing::Fencing::default()),
            Box::new(s6_slots::Slots),
            Box::new(s7_longest_first::LongestFirst),
            Box::new(s12_bounds::Bounds),
            Box::new(l1_alike::Alike::default()),
            Box::new(l2_takeover::Takeover::default()),
            Box::new(l3_levelling::Levelling::default()),
            Box::new(l5_stuck::Stuck),
            Box::new(l6_poison::Poison),
            Box::new(l7_healed::Healed::default()),
            Box::new(s1_acknowledged::Acknowledged),
            Box::new(s2_done_wins::DoneWins::default()),
            Box::new(s4_order::Order::default()),
            Box::new(s4_pause::Pauses::default()),
            Box::new(retries::Retries::default()),
            Box::new(cancelled::Cancelled),
            Box::new(removed::Removed::default()),
            Box::new(cautious::Cautious::default()),
        ])
    }

    fn each(&mut self, truth: &Truth, mut look: impl FnMut(&mut dyn Checker) -> Result<(), Broken>) -> Verdict {
        for checker in &mut self.0 {
            look(checker.as_mut()).map_err(|Broken { document, machine, what }| Violation {
                promise: checker.promise(),
                at: truth.now,
                document,
                machine,
                what,
            })?;
        }
        Ok(())
    }

    pub(crate) fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Verdict {
        self.each(truth, |checker| checker.step(step, truth))
    }

    pub(crate) fn happening(&mut self, happening: &Happening, truth: &Truth) -> Verdict {
        self.each(truth, |checker| checker.happening(happening, truth))
    }

    pub(crate) fn end(&mut self, truth: &Truth) -> Verdict {
        self.each(truth, |checker| checker.end(truth))
    }
}
