//! The partition policy `cautious`: a node that sees less than half of the last stable membership starts and claims nothing.
//!
//! Judged where the membership itself never changes, and nodes do not stand still: there what is stable can be told from
//! outside. Nodes note at which moment something was quiet for long enough by their own clocks: what they may do by the
//! earliest such moment or by the latest, is not held against them.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::Effect;
use evenkeel_core::ids::NodeId;
use evenkeel_core::outbox::Event;
use evenkeel_core::settings::Partition;
use evenkeel_core::units::Micros;

use super::{Broken, Cause, Checker, Step};
use crate::options::{Faults, Options};
use crate::world::{MachineId, Truth};

/// Quiet, in tenths of the detection time, after which a view is stable: at the earliest, and at the latest.
const QUIET: [u64; 2] = [9, 13];

/// What is known of one node.
#[derive(Debug, Default)]
struct Seen {
    view: BTreeSet<NodeId>,
    changed: Micros,
    /// The last stable view, by the earliest and by the latest reckoning.
    stable: [BTreeSet<NodeId>; 2],
    /// Since when it is a minority by both.
    minority_since: Option<Micros>,
}

/// See above.
#[derive(Debug, Default)]
pub(super) struct Cautious {
    seen: BTreeMap<MachineId, Seen>,
}

fn is_judged(options: &Options) -> bool {
    let Faults { crash, pause, starve, join, drain, clock_jump, .. } = &options.faults;
    options.cluster.partition == Partition::Cautious
        && [crash, pause, starve, join, drain, clock_jump].into_iter().all(Option::is_none)
        && options.work.iter().all(|work| work.poison.is_never())
}

impl Seen {
    fn is_minority_of(&self, stable: &BTreeSet<NodeId>) -> bool {
        let left = stable.intersection(&self.view).count();
        2 * (left + 1) < stable.len() + 1
    }

    fn look(&mut self, view: BTreeSet<NodeId>, now: Micros, detection: Micros) {
        if view != self.view {
            (self.view, self.changed) = (view, now);
        }
        for (reckoning, tenths) in QUIET.into_iter().enumerate() {
            let quiet = now.since(self.changed).0 >= detection.0 / 10 * tenths;
            if quiet && !self.is_minority_of(&self.stable[reckoning]) {
                self.stable[reckoning] = self.view.clone();
            }
        }
        let minority = self.stable.iter().all(|stable| self.is_minority_of(stable));
        self.minority_since = minority.then(|| self.minority_since.unwrap_or(now));
    }
}

impl Checker for Cautious {
    fn promise(&self) -> &'static str {
        "cautious (a minority starts nothing)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        if !is_judged(&truth.options) {
            return Ok(());
        }
        let machine = truth.machine(step.machine);
        let Some(node) = &machine.node else { return Ok(()) };
        let settings = machine.settings();
        let seen = self.seen.entry(step.machine).or_default();
        if matches!(step.cause, Cause::View | Cause::Wake) {
            seen.look(node.view().live.keys().copied().collect(), truth.now, settings.detection);
        }
        let Some(since) = seen.minority_since else { return Ok(()) };
        // It notes it once a gossip interval, and goes on all the same after a while, if it was told so.
        let noted = truth.now > since + settings.gossip_interval.times(2);
        let waits = settings.minority_delay.is_none_or(|delay| truth.now.since(since).0 < delay.0 / 100 * 98);
        let acts = step.effects.iter().find_map(|effect| match effect {
            Effect::Start(claim) => Some(format!("starts {}", claim.doc)),
            Effect::Observe(Event::TookOver { documents, .. }) => Some(format!("claims {documents} documents")),
            _ => None,
        });
        if let (true, true, Some(act)) = (noted, waits, acts) {
            let what = format!(
                "{} {act}, and sees {} others, where it was sure of {}",
                step.machine,
                seen.view.len(),
                seen.stable[0].len()
            );
            return Err(Broken::new(what).machine(step.machine));
        }
        Ok(())
    }
}
