//! The pulse of the loop: that it turns, what it is doing, and the few facts by which a node is judged from outside.
//!
//! The loop writes here and asks nobody; whoever reads asks the loop nothing, and so has an answer also when it stands
//! still. What follows from it is `health.rs`'s to say.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use evenkeel_core::{Input, Node};
use tokio::time::Instant;

use super::engine::Order;

/// Longest time between two turns of a loop that has nothing to do: what is older is late.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// What the loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Doing {
    Waiting,
    Timers,
    Membership,
    Message,
    Submission,
    End,
    Start,
    Copies,
    Disk,
    Question,
    Drain,
    Cancel,
    Removal,
}

impl Doing {
    const ALL: [Doing; 13] = [
        Doing::Waiting,
        Doing::Timers,
        Doing::Membership,
        Doing::Message,
        Doing::Submission,
        Doing::End,
        Doing::Start,
        Doing::Copies,
        Doing::Disk,
        Doing::Question,
        Doing::Drain,
        Doing::Cancel,
        Doing::Removal,
    ];

    /// What an order is about.
    pub(super) fn of(order: &Order) -> Doing {
        match order {
            Order::Input(Input::Received { .. }) => Doing::Message,
            Order::Input(Input::Drain(_)) => Doing::Drain,
            Order::Input(Input::Cancel(_)) => Doing::Cancel,
            Order::Input(Input::Remove(_)) => Doing::Removal,
            Order::Input(_) => Doing::Timers,
            Order::Submit { .. } => Doing::Submission,
            Order::Ended(_) => Doing::End,
            Order::Fetched { .. } => Doing::Start,
            Order::Copied { .. } | Order::Homeless { .. } | Order::Repaired { .. } | Order::Scarce => Doing::Copies,
            Order::Surplus { .. } | Order::Looked { .. } => Doing::Copies,
            Order::Synced(_) | Order::DiskFails | Order::DiskWorks => Doing::Disk,
            Order::Ask(_) => Doing::Question,
        }
    }

    /// In words that go on from "while".
    pub(super) fn words(self) -> &'static str {
        match self {
            Doing::Waiting => "waiting for its turn on a processor",
            Doing::Timers => "looking after its timers (averaging, takeover, the log)",
            Doing::Membership => "taking in who lives",
            Doing::Message => "taking in a message of a peer",
            Doing::Submission => "taking a batch",
            Doing::End => "taking in the end of a document",
            Doing::Start => "starting documents whose payloads have come",
            Doing::Copies => "seeing to copies of results",
            Doing::Disk => "passing on what the disk has taken",
            Doing::Question => "answering a question of the API",
            Doing::Drain => "beginning to drain",
            Doing::Cancel => "cancelling a batch",
            Doing::Removal => "forgetting a batch",
        }
    }
}

/// See above. Times are in microseconds since it was made.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    /// The end of the last turn.
    turned: AtomicU64,
    /// How late the last timer was.
    late: AtomicU64,
    doing: AtomicU8,
    ended: AtomicBool,
    /// Another node has been seen.
    met: AtomicBool,
    draining: AtomicBool,
    /// It may start, give, take and claim.
    acts: AtomicBool,
    pending: AtomicU64,
    waiting: AtomicU64,
    free: AtomicU32,
    slots: AtomicU32,
    started: AtomicU64,
    /// Since when documents wait, slots are free and nothing was started; 0: that is not so.
    idle_since: AtomicU64,
}

/// For how long nothing has been started, how many documents wait for it, and how many slots are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Idle {
    pub(super) since: Duration,
    pub(super) waiting: u64,
    pub(super) free: u32,
}

impl Pulse {
    pub(super) fn new() -> Pulse {
        Pulse {
            born: Instant::now(),
            turned: AtomicU64::new(0),
            late: AtomicU64::new(0),
            doing: AtomicU8::new(Doing::Waiting as u8),
            ended: AtomicBool::new(false),
            met: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            acts: AtomicBool::new(true),
            pending: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            free: AtomicU32::new(0),
            slots: AtomicU32::new(0),
            started: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_micros() as u64
    }

    fn since(&self, then: u64) -> Duration {
        Duration::from_micros(self.now().saturating_sub(then))
    }

    /// The loop begins with something.
    pub(super) fn does(&self, doing: Doing) {
        self.doing.store(doing as u8, Relaxed);
    }

    /// A timer was so late.
    pub(super) fn timer(&self, late: Duration) {
        self.late.store(late.as_micros() as u64, Relaxed);
    }

    /// Another node has been seen.
    pub(super) fn meets(&self) {
        self.met.store(true, Relaxed);
    }

    /// A turn is over, and this is what it left.
    pub(super) fn turned(&self, node: &Node) {
        let now = self.now();
        let slots = node.slots();
        let free = self.slots.load(Relaxed).saturating_sub(slots.count() as u32);
        let started = node.counters().started;
        let waits = free > 0 && node.next_to_start().is_some();
        let goes_on = waits && started == self.started.load(Relaxed);
        if !goes_on || self.idle_since.load(Relaxed) == 0 {
            self.idle_since.store(if waits { now.max(1) } else { 0 }, Relaxed);
        }
        self.started.store(started, Relaxed);
        self.free.store(free, Relaxed);
        self.waiting.store(node.waiting(), Relaxed);
        self.pending.store(node.state().owned_by(node.me().node), Relaxed);
        self.draining.store(node.is_draining(), Relaxed);
        self.acts.store(node.may_act(), Relaxed);
        self.does(Doing::Waiting);
        self.turned.store(now, Relaxed);
    }

    /// How many slots the node has from now on.
    pub(super) fn has_slots(&self, slots: u32) {
        self.slots.store(slots, Relaxed);
    }

    /// The loop has ended, whatever way.
    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Whether the loop has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Time since it last turned: about a second at most in a loop that is well.
    pub(super) fn age(&self) -> Duration {
        self.since(self.turned.load(Relaxed))
    }

    /// Time since the loop was made.
    pub(super) fn lifetime(&self) -> Duration {
        self.born.elapsed()
    }

    /// How late it was at its last turn, or is now.
    pub(super) fn lag(&self) -> Duration {
        Duration::from_micros(self.late.load(Relaxed)).max(self.age().saturating_sub(BEAT))
    }

    /// What it is doing.
    pub(super) fn doing(&self) -> Doing {
        Doing::ALL[usize::from(self.doing.load(Relaxed))]
    }

    pub(super) fn has_met(&self) -> bool {
        self.met.load(Relaxed)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(super) fn acts(&self) -> bool {
        self.acts.load(Relaxed)
    }

    /// Documents that the node owns and that have no outcome, and slots in use, of all.
    pub(super) fn load(&self) -> (u64, u32, u32) {
        let slots = self.slots.load(Relaxed);
        (self.pending.load(Relaxed), slots.saturating_sub(self.free.load(Relaxed)), slots)
    }

    /// `None` unless documents wait and slots are free.
    pub(super) fn idle(&self) -> Option<Idle> {
        let since = Some(self.idle_since.load(Relaxed)).filter(|since| *since > 0)?;
        Some(Idle { since: self.since(since), waiting: self.waiting.load(Relaxed), free: self.free.load(Relaxed) })
    }
}

/// Says that the loop has ended when it is dropped: by a defect, too.
pub(super) struct Ends(pub(super) std::sync::Arc<Pulse>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_doing_is_found_again_by_its_number() {
        for (number, doing) in Doing::ALL.into_iter().enumerate() {
            assert_eq!(doing as usize, number, "{doing:?}");
        }
    }

    #[test]
    fn a_loop_that_does_not_turn_grows_old_and_late() {
        let pulse = Pulse { born: Instant::now() - BEAT * 3, ..Pulse::new() };
        assert!(pulse.age() >= BEAT * 3 && pulse.lag() >= BEAT * 2, "{pulse:?}");
        pulse.timer(BEAT * 500);
        assert_eq!(pulse.lag(), BEAT * 500, "the last turn was later");
    }

    #[test]
    fn only_documents_that_could_be_started_make_a_node_idle() {
        use evenkeel_core::batch::{Batch, BatchOptions};
        use evenkeel_core::ids::{BatchId, Generation, NodeId, Origin};
        use evenkeel_core::settings::Settings;
        use evenkeel_core::units::{Length, Micros};
        use evenkeel_core::{Effect, Outbox};

        let me = Origin { node: NodeId([1; 16]), generation: Generation(1) };
        let mut node = Node::new(me, Settings { max_process: 2, copies: 1, ..Settings::default() }, false, 1);
        let pulse = Pulse { born: Instant::now() - BEAT, ..Pulse::new() };
        pulse.has_slots(2);
        pulse.turned(&node);
        assert_eq!((pulse.idle(), pulse.load()), (None, (0, 0, 2)), "nothing waits");
        let batch = Batch {
            id: BatchId(1),
            submitter: me.node,
            submitted_unix_millis: 0,
            command: vec!["true".to_owned()],
            options: BatchOptions::default(),
            documents: 3,
            retry_of: None,
        };
        let mut out = Outbox::new();
        node.step(Micros(1), Input::Submit { batch, lengths: vec![Length(1); 3] }, &mut out);
        let starts = out.drain().filter(|effect| matches!(effect, Effect::Start(_))).count();
        assert_eq!(starts, 2);
        pulse.turned(&node);
        assert_eq!((pulse.idle(), pulse.load()), (None, (3, 2, 2)), "one waits for a slot");
        // As if it had more slots than it has filled: what waits could be started, and is not.
        pulse.has_slots(3);
        pulse.turned(&node);
        let idle = pulse.idle().expect("a slot is free");
        assert_eq!((idle.waiting, idle.free), (1, 1));
        pulse.turned(&node);
        assert!(pulse.idle().expect("still").since >= idle.since, "it goes on");
    }
}
