//! What is recorded of a world while it runs, if anybody asks: through which pending counts it passed, and what pictures
//! are made of.
//!
//! A recorder looks on. It must not change anything, so that a run is the same with it and without: it draws no chance,
//! and neither nodes nor the world know of it. All that it shows is true, from each node's own state, whatever others
//! believe of it.

mod curves;
mod lanes;
mod marks;
mod moments;
mod passage;

use evenkeel_core::Effect;
use evenkeel_core::balance::{EPSILON, Equilibrium, Guard, SlowRule, Standing, equilibrium};
use evenkeel_core::message::Reason;
use evenkeel_core::outbox::Event;
use evenkeel_core::settings::Metric;
use evenkeel_core::units::Micros;

pub use curves::{Curves, Sample};
pub use lanes::{End, Lanes, Run, SLOTS};
pub use marks::{Mark, What};
pub use moments::Moment;
pub use passage::{Passage, Pending, Seen, State};

use crate::check::{Cause, Happening, Kind, Step};
use crate::options::Options;
use crate::world::{MachineId, Truth};

/// What is to be recorded.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Pending counts that the world is expected to pass through.
    pub pending: Vec<Pending>,
    /// What pictures are made of.
    pub pictures: bool,
}

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Through which pending counts the world passed, if some were expected.
    pub passage: Option<Passage>,
    /// What pictures are made of.
    pub film: Option<Film>,
}

/// What pictures are made of.
#[derive(Debug, Clone)]
pub struct Film {
    /// The world, as it was meant.
    pub options: Options,
    /// When the recording ends.
    pub end: Micros,
    /// How pending counts, potential and regret went.
    pub curves: Curves,
    /// Who ran what.
    pub lanes: Lanes,
    /// What happened to machines and between them.
    pub marks: Vec<Mark>,
    /// Pending counts at moments worth looking at.
    pub moments: Vec<Moment>,
}

/// Looks on.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Documents that each machine owns and that have no outcome, by its own state.
    pending: Vec<u64>,
    passage: Option<passage::Watch>,
    film: Option<(Film, moments::Watch)>,
}

impl Recorder {
    /// One that records what is wanted of a world that is about to begin; `None` if that is nothing.
    pub(crate) fn new(wanted: &Wanted, truth: &Truth) -> Option<Recorder> {
        if wanted.pending.is_empty() && !wanted.pictures {
            return None;
        }
        let film = || Film {
            options: truth.options.clone(),
            end: Micros::ZERO,
            curves: Curves::new(truth),
            lanes: Lanes::new(truth),
            marks: Vec::new(),
            moments: Vec::new(),
        };
        let film = wanted.pictures.then(|| (film(), moments::Watch::default()));
        let passage = (!wanted.pending.is_empty()).then(|| passage::Watch::new(&wanted.pending));
        Some(Recorder { pending: vec![0; truth.machines.len()], passage, film })
    }

    /// Time passes until then, and nothing happens meanwhile.
    pub(crate) fn pass(&mut self, until: Micros, truth: &Truth) {
        if let Some(passage) = &mut self.passage {
            passage.pass(until, &self.pending);
            // What has become level by running alone is level too; it need not be looked at more often than nodes do.
            let interval = truth.options.cluster.gossip_interval.0;
            if passage.waits_for_level(truth.now, interval) && balance(truth).in_equilibrium {
                passage.settle(truth.now);
            }
        }
        if let Some((film, watch)) = &mut self.film {
            let before = film.curves.samples.len();
            film.curves.pass(until, &self.pending, truth);
            let sampled = film.curves.samples.len() != before;
            if sampled && watch.waits_for_level() && balance(truth).in_equilibrium {
                watch.level(truth.now, &self.pending, truth, &mut film.moments);
            }
        }
    }

    /// A node has made a step, whose effects have not come about yet.
    pub(crate) fn step(&mut self, step: &Step<'_>, truth: &Truth) {
        let before = self.pending.get(step.machine.0).copied().unwrap_or(0);
        let machine = truth.machine(step.machine);
        let owned = machine.node.as_ref().map_or(0, |node| node.state().owned_by(machine.identity()));
        let handing = step.effects.iter().filter_map(|effect| match effect {
            Effect::Observe(Event::Gave { to, reason: Reason::Offer(_), .. }) => Some(MachineId::of(*to)),
            _ => None,
        });
        let handing: Vec<MachineId> = handing.collect();
        // Documents that are handed over come in a message of their own.
        let arrived = matches!(step.cause, Cause::Message(Kind::Ahead)) && owned > before;
        if let Some(passage) = &mut self.passage {
            passage.give(truth.now, &handing, &self.pending);
        }
        if let Some((film, watch)) = &mut self.film {
            watch.before(step, truth, &self.pending, !handing.is_empty(), &mut film.moments);
        }
        self.set(step.machine, owned);
        if let Some(passage) = &mut self.passage {
            passage.look(truth.now, &self.pending);
            if arrived && passage.arrive(truth.now, step.machine, &self.pending) && balance(truth).in_equilibrium {
                passage.settle(truth.now);
            }
        }
        if let Some((film, watch)) = &mut self.film {
            film.lanes.step(step, truth);
            if arrived && watch.waits_for_level() && balance(truth).in_equilibrium {
                watch.level(truth.now, &self.pending, truth, &mut film.moments);
            }
        }
    }

    /// Something happened that no node did.
    pub(crate) fn happening(&mut self, happening: &Happening, truth: &Truth) {
        if let Happening::Crashed { machine, .. } | Happening::Left(machine) = happening {
            if let Some((film, watch)) = &mut self.film {
                watch.lose(happening, truth, &self.pending, &mut film.moments);
                film.lanes.lose(*machine, truth.now);
            }
            self.set(*machine, 0);
        }
        if let Some((film, watch)) = &mut self.film {
            film.marks.extend(marks::of(happening, truth));
            if let Happening::Submitted(batch) = happening {
                film.lanes.submitted(*batch);
                watch.submitted(truth);
            }
        }
    }

    /// The world has come to its end.
    pub(crate) fn conclude(self, truth: &Truth) -> Recording {
        let pending = self.pending;
        Recording {
            passage: self.passage.map(|passage| passage.conclude(truth.now)),
            film: self.film.map(|(mut film, watch)| {
                watch.conclude(&mut film.moments);
                film.marks.extend(marks::levelling(truth));
                film.marks.sort_by_key(|mark| mark.at);
                film.curves.conclude(truth, &pending);
                film.end = truth.now;
                film
            }),
        }
    }

    fn set(&mut self, machine: MachineId, pending: u64) {
        if machine.0 >= self.pending.len() {
            self.pending.resize(machine.0 + 1, 0);
        }
        self.pending[machine.0] = pending;
    }
}

/// How all machines that are up stand, by what each knows of itself and by its true speed.
fn standings(truth: &Truth) -> Vec<Standing> {
    let speed = |speed: f64| match truth.options.cluster.metric {
        Metric::Count => 1.0,
        Metric::Length => speed,
    };
    truth
        .machines
        .iter()
        .filter_map(|machine| machine.node.as_ref().map(|node| node.standing_at(speed(machine.speed))))
        .collect()
}

/// How far the machines that are up are from equilibrium in truth.
fn balance(truth: &Truth) -> Equilibrium {
    let standings = standings(truth);
    let guard = Guard::new(SlowRule::from(&truth.options.cluster.settings(0)), &standings);
    equilibrium(&standings, &guard, EPSILON)
}
