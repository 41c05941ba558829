//! S1, what "acknowledged" means: at that moment as many nodes have the whole batch as there are to be copies, or all that
//! the node sees. What is lost later, nothing here can tell from what was never there: so it is looked at when it is said.

use evenkeel_core::Effect;

use super::{Broken, Checker, Step};
use crate::options::{Faults, Options};
use crate::world::Truth;

/// See above.
pub(super) struct Acknowledged;

/// Whether nobody goes who has had a batch: only then can those that have it be counted afterwards.
fn is_lasting(options: &Options) -> bool {
    let Faults { crash, drain, .. } = &options.faults;
    crash.is_none() && drain.is_none() && options.work.iter().all(|work| work.poison.is_never())
}

impl Checker for Acknowledged {
    fn promise(&self) -> &'static str {
        "S1 (acknowledged is copied)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        for effect in step.effects {
            let Effect::Acknowledge { batch, copies } = effect else { continue };
            let machine = truth.machine(step.machine);
            let node = machine.node.as_ref().expect("it made a step");
            let peers = node.view().live.values().filter(|peer| !peer.load.draining).count();
            let options = node.state().batch(*batch).map(|known| known.description().options.clone());
            let wanted = options.unwrap_or_default().copies().min(1 + peers);
            if *copies < wanted {
                let what = format!(
                    "{} acknowledges {batch} with {copies} copies, and sees {peers} others: {wanted} are the least",
                    step.machine
                );
                return Err(Broken::new(what).machine(step.machine));
            }
            let Some(taken) = truth.batches.get(batch) else { continue };
            let knows = |node: &evenkeel_core::Node| {
                node.state().batch(*batch).is_some_and(|known| known.tally().known == taken.documents.len() as u64)
            };
            let true_copies = truth.up().filter(|machine| machine.node.as_ref().is_some_and(knows)).count();
            if true_copies < *copies && is_lasting(&truth.options) {
                let what = format!(
                    "{} acknowledges {batch} with {copies} copies, and {true_copies} nodes have all of it",
                    step.machine
                );
                return Err(Broken::new(what).machine(step.machine));
            }
        }
        Ok(())
    }
}
