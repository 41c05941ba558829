//! S1, nothing lost: every acknowledged document has an outcome on every healthy node in the end, unless its batch was removed.

use evenkeel_core::change::{Entry, Status};
use evenkeel_core::ids::DocId;

use super::{Broken, Checker};
use crate::world::{Machine, MachineId, Truth};

/// See above.
pub(super) struct NothingLost;

impl Checker for NothingLost {
    fn promise(&self) -> &'static str {
        "S1 (nothing lost)"
    }

    fn end(&mut self, truth: &Truth) -> Result<(), Broken> {
        let promised = truth.batches.iter().filter(|(_, batch)| batch.is_promised());
        for (id, _) in promised {
            for machine in truth.healthy() {
                let state = machine.node.as_ref().expect("a healthy machine is up").state();
                let lost = state.first_open(*id).map(|number| DocId { batch: *id, number });
                if let Some(doc) = lost {
                    let what = format!(
                        "{doc} was acknowledged, and has no outcome at {}: {}",
                        machine.id,
                        opinions(doc, truth).join(", ")
                    );
                    return Err(Broken::new(what).document(doc).machine(machine.id));
                }
            }
        }
        Ok(())
    }
}

/// Where every healthy machine takes a document to stand.
fn opinions(doc: DocId, truth: &Truth) -> Vec<String> {
    let opinion = |machine: &Machine| {
        let entry = machine.node.as_ref().and_then(|node| node.state().entry(doc));
        let stands = match entry {
            Some(Entry { epoch, node, status: Status::Ended(outcome) }) => {
                format!("{outcome:?} by {} under epoch {epoch}", MachineId::of(node))
            }
            Some(Entry { epoch, node, status }) => {
                format!("{status:?} to {} under epoch {epoch}", MachineId::of(node))
            }
            None => "unknown".to_owned(),
        };
        format!("{stands} at {}", machine.id)
    };
    truth.healthy().map(opinion).collect()
}
