//! How many slots a node should have, from what it has been seen to do with those that it has.
//!
//! It climbs by half while documents wait, processors are idle and memory is left, one trial after the other: if a step does
//! not get more done, it is taken back, and the next trial comes later. Where processors are crowded it steps down in the
//! same way, never below what it started with. Where memory runs short it does not try, it goes down at once, as far as to
//! one slot. After each of these it waits, the longer the more often, so that it does not flap.

use std::fmt;
use std::time::Duration;

use super::trial::{Ran, Tally};
use crate::machine::Memory;

/// Part of the processors in use above which more slots would not get more done.
const BUSY: f64 = 0.9;

/// Part of the processors in use above which there may be too many slots: higher, so that the two do not alternate.
const CROWDED: f64 = 0.97;

/// How long processors must have been crowded before slots are given up for that.
const CROWDED_FOR: Duration = Duration::from_secs(10);

/// Part of the memory that must be left; below it slots are given up. And below half of it, twice as many.
const SHORT: f64 = 0.1;

/// Part of the memory that must be left after a climb, by the largest document that was seen.
const ROOM: f64 = 0.2;

/// Parts of the time in which some task, and all tasks, wait for memory, above which it is short.
const STALL: (f64, f64) = (0.1, 0.02);

/// The same, for climbing.
const SLIGHT_STALL: f64 = 0.02;

/// Time between two cuts for want of memory, if documents do not end meanwhile: what has been cut takes time to show.
const CUT_PAUSE: Duration = Duration::from_secs(10);

/// What a step up must gain: so much of what it would if each further slot got as much done as those before.
const GAIN: f64 = 0.25;

/// What a step down may cost.
const COST: f64 = 0.05;

/// Time after which a step is made, or taken for good, though few documents have ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same after a step down: it was not made for want of anything, so that there is time to see what it costs.
const DOWN_PATIENCE: Duration = Duration::from_secs(600);

/// Waits after a step that was taken back: the first, and the longest.
const HOLD: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// Time without any document after which the next ones are begun with afresh: they may be of another kind.
const FORGET: Duration = Duration::from_secs(10);

/// Between what the slots may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// What it starts with.
    pub(super) start: u32,
    /// The most.
    pub(super) most: u32,
}

/// What is seen at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Since the node was started.
    pub(super) now: Duration,
    /// Slots there are.
    pub(super) slots: u32,
    /// Slots in use.
    pub(super) in_use: u32,
    /// Documents that wait here.
    pub(super) waiting: u64,
    /// Documents that have ended since the last sample.
    pub(super) ran: Vec<Ran>,
    /// Part of the processors that was in use since then.
    pub(super) busy: Option<f64>,
    /// Memory.
    pub(super) memory: Option<Memory>,
    /// Parts of the time in which some task, and all tasks, wait for memory.
    pub(super) stall: Option<(f64, f64)>,
}

impl Sample {
    fn memory_left(&self) -> f64 {
        self.memory.map_or(1.0, |memory| memory.left())
    }

    fn is_short(&self) -> bool {
        self.memory_left() < SHORT || self.stall.is_some_and(|(some, full)| some > STALL.0 || full > STALL.1)
    }

    fn is_very_short(&self) -> bool {
        self.memory_left() < SHORT / 2.0 || self.stall.is_some_and(|(_, full)| full > STALL.1 * 5.0)
    }

    /// Whether what is done shows what the slots can do: all are in use, and more waits.
    fn is_full(&self) -> bool {
        self.waiting > 0 && self.in_use >= self.slots
    }
}

/// What is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// So many slots.
    pub(super) slots: u32,
    /// Why.
    pub(super) why: Why,
}

/// Why slots change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There is more to be had.
    Idle,
    /// The step up gained too little.
    NoGain,
    /// Memory is short.
    Memory,
    /// Processors are crowded.
    Crowded,
    /// The step down cost too much.
    Missed,
    /// Nothing runs any more.
    Afresh,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Idle => "documents wait, processors are idle and memory is left",
            Why::NoGain => "the last step up got little more done",
            Why::Memory => "memory is short",
            Why::Crowded => "processors are crowded",
            Why::Missed => "the last step down got less done",
            Why::Afresh => "all is done; what comes next may be of another kind",
        })
    }
}

/// A step that is being tried: from where, and what was done there.
#[derive(Debug, Clone, Copy)]
struct Trial {
    from: u32,
    before: Option<f64>,
}

/// Decides.
#[derive(Debug)]
pub(super) struct Controller {
    bounds: Bounds,
    /// When the slots last changed, or the work did.
    since: Duration,
    tally: Tally,
    trial: Option<Trial>,
    /// No steps before then, and how long it will be the next time.
    hold: (Duration, Duration),
    crowded_since: Option<Duration>,
    /// The largest peak seen; what is long ago counts for less.
    peak: f64,
    cut_at: Option<Duration>,
    /// Since when there has been nothing to do.
    nothing_since: Option<Duration>,
}

impl Controller {
    pub(super) fn new(bounds: Bounds) -> Controller {
        Controller {
            bounds,
            since: Duration::ZERO,
            tally: Tally::default(),
            trial: None,
            hold: (Duration::ZERO, HOLD.0),
            crowded_since: None,
            peak: 0.0,
            cut_at: None,
            nothing_since: None,
        }
    }

    /// Looks at what is, and says what is to be, if that is anything else.
    pub(super) fn consider(&mut self, sample: &Sample) -> Option<Change> {
        let peak = sample.ran.iter().map(|ran| ran.peak).max().unwrap_or(0) as f64;
        self.peak = (self.peak * 0.999).max(peak);
        self.tally.note(&sample.ran, self.since);
        self.tally.fade(sample.slots);
        if sample.busy.is_some_and(|busy| busy > CROWDED) {
            self.crowded_since.get_or_insert(sample.now);
        } else {
            self.crowded_since = None;
        }
        let (slots, why) = self.forget(sample).or_else(|| self.cut(sample)).or_else(|| self.step(sample))?;
        let slots = slots.clamp(1, self.bounds.most.max(1));
        if slots == sample.slots {
            return None;
        }
        self.begin(sample.now);
        Some(Change { slots, why })
    }

    /// What is done from now on is something else than what was done until now.
    fn begin(&mut self, now: Duration) {
        self.since = now;
        self.tally = Tally::default();
    }

    fn wait(&mut self, now: Duration) {
        self.hold = (now + self.hold.1, (self.hold.1 * 2).min(HOLD.1));
    }

    /// Where nothing has run for a while.
    fn forget(&mut self, sample: &Sample) -> Option<(u32, Why)> {
        if sample.waiting > 0 || sample.in_use > 0 {
            self.nothing_since = None;
            return None;
        }
        let since = *self.nothing_since.get_or_insert(sample.now);
        if sample.now - since < FORGET || sample.is_short() {
            return None;
        }
        *self = Controller { nothing_since: self.nothing_since, ..Controller::new(self.bounds) };
        self.begin(sample.now);
        Some((self.bounds.start, Why::Afresh))
    }

    /// Where memory is short: at once, but not again before the last cut could show.
    fn cut(&mut self, sample: &Sample) -> Option<(u32, Why)> {
        if !sample.is_short() {
            return None;
        }
        let shows = sample.in_use <= sample.slots;
        if self.cut_at.is_some_and(|at| sample.now - at < if shows { CUT_PAUSE / 5 } else { CUT_PAUSE }) {
            return None;
        }
        self.cut_at = Some(sample.now);
        self.trial = None;
        self.wait(sample.now);
        let used = sample.slots.min(sample.in_use.max(1));
        let fewer = if sample.is_very_short() { used / 2 } else { used - used.div_ceil(4) };
        Some((fewer.max(1), Why::Memory))
    }

    fn step(&mut self, sample: &Sample) -> Option<(u32, Why)> {
        if !sample.is_full() {
            // It does not show what the slots could do; what is started from now on may.
            self.begin(sample.now);
            return None;
        }
        let down = self.trial.is_some_and(|trial| sample.slots < trial.from);
        let late = sample.now - self.since >= if down { DOWN_PATIENCE } else { PATIENCE };
        let done = match self.tally.throughput(sample.slots) {
            None if !late => return None,
            // Of documents that take long there are no more.
            None => self.tally.rough_throughput(sample.slots),
            done => done,
        };
        if let Some(trial) = self.trial.take()
            && let (Some(before), Some(done)) = (trial.before, done)
        {
            let ratio = done / before;
            let steps = f64::from(sample.slots) / f64::from(trial.from.max(1));
            if sample.slots > trial.from && ratio < 1.0 + (steps - 1.0) * GAIN {
                self.wait(sample.now);
                return Some((trial.from, Why::NoGain));
            }
            if sample.slots < trial.from && ratio < 1.0 - COST {
                self.wait(sample.now);
                return Some((trial.from, Why::Missed));
            }
            // It was right to try: what did not work earlier may now.
            self.hold.1 = HOLD.0;
        } else if down {
            // Nothing shows whether it was right: the way up and down again must not become a habit.
            self.wait(sample.now);
        }
        if sample.now < self.hold.0 {
            return None;
        }
        let crowded = self.crowded_since.is_some_and(|since| sample.now - since >= CROWDED_FOR);
        let (slots, why) = if crowded && sample.slots > self.bounds.start {
            ((sample.slots - sample.slots / 4).min(sample.slots - 1).max(self.bounds.start), Why::Crowded)
        } else {
            (sample.slots + self.room(sample)?, Why::Idle)
        };
        self.trial = Some(Trial { from: sample.slots, before: done });
        Some((slots, why))
    }

    /// Slots that may be added; `None`: none.
    fn room(&self, sample: &Sample) -> Option<u32> {
        if sample.busy.is_some_and(|busy| busy > BUSY) || sample.stall.is_some_and(|(some, _)| some > SLIGHT_STALL) {
            return None;
        }
        let mut more = (sample.slots / 2).max(1).min(self.bounds.most.saturating_sub(sample.slots));
        if let Some(memory) = sample.memory {
            // A document of which nothing is known takes nothing: a step too many is seen, and cut.
            let spare = memory.available as f64 - memory.limit as f64 * ROOM;
            if spare <= 0.0 {
                return None;
            }
            if self.peak > 0.0 {
                more = more.min((spare / self.peak) as u32);
            }
        }
        (more > 0).then_some(more)
    }
}
