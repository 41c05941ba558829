//! S7: a start never skips a longer document that waits on the same node and could be started, nor one of the same length
//! whose batch is older.

use evenkeel_core::Effect;

use super::{Broken, Checker, Step};
use crate::world::Truth;

/// See above.
pub(super) struct LongestFirst;

impl Checker for LongestFirst {
    fn promise(&self) -> &'static str {
        "S7 (longest first)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let last = step.effects.iter().rev().find_map(|effect| match effect {
            Effect::Start(claim) => Some(claim),
            _ => None,
        });
        let Some(last) = last else { return Ok(()) };
        let Some(node) = &truth.machine(step.machine).node else { return Ok(()) };
        if let Some((doc, length)) = node.longest_eligible()
            && length > last.length
        {
            let what = format!(
                "{} starts {} of length {}, while {doc} of length {length} waits",
                step.machine, last.doc, last.length
            );
            return Err(Broken::new(what).document(doc).machine(step.machine));
        }
        let submitted = |batch| node.state().batch(batch).map(|batch| batch.description().submitted_unix_millis);
        if let Some((doc, length)) = node.longest_eligible()
            && length == last.length
            && submitted(doc.batch) < submitted(last.doc.batch)
        {
            let what =
                format!("{} starts {}, while {doc} of an older batch, and as long, waits", step.machine, last.doc);
            return Err(Broken::new(what).document(doc).machine(step.machine));
        }
        Ok(())
    }
}
