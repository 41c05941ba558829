//! S1, nothing lost: every acknowledged document has an outcome on every healthy node in the end.

use evenkeel_core::ids::DocId;

use super::{Broken, Checker};
use crate::world::Truth;

/// See above.
pub(super) struct NothingLost;

impl Checker for NothingLost {
    fn promise(&self) -> &'static str {
        "S1 (nothing lost)"
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        let promised = truth.batches.iter().filter(|(_, batch)| batch.acknowledged.is_some());
        for (id, _) in promised {
            for machine in truth.healthy() {
                let state = machine.node.as_ref().expect("a healthy machine is up").state();
                let lost = state.first_open(*id).map(|number| DocId { batch: *id, number });
                if let Some(doc) = lost {
                    let stands = match state.entry(doc) {
                        Some(entry) => format!("owned by {} under epoch {}", entry.node, entry.epoch),
                        None => "unknown".to_owned(),
                    };
                    let what = format!("{doc} was acknowledged, and has no outcome at {}: it is {stands}", machine.id);
                    return Err(Broken::new(what).document(doc).machine(machine.id));
                }
            }
        }
        Ok(())
    }
}
