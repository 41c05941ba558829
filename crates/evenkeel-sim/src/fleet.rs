//! Many simulations beside each other, each in one thread. What comes of a seed does not depend on how many threads there
//! are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use crate::check::Checkers;
use crate::run::{Outcome, simulate};
use crate::scenario::Scenario;
use crate::trace::Subject;

/// Runs a scenario with all its seeds in so many threads, and shows each outcome as it comes.
pub fn run(scenario: &Scenario, jobs: usize, mut show: impl FnMut(Outcome)) {
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
                    let outcome = simulate(&scenario.options(seed), seed, Subject::Nothing, Checkers::all());
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
