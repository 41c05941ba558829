//! Many simulations beside each other, each in one thread. What comes of a seed does not depend on how many threads there
//! are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::check::Checkers;
use crate::run::{Outcome, record};
use crate::scenario::Scenario;
use crate::trace::Subject;

/// Runs a scenario with all its seeds in so many threads, and shows each outcome as it comes.
pub fn run(scenario: &Scenario, jobs: usize, show: impl FnMut(Outcome)) {
    run_filming(scenario, jobs, false, show);
}

/// The same, and records of the first seed what pictures are made of, if they are wanted.
pub fn run_filming(scenario: &Scenario, jobs: usize, pictures: bool, mut show: impl FnMut(Outcome)) {
    let next = AtomicU64::new(scenario.seeds.0.start);
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= scenario.seeds.0.end {
                        return;
                    }
                    let wanted = scenario.wanted(pictures && seed == scenario.seeds.0.start);
                    let outcome = record(&scenario.options(seed), seed, Subject::Nothing, Checkers::all(), &wanted);
                    // Whoever no longer listens wants no more.
                    if sender.send(outcome).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        outcomes.iter().for_each(&mut show);
    });
}
