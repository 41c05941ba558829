//! What a world did, as one number that two equal runs share, and as the story of one document or one machine.

use std::fmt::Write;

use evenkeel_core::Effect;
use evenkeel_core::ids::DocId;
use evenkeel_core::outbox::{Claim, Event, Verdict};
use evenkeel_core::units::Micros;
use xxhash_rust::xxh3::Xxh3;

use crate::check::{Cause, Happening};
use crate::world::MachineId;

/// What of a world is told as a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subject {
    /// Nothing.
    #[default]
    Nothing,
    /// One document, and what happened to machines.
    Document(DocId),
    /// One machine.
    Machine(MachineId),
    /// Everything.
    Everything,
}

/// The trace of a world.
pub struct Trace {
    hasher: Xxh3,
    subject: Subject,
    story: Vec<String>,
}

impl Trace {
    /// A trace that keeps this story.
    pub fn new(subject: Subject) -> Trace {
        Trace { hasher: Xxh3::new(), subject, story: Vec::new() }
    }

    /// The number that two equal runs share.
    pub fn hash(&self) -> u64 {
        self.hasher.digest()
    }

    /// The story so far.
    pub fn story(&self) -> &[String] {
        &self.story
    }

    pub(crate) fn step(&mut self, now: Micros, machine: MachineId, cause: &Cause, effects: &[Effect]) {
        let mut line = Line::new();
        line.number(now.0).number(machine.0 as u64).number(effects.len() as u64);
        line.cause(cause);
        effects.iter().for_each(|effect| line.effect(effect));
        self.hasher.update(&line.0[..line.1]);
        if self.subject != Subject::Nothing {
            self.tell_step(now, machine, cause, effects);
        }
    }

    pub(crate) fn happening(&mut self, now: Micros, happening: &Happening) {
        self.hasher.update(&now.0.to_le_bytes());
        if self.subject != Subject::Nothing {
            self.story.push(format!("{now} {happening:?}"));
        }
    }

    fn tell_step(&mut self, now: Micros, machine: MachineId, cause: &Cause, effects: &[Effect]) {
        let concerns = |doc: &DocId| match self.subject {
            Subject::Document(wanted) => *doc == wanted,
            Subject::Machine(wanted) => machine == wanted,
            Subject::Everything => true,
            Subject::Nothing => false,
        };
        let mut told = String::new();
        let mut tell = |text: String| {
            let _ = write!(told, "; {text}");
        };
        match cause {
            Cause::Exited { doc, epoch, success } if concerns(doc) => {
                tell(format!("{doc} under epoch {epoch} has ended {}", if *success { "well" } else { "badly" }));
            }
            Cause::Kept(doc) if concerns(doc) => tell(format!("the result of {doc} is kept")),
            Cause::Unstarted(doc) if concerns(doc) => tell(format!("{doc} could not be started")),
            _ => {}
        }
        let whole = matches!(self.subject, Subject::Machine(wanted) if wanted == machine)
            || self.subject == Subject::Everything;
        for effect in effects {
            match effect {
                Effect::Start(Claim { doc, epoch, length, .. }) if concerns(doc) => {
                    tell(format!("starts {doc} under epoch {epoch}, length {length}"));
                }
                Effect::Kill { doc, epoch } if concerns(doc) => tell(format!("kills {doc} under epoch {epoch}")),
                Effect::Keep(Verdict { doc, outcome, .. }) if concerns(doc) => tell(format!("{doc} is {outcome:?}")),
                Effect::Observe(Event::Superseded(doc)) if concerns(doc) => tell(format!("has lost {doc}")),
                Effect::Observe(event) if whole => tell(format!("{event:?}")),
                Effect::Send { to, message } if whole => tell(format!("to {}: {message:?}", MachineId::of(*to))),
                _ => {}
            }
        }
        if !told.is_empty() {
            self.story.push(format!("{now} {machine}{told}"));
        }
    }
}

/// Most bytes of one step that go into the hash; what is beyond is told by the steps that follow from it.
const LINE: usize = 512;

/// The bytes of one step, without an allocation.
struct Line([u8; LINE], usize);

impl Line {
    fn new() -> Line {
        Line([0; LINE], 0)
    }

    fn number(&mut self, number: u64) -> &mut Line {
        if let Some(place) = self.0.get_mut(self.1..self.1 + 8) {
            place.copy_from_slice(&number.to_le_bytes());
            self.1 += 8;
        }
        self
    }

    fn document(&mut self, doc: DocId) -> &mut Line {
        self.number(doc.batch.0).number(doc.number.0.into())
    }

    fn cause(&mut self, cause: &Cause) {
        match cause {
            Cause::Wake => self.number(0),
            Cause::View => self.number(1),
            Cause::Message(kind) => self.number(2).number(*kind as u64),
            Cause::Submit(batch) => self.number(3).number(batch.0),
            Cause::Exited { doc, epoch, success } => {
                self.number(4).document(*doc).number(epoch.0.into()).number((*success).into())
            }
            Cause::Unstarted(doc) => self.number(5).document(*doc),
            Cause::Kept(doc) => self.number(6).document(*doc),
            Cause::Cancel(batch) => self.number(7).number(batch.0),
            Cause::Drain => self.number(8),
            Cause::Disk => self.number(9),
            Cause::Remove(batch) => self.number(10).number(batch.0),
            Cause::Slots => self.number(11),
        };
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Send { to, .. } => self.number(0).number(MachineId::of(*to).0 as u64),
            Effect::Publish(load) => {
                self.number(1).number(load.pending).number(load.work.to_bits()).number(load.digest)
            }
            Effect::Start(claim) => self.number(2).document(claim.doc).number(claim.epoch.0.into()),
            Effect::Kill { doc, epoch } => self.number(3).document(*doc).number(epoch.0.into()),
            Effect::Keep(verdict) => self.number(4).document(verdict.doc),
            Effect::Discard { doc, .. } => self.number(5).document(*doc),
            Effect::Acknowledge { batch, copies } => self.number(6).number(batch.0).number(*copies as u64),
            Effect::Leave { left_behind } => self.number(7).number(*left_behind),
            Effect::Observe(_) => self.number(8),
            Effect::Note { number, note } => self.number(9).number(*number).number(note.weight() as u64),
            Effect::Forget { before } => self.number(10).number(*before),
        };
    }
}
