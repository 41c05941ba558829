//! L1: once faults have stopped, what one node has decided is known to all within ten gossip intervals and log2(n) rounds.

use evenkeel_core::ids::Origin;
use evenkeel_core::units::Micros;

use super::{Broken, Checker, Happening, Step};
use crate::world::{MachineId, Truth};

/// Time that nodes have to meet after faults have stopped, beyond detection: nothing is asked of them before.
const MEETING: Micros = Micros::from_secs(15);

/// See above.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// When what was noted must be known everywhere.
    due: Option<Micros>,
    /// How far each log was, when it was noted.
    noted: Vec<(Origin, u64)>,
    from: Option<Micros>,
}

/// How long it may take.
fn bound(truth: &Truth) -> Micros {
    let interval = truth.options.cluster.gossip_interval.0;
    let rounds = u64::from(usize::BITS - truth.core.len().leading_zeros());
    interval.times(10 + rounds)
}

impl Checker for Alike {
    fn promise(&self) -> &'static str {
        "L1 (all alike soon after faults stop)"
    }

    fn step(&mut self, _step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let Some(from) = self.from else { return Ok(()) };
        if truth.now < from || self.due.is_some_and(|due| truth.now < due) {
            return Ok(());
        }
        for machine in truth.healthy() {
            let log = machine.node.as_ref().expect("a healthy machine is up").log();
            for (origin, head) in &self.noted {
                let writer = truth.machine(MachineId::of(origin.node));
                // One that has left meanwhile has told somebody, who passes it on at leisure.
                if writer.is_up() && log.head(*origin) < *head {
                    let what = format!(
                        "{} has seen {} changes of {}, which had made {head} already {} ago",
                        machine.id,
                        log.head(*origin),
                        writer.id,
                        bound(truth)
                    );
                    return Err(Broken::new(what).machine(machine.id));
                }
            }
        }
        let heads = truth.healthy().map(|machine| {
            let node = machine.node.as_ref().expect("a healthy machine is up");
            (node.me(), node.log().head(node.me()))
        });
        self.noted = heads.collect();
        self.due = Some(truth.now + bound(truth));
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        match happening {
            Happening::Healed => self.from = Some(truth.now + truth.options.cluster.detection.0 + MEETING),
            // A newcomer has everything to learn, and what only a dead node knew is told by nobody.
            Happening::Started(_) | Happening::Crashed { .. } if self.from.is_some() => {
                self.from = Some(truth.now + truth.options.cluster.detection.0 + MEETING);
                (self.due, self.noted) = (None, Vec::new());
            }
            _ => {}
        }
        Ok(())
    }
}
