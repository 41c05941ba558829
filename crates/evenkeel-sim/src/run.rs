//! One simulation from its beginning to its end: faults let loose, then a healed core that must come to its end.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evenkeel_core::units::Micros;

use crate::central;
use crate::check::{Checkers, Violation};
use crate::counts::Counts;
use crate::options::Options;
use crate::record::{Recorder, Recording, Wanted};
use crate::trace::{Subject, Trace};
use crate::world::{Truth, World};

/// How long a world goes on when all has ended, so that everybody hears of it: so many gossip intervals, and so long at least,
/// as nodes whose states differ though their logs do not wait that out for two seconds.
const QUIET: u64 = 40;
const QUIET_TIME: Micros = Micros::from_secs(6);

/// How often as long again it goes on, if nodes do not agree then: who was given a process or an outcome by one that was
/// late itself.
const MORE_QUIET: u32 = 4;

/// Events between two looks at whether all has ended.
const LOOK: u64 = 64;

/// What came of a simulation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The number that equal runs share.
    pub hash: u64,
    /// Virtual time that passed.
    pub simulated: Micros,
    /// Virtual time that passed, for each node that there was at the beginning.
    pub node_time: Micros,
    /// What was counted.
    pub counts: Counts,
    /// Time from the submission of the first batch until the last was finished.
    pub makespan: Micros,
    /// What no schedule can beat: all work over all capacity, or the longest document on the fastest machine.
    pub bound: Micros,
    /// Time that a central queue would have taken instead, where the two can be compared.
    pub central: Option<Micros>,
    /// What was broken, if anything was.
    pub failure: Option<Failure>,
    /// The story that was asked for.
    pub story: Vec<String>,
    /// What was recorded.
    pub recording: Recording,
}

impl Outcome {
    /// Makespan over its lower bound, if there was any work.
    pub fn makespan_ratio(&self) -> Option<f64> {
        (self.bound > Micros::ZERO).then(|| self.makespan.as_secs_f64() / self.bound.as_secs_f64())
    }

    /// Makespan over that of a central queue, where the two can be compared.
    pub fn central_ratio(&self) -> Option<f64> {
        let central = self.central.filter(|central| *central > Micros::ZERO)?;
        Some(self.makespan.as_secs_f64() / central.as_secs_f64())
    }
}

/// What no schedule of a world's documents can beat, on the machines that it began with.
fn bound(options: &Options, truth: &Truth) -> Micros {
    let machines = (0..options.cluster.nodes).map(|machine| {
        let slots = f64::from(options.cluster.settings(machine).max_process);
        (slots * options.cluster.speed(machine), options.cluster.speed(machine))
    });
    let (capacity, fastest) =
        machines.fold((0.0, 0.0_f64), |(sum, fastest), (capacity, speed)| (sum + capacity, fastest.max(speed)));
    let takes = truth.batches.values().flat_map(|batch| &batch.documents).map(|document| document.takes.as_secs_f64());
    let (sum, longest) = takes.fold((0.0, 0.0_f64), |(sum, longest), takes| (sum + takes, longest.max(takes)));
    Micros((1e6 * (sum / capacity).max(longest / fastest)) as u64)
}

/// Why a simulation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A promise was broken.
    Broken(Violation),
    /// A node, or a checker's look at it, found something that must never be, and gave up.
    Panicked {
        /// When.
        at: Micros,
        /// What it said.
        message: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Broken(violation) => violation.fmt(f),
            Failure::Panicked { at, message } => write!(f, "S13 (no panic) is broken at {at}: {message}"),
        }
    }
}

impl Failure {
    /// What names the kind of failure: a smaller world must fail in the same way.
    pub fn kind(&self) -> &str {
        match self {
            Failure::Broken(violation) => violation.promise,
            Failure::Panicked { .. } => "S13 (no panic)",
        }
    }

    /// Whose story explains it.
    pub fn subject(&self) -> Subject {
        match self {
            Failure::Broken(Violation { document: Some(document), .. }) => Subject::Document(*document),
            Failure::Broken(Violation { machine: Some(machine), .. }) => Subject::Machine(*machine),
            _ => Subject::Nothing,
        }
    }
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets panics be kept for the report instead of being printed where they happen. For a program that does nothing but
/// simulate; it lasts until the program ends.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| SAID.set(Some(info.to_string()))));
}

fn said(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    SAID.take().or(text).unwrap_or_else(|| "a panic without words".to_owned())
}

/// Runs a simulation.
pub fn simulate(options: &Options, seed: u64, subject: Subject, checkers: Checkers) -> Outcome {
    record(options, seed, subject, checkers, &Wanted::default())
}

/// Runs a simulation, and records of it what is wanted. It is the same run with a recording and without.
pub fn record(options: &Options, seed: u64, subject: Subject, checkers: Checkers, wanted: &Wanted) -> Outcome {
    let mut world = World::new(options.clone(), seed, checkers, Trace::new(subject));
    world.recorder = Recorder::new(wanted, &world.truth);
    let ran = catch_unwind(AssertUnwindSafe(|| to_the_end(&mut world)));
    let failure = match ran {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(Failure::Broken(violation)),
        Err(payload) => Some(Failure::Panicked { at: world.truth.now, message: said(payload.as_ref()) }),
    };
    let recording = world.recorder.take().map(|recorder| recorder.conclude(&world.truth)).unwrap_or_default();
    let truth = &world.truth;
    let first = truth.batches.values().map(|batch| batch.submitted).min().unwrap_or_default();
    let last = truth.last_ended;
    Outcome {
        seed,
        hash: world.trace.hash(),
        simulated: truth.now,
        node_time: truth.now.times(options.cluster.nodes as u64),
        counts: world.counts(),
        makespan: last.since(first),
        bound: bound(options, truth),
        central: central::ends(options, truth).map(|ends| ends.since(first)),
        failure,
        story: world.trace.story().to_vec(),
        recording,
    }
}

fn to_the_end(world: &mut World) -> Result<(), Violation> {
    let phases = &world.truth.options.phases;
    let patience = phases.liveness.0;
    let quiet = world.truth.options.cluster.gossip_interval.0.times(QUIET).max(QUIET_TIME);
    let mut until = phases.faults.0 + patience;
    let mut finished = false;
    let mut ended = 0;
    let mut more = MORE_QUIET;
    for event in 0.. {
        if finished && more > 0 && world.next().is_some_and(|at| at > until) && !world.is_at_rest() {
            more -= 1;
            until = until + quiet;
        }
        // What takes so long is not stuck.
        if !finished && world.next().is_some_and(|at| at > until) && world.busy_until() > until {
            until = world.busy_until() + patience;
        }
        if world.next().is_none_or(|at| at > until) || !world.advance()? {
            break;
        }
        if !finished && event % LOOK.max(world.truth.machines.len() as u64) == 0 && world.is_finished() {
            finished = true;
            until = world.truth.now + quiet;
        }
        if !finished && world.documents_ended() > ended {
            ended = world.documents_ended();
            until = until.max(world.truth.now + patience);
        }
    }
    world.conclude()
}
