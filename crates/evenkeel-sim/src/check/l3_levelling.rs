//! L3: averaging only ever makes things better. What is granted is better off where it goes, so that the potential falls;
//! no document is moved for ever; and where nothing goes wrong all nodes are level after a while.

use std::collections::BTreeMap;

use evenkeel_core::Effect;
use evenkeel_core::balance::weigh;
use evenkeel_core::ids::{NodeId, OfferId};
use evenkeel_core::message::{Message, Reason};
use evenkeel_core::settings::Metric;
use evenkeel_core::units::Micros;

use super::{Broken, Cause, Checker, Happening, Step};
use crate::world::{Machine, MachineId, Truth};

/// What speeds may be held to be apart from 1, and levels from what they were an instant before.
const NEARLY: f64 = 0.01;

/// Time for which offers are remembered: no message is held back for longer.
const REMEMBERED: Micros = Micros::from_secs(60);

/// Time after the last submission in which all nodes must become level.
const LEVELLED: Micros = Micros::from_secs(60);

/// Time between two looks at whether they are.
const EVERY: Micros = Micros::from_secs(1);

/// What a donor says of its offer.
#[derive(Debug)]
struct Offer {
    at: Micros,
    work: f64,
    capacity: f64,
    weights: Vec<f64>,
}

/// What a receiver has granted, and is not on its way yet.
#[derive(Debug)]
struct Granted {
    weight: f64,
    until: Micros,
}

type Handshake = (NodeId, OfferId);

/// See above.
#[derive(Debug, Default)]
pub(super) struct Levelling {
    offers: BTreeMap<Handshake, Offer>,
    granted: BTreeMap<MachineId, BTreeMap<Handshake, Granted>>,
    swept: Micros,
    submitted: Micros,
    /// What the longest document takes.
    longest: Micros,
    looked: Micros,
}

impl Levelling {
    fn note(&mut self, handshake: Handshake, offer: Offer) {
        if self.swept + REMEMBERED < offer.at {
            self.swept = offer.at;
            let oldest = offer.at.since(REMEMBERED);
            self.offers.retain(|_, offer| offer.at >= oldest);
        }
        self.offers.insert(handshake, offer);
    }

    /// A receiver grants. The last of the documents must be better off there, what else waits there and what else was
    /// granted counted in, and what runs there left out: it is the least that can be said. Where speeds are measured to
    /// differ, levels are a matter of opinion, and nothing is said.
    fn judge(&mut self, step: &Step<'_>, handshake: Handshake, places: &[usize], truth: &Truth) -> Result<(), Broken> {
        let machine = truth.machine(step.machine);
        let Some(node) = &machine.node else { return Ok(()) };
        let nominal = |capacity: f64, machine: &Machine| (capacity / f64::from(machine.slots) - 1.0).abs() < NEARLY;
        let under_way = self.granted.entry(step.machine).or_default();
        under_way.retain(|_, granted| granted.until > truth.now);
        let before: f64 = under_way.values().map(|granted| granted.weight).sum();
        // Of an earlier run of the donor, or of one whose numbers are the same: not known what was offered.
        let Some(offer) =
            self.offers.get(&handshake).filter(|offer| places.iter().all(|place| *place < offer.weights.len()))
        else {
            return Ok(());
        };
        let capacity = node.standing().capacity();
        if !nominal(capacity, machine) || !nominal(offer.capacity, truth.machine(MachineId::of(handshake.0))) {
            return Ok(());
        }
        let weights = || places.iter().map(|place| offer.weights[*place]);
        let (sum, longest) = (weights().sum::<f64>(), weights().fold(0.0, f64::max));
        let until = truth.now + truth.options.cluster.gossip_interval.0;
        under_way.insert(handshake, Granted { weight: sum, until });
        let here = (node.waiting_work() + before + sum) / capacity;
        let there = (offer.work - sum + longest) / offer.capacity;
        if here <= there * (1.0 + 3.0 * NEARLY) {
            return Ok(());
        }
        let what = format!(
            "{} grants {} documents to {}, and stands at a level of {here:.3} with them; that one, with the last of them, \
             would stand at {there:.3}",
            step.machine,
            places.len(),
            MachineId::of(handshake.0)
        );
        Err(Broken::new(what).machine(step.machine))
    }

    /// The highest level and the lowest differ by no more than the longest document, or a twentieth of their mean.
    fn are_level(&mut self, truth: &Truth) -> Result<(), Broken> {
        self.looked = truth.now;
        let level = |machine: &Machine| {
            let slots = f64::from(machine.slots) * machine.speed;
            (machine.node.as_ref().map_or(0.0, |node| node.work()) / slots, machine.id)
        };
        let levels = || truth.up().map(level);
        let by_level = |a: &(f64, MachineId), b: &(f64, MachineId)| a.0.total_cmp(&b.0);
        let (Some(highest), Some(lowest)) = (levels().max_by(by_level), levels().min_by(by_level)) else {
            return Ok(());
        };
        let mean = levels().map(|(level, _)| level).sum::<f64>() / truth.machines.len() as f64;
        let longest = self.longest.0 as f64 / 1_000.0;
        let most = longest.max(mean / 20.0);
        if highest.0 - lowest.0 > most {
            let what = format!(
                "{} stands at a level of {:.1} and {} at one of {:.1}; {most:.1} is the most by which they may differ",
                highest.1, highest.0, lowest.1, lowest.0
            );
            return Err(Broken::new(what).machine(highest.1));
        }
        Ok(())
    }
}

/// How often a document may be moved where nothing goes wrong, and no other batch comes between.
fn most_moves(truth: &Truth) -> u32 {
    (truth.machines.len() as u32).ilog2() + 1 + 3
}

/// Whether lengths are right and machines alike, so that it is known what level is.
fn is_plain(truth: &Truth) -> bool {
    let cluster = &truth.options.cluster;
    let right = truth.options.work.iter().all(|work| {
        work.misprediction == 0.0
            && !work.unknown
            && work.retries == 0
            && work.hanging.is_never()
            && work.poison.is_never()
    });
    right
        && truth.options.faults.are_none()
        && cluster.metric == Metric::Length
        && cluster.speeds.iter().all(|speed| *speed == cluster.speeds[0])
}

impl Checker for Levelling {
    fn promise(&self) -> &'static str {
        "L3 (averaging only levels)"
    }

    fn step(&mut self, step: &Step<'_>, truth: &Truth) -> Result<(), Broken> {
        let me = truth.machine(step.machine).identity();
        // A step may end with a tick, which may bring what dead nodes owned: it was not there yet when the node granted.
        let ticked = step.effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));
        for effect in step.effects {
            match effect {
                Effect::Send { message: Message::Offer { id, work, capacity, export: false, docs, .. }, .. } => {
                    let metric = truth.options.cluster.metric;
                    let weights = docs.iter().map(|offered| weigh(metric, offered.length)).collect();
                    self.note((me, *id), Offer { at: truth.now, work: *work, capacity: *capacity, weights });
                }
                Effect::Send { to, message: Message::Grant { id, accepted, .. } }
                    if !accepted.is_empty() && !ticked =>
                {
                    let places: Vec<usize> = accepted.iter().map(|place| place.0 as usize).collect();
                    self.judge(step, (*to, *id), &places, truth)?;
                }
                Effect::Send { to, message: Message::Ahead { reason: Reason::Offer(id), .. } } => {
                    // Whoever grants it once more, as the offer came twice, grants nothing.
                    self.offers.remove(&(me, *id));
                    if let Some(under_way) = self.granted.get_mut(&MachineId::of(*to)) {
                        under_way.remove(&(me, *id));
                    }
                }
                Effect::Start(claim) if is_plain(truth) && truth.batches.len() == 1 => {
                    let moves = claim.epoch.0.saturating_sub(1);
                    if moves > most_moves(truth) {
                        let what = format!("{} was moved {moves} times before it started", claim.doc);
                        return Err(Broken::new(what).document(claim.doc).machine(step.machine));
                    }
                }
                _ => {}
            }
        }
        let due = self.looked.max(self.submitted + LEVELLED) + EVERY;
        if *step.cause == Cause::Wake && truth.now >= due && is_plain(truth) {
            self.are_level(truth)?;
        }
        Ok(())
    }

    fn happening(&mut self, happening: &Happening, truth: &Truth) -> Result<(), Broken> {
        match happening {
            Happening::Submitted(batch) => {
                self.submitted = truth.now;
                let takes = truth.batches[batch].documents.iter().map(|document| document.takes);
                self.longest = takes.fold(self.longest, Micros::max);
            }
            Happening::Crashed { machine, .. } => {
                self.granted.remove(machine);
                // The next run begins again with the first number.
                let donor = truth.machine(*machine).identity();
                self.offers.retain(|(node, _), _| *node != donor);
            }
            _ => {}
        }
        Ok(())
    }
}
