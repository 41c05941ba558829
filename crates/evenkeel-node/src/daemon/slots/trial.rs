//! How much gets done at one number of slots: what the documents tell that have run under it from start to end.

use std::time::Duration;

/// A document that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ran {
    /// When it started, since the node did.
    pub(super) started: Duration,
    /// How long it ran.
    pub(super) took: Duration,
    /// Its length, or 1 where lengths do not count.
    pub(super) weight: f64,
    /// Its peak memory in bytes; 0 if not known.
    pub(super) peak: u64,
}

/// Fewest documents that say anything of a number of slots.
const FEWEST: u32 = 8;

/// Documents for each slot: what is started together ends together, so that one round of them would not do.
const ROUNDS: u32 = 2;

/// What has been done since the number of slots last changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    documents: u32,
    weight: f64,
    seconds: f64,
}

impl Tally {
    /// Takes note of what has run from its start since then.
    pub(super) fn note(&mut self, ran: &[Ran], since: Duration) {
        for ran in ran.iter().filter(|ran| ran.started >= since) {
            self.documents = self.documents.saturating_add(1);
            self.weight += ran.weight.max(1.0);
            self.seconds += ran.took.as_secs_f64().max(1e-6);
        }
    }

    /// Lets what is long ago count for less: documents change while nothing else does.
    pub(super) fn fade(&mut self, slots: u32) {
        if self.documents > slots.saturating_mul(ROUNDS).max(FEWEST).saturating_mul(4) {
            self.documents /= 2;
            self.weight /= 2.0;
            self.seconds /= 2.0;
        }
    }

    /// Work done in a second by this number of slots, all in use: each does what one document does in the time that it takes.
    /// That documents start and end in step makes no difference to it, as it would if ends were counted. `None`: too
    /// few have ended.
    pub(super) fn throughput(&self, slots: u32) -> Option<f64> {
        let enough = slots.saturating_mul(ROUNDS).max(FEWEST);
        self.rough_throughput(slots).filter(|_| self.documents >= enough)
    }

    /// The same, by however few have ended. `None`: none has.
    pub(super) fn rough_throughput(&self, slots: u32) -> Option<f64> {
        (self.documents > 0).then(|| f64::from(slots) * self.weight / self.seconds)
    }
}
