//! The network: what becomes of a message between two machines.
//!
//! Nothing is promised: messages are lost, doubled, late and overtaken; links are cut in one direction or both, or hold
//! everything back for a while. QUIC gives more than this, within one connection; across reconnections it does not.

use std::collections::BTreeMap;

use evenkeel_core::message::Message;
use evenkeel_core::units::{Length, Micros};

use super::machine::MachineId;
use crate::counts::Counts;
use crate::dice::{Dice, Ratio};
use crate::options::Faults;
use crate::span::Spans;

/// A part of the network that carries nothing.
#[derive(Debug, Clone)]
pub(super) enum Cut {
    /// Between these machines and all others, in both directions.
    Apart(Vec<MachineId>),
    /// From these machines to all others.
    Mute(Vec<MachineId>),
    /// To these machines from all others.
    Deaf(Vec<MachineId>),
    /// Between any two that are not neighbours, if so many stand in a ring.
    Ring(usize),
    /// Between any two.
    Everywhere,
}

impl Cut {
    fn severs(&self, from: MachineId, to: MachineId) -> bool {
        match self {
            Cut::Apart(side) => side.contains(&from) != side.contains(&to),
            Cut::Mute(side) => side.contains(&from) && !side.contains(&to),
            Cut::Deaf(side) => side.contains(&to) && !side.contains(&from),
            Cut::Ring(of) => {
                let apart = from.0.abs_diff(to.0) % of;
                apart != 1 && apart != of - 1
            }
            Cut::Everywhere => true,
        }
    }
}

/// The network.
#[derive(Debug)]
pub(super) struct Network {
    dice: Dice,
    loss: Ratio,
    duplication: Ratio,
    hostile: Ratio,
    delay: Spans,
    cuts: Vec<(Micros, Cut)>,
    /// Links that hold everything back until then.
    clogged: BTreeMap<(MachineId, MachineId), Micros>,
}

/// How long a message takes where nothing is said of it.
const USUAL: (Micros, Micros) = (Micros(200), Micros(2_000));

impl Network {
    pub(super) fn new(faults: &Faults, dice: Dice) -> Network {
        Network {
            dice,
            loss: faults.loss,
            duplication: faults.duplication,
            hostile: faults.hostile,
            delay: faults.delay,
            cuts: Vec::new(),
            clogged: BTreeMap::new(),
        }
    }

    pub(super) fn cut(&mut self, until: Micros, cut: Cut) {
        self.cuts.push((until, cut));
    }

    pub(super) fn clog(&mut self, from: MachineId, to: MachineId, until: Micros) {
        self.clogged.insert((from, to), until);
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        (self.loss, self.duplication, self.hostile) = (Ratio::NEVER, Ratio::NEVER, Ratio::NEVER);
        self.delay = Spans::default();
        self.cuts.clear();
        self.clogged.clear();
    }

    /// Whether nothing is cut.
    pub(super) fn is_whole(&self, now: Micros) -> bool {
        self.cuts.iter().all(|(until, _)| *until <= now)
    }

    /// Whether a message would get through.
    pub(super) fn connects(&mut self, now: Micros, from: MachineId, to: MachineId) -> bool {
        self.cuts.retain(|(until, _)| *until > now);
        !self.cuts.iter().any(|(_, cut)| cut.severs(from, to))
    }

    /// When a message arrives: never, once, or twice.
    pub(super) fn carry(&mut self, now: Micros, from: MachineId, to: MachineId, counts: &mut Counts) -> Vec<Micros> {
        if !self.connects(now, from, to) {
            counts.messages_cut += 1;
            return Vec::new();
        }
        if self.dice.happens(self.loss) {
            counts.messages_lost += 1;
            return Vec::new();
        }
        let mut arrivals = vec![self.arrival(now, from, to, counts)];
        if self.dice.happens(self.duplication) {
            counts.messages_doubled += 1;
            arrivals.push(self.arrival(now, from, to, counts));
        }
        arrivals
    }

    fn arrival(&mut self, now: Micros, from: MachineId, to: MachineId, counts: &mut Counts) -> Micros {
        let range = if self.delay == Spans::default() { USUAL } else { self.delay.range() };
        let arrival = now + self.dice.time(range);
        match self.clogged.get(&(from, to)) {
            Some(until) if *until > now => {
                counts.messages_clogged += 1;
                arrival.max(*until + Micros(self.dice.below(1_000)))
            }
            _ => arrival,
        }
    }

    /// Puts numbers into a message that no honest node would send, if it is its turn.
    pub(super) fn spoil(&mut self, mut message: Message, counts: &mut Counts) -> Message {
        if !self.dice.happens(self.hostile) {
            return message;
        }
        let amount = *self.dice.pick(&[0.0, 1.0, 1e300, f64::MAX, f64::MIN_POSITIVE]).expect("there are some");
        let load = match &mut message {
            Message::Offer { work, capacity, mean, docs, .. } => {
                (*work, *capacity, *mean) = (amount, amount, amount);
                if let Some(first) = docs.first_mut() {
                    first.length = Length::MAX;
                }
                None
            }
            Message::Grant { load, .. } | Message::Dry { load, .. } | Message::Nothing { load } => Some(load),
            Message::Head { head } => {
                *head = u64::MAX;
                None
            }
            // What changes say is believed: a node that holds the secret can lie about documents.
            Message::Pull { .. } | Message::Changes { .. } | Message::Snapshot { .. } | Message::Ahead { .. } => {
                return message;
            }
        };
        if let Some(load) = load {
            load.pending = self.dice.draw();
            load.work = amount;
            load.bench = amount;
            load.ln_rate = -amount;
            load.rate_variance = f64::INFINITY;
            load.longest = Some(Length::MAX);
            load.shortest = Some(Length(0));
            load.head = u64::MAX;
        }
        counts.messages_spoilt += 1;
        message
    }
}
