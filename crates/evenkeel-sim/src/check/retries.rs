//! Retries: a document fails for good only after as many attempts as were asked for, and rests between two of them.

use std::collections::BTreeMap;

use evenkeel_core::Effect;
use evenkeel_core::batch::BatchOptions;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use super::{Broken, Checker, Step};
use crate::world::{MachineId, Truth};

/// A document that has failed, and may not be tried again yet.
#[derive(Debug)]
struct Resting {
    /// The epoch under which its owner has it: under another it was lost, and has come back as anybody's.
    epoch: Epoch,
    failed: Micros,
    /// How long it must rest, at least: clocks drift.
    rest: Micros,
}

/// See above.
#[derive(Debug, Default)]
pub(super) struct Retries {
    resting: BTreeMap<(MachineId, DocId), Resting>,
}

/// The least rest after so many failures: doubled each time, five minutes at most.
fn rest(failures: u32) -> Micros {
    let usual = BatchOptions::default().backoff_millis << failures.saturating_sub(1).min(10);
    Micros::from_millis(usual.min(300_000) / 100 * 98)
}

impl Checker for Retries {
    fn promise(&self) -> &'static str {
        "retries (as many as asked for, with rests)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let Some(node) = &truth.machine(step.machine).node else { return Ok(()) };
        for effect in step.effects {
            match effect {
                Effect::Keep(verdict) if verdict.outcome == Outcome::Failed && !verdict.poison => {
                    let Some(batch) = truth.batches.get(&verdict.doc.batch) else { continue };
                    let failures = batch.documents[verdict.doc.number.0 as usize].failures;
                    if failures <= batch.work.retries {
                        let what = format!(
                            "{} gives {} up after {failures} failures, though it may be tried again {} times",
                            step.machine, verdict.doc, batch.work.retries
                        );
                        return Err(Broken::new(what).document(verdict.doc).machine(step.machine));
                    }
                }
                Effect::Observe(Event::Retried { doc, attempt }) => {
                    let Some(slot) = node.state().slot(*doc) else { continue };
                    let resting = Resting { epoch: slot.epoch, failed: truth.now, rest: rest(attempt.0) };
                    self.resting.insert((step.machine, *doc), resting);
                }
                Effect::Start(claim) => {
                    let Some(Resting { epoch, failed, rest }) = self.resting.remove(&(step.machine, claim.doc)) else {
                        continue;
                    };
                    let rested = truth.now.since(failed);
                    // A clock that jumps ends a rest.
                    if epoch == claim.epoch && rested < rest && truth.options.faults.clock_jump.is_none() {
                        let what = format!("{} starts {} {rested} after it has failed", step.machine, claim.doc);
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
