//! The node's timers: a fixed table, one place each. Re-arming overwrites, so a stale timer cannot exist.

use crate::units::Micros;

/// What a node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Flush, publish, pull, expire: once a gossip interval.
    Tick,
    /// The averaging step.
    Average,
    /// The first document whose back-off ends.
    Backoff,
}

const TIMERS: [Timer; 3] = [Timer::Tick, Timer::Average, Timer::Backoff];

#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    due: [Option<Micros>; TIMERS.len()],
}

impl Timers {
    pub(super) fn arm(&mut self, timer: Timer, at: Micros) {
        self.due[timer as usize] = Some(at);
    }

    /// Arms the timer unless it is due earlier anyway.
    pub(super) fn arm_by(&mut self, timer: Timer, at: Micros) {
        let due = &mut self.due[timer as usize];
        *due = Some(due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn next(&self) -> Option<Micros> {
        self.due.iter().flatten().min().copied()
    }

    /// Takes out the first timer that is due.
    pub(super) fn pop(&mut self, now: Micros) -> Option<Timer> {
        let timer = TIMERS.into_iter().filter(|timer| self.due[*timer as usize].is_some_and(|due| due <= now));
        let timer = timer.min_by_key(|timer| self.due[*timer as usize])?;
        self.due[timer as usize] = None;
        Some(timer)
    }
}
