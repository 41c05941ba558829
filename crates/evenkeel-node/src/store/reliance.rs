//! Segments that somebody relies on being kept here: what is being put, and what another node was told of because it is about to
//! give up its own. For a while nothing of them is given up here. Knows not why.
//!
//! It is forgotten when the process ends: whoever starts a node again must wait for [`RELIED`] before it gives anything up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_net::records::SegmentId;
use tokio::time::Instant;

/// Time for which a segment is relied on after somebody was told of it, or something of it was put, unless a store is told
/// otherwise.
pub const RELIED: Duration = Duration::from_secs(12);

/// See above.
#[derive(Debug)]
pub(super) struct Reliance {
    lasts: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<SegmentId, Relied>,
    /// When it is next looked for those that nobody relies on any more.
    sweep: Option<Instant>,
}

#[derive(Debug)]
struct Relied {
    until: Instant,
    /// Puts under way.
    puts: usize,
}

impl State {
    fn relied(&mut self, segment: SegmentId, lasts: Duration) -> &mut Relied {
        let now = Instant::now();
        if self.sweep.is_none_or(|at| at <= now) {
            self.segments.retain(|_, relied| relied.puts > 0 || relied.until > now);
            self.sweep = Some(now + lasts);
        }
        let until = now + lasts;
        let relied = self.segments.entry(segment).or_insert(Relied { until, puts: 0 });
        relied.until = until;
        relied
    }
}

/// Something of these segments is being put.
pub(super) struct Putting<'a> {
    reliance: &'a Reliance,
    segments: BTreeSet<SegmentId>,
}

impl Drop for Putting<'_> {
    fn drop(&mut self) {
        let mut state = self.reliance.state();
        self.segments.iter().for_each(|segment| state.relied(*segment, self.reliance.lasts).puts -= 1);
    }
}

impl Reliance {
    /// What somebody relies on is relied on for so long.
    pub(super) fn new(lasts: Duration) -> Reliance {
        Reliance { lasts, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody relies on a segment from now on.
    pub(super) fn rely(&self, segment: SegmentId) {
        self.state().relied(segment, self.lasts);
    }

    /// The same as long as something of them is being put, and for a while after.
    pub(super) fn putting(&self, segments: impl IntoIterator<Item = SegmentId>) -> Putting<'_> {
        let segments: BTreeSet<SegmentId> = segments.into_iter().collect();
        let mut state = self.state();
        segments.iter().for_each(|segment| state.relied(*segment, self.lasts).puts += 1);
        drop(state);
        Putting { reliance: self, segments }
    }

    /// Does something unless somebody relies on the segment; nobody can begin to meanwhile.
    pub(super) fn unless_relied<T>(&self, segment: SegmentId, what: impl FnOnce() -> T) -> Option<T> {
        let state = self.state();
        let relied =
            state.segments.get(&segment).is_some_and(|relied| relied.puts > 0 || relied.until > Instant::now());
        (!relied).then(what)
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::{BatchId, SegmentNumber};

    use super::*;

    fn segment(number: u32) -> SegmentId {
        SegmentId { batch: BatchId(1), segment: SegmentNumber(number) }
    }

    #[test]
    fn what_is_put_is_relied_on_until_the_last_put_of_it_is_over() {
        let reliance = Reliance::new(Duration::ZERO);
        let free = |number| reliance.unless_relied(segment(number), || ()).is_some();
        let putting = reliance.putting([segment(2), segment(2), segment(3)]);
        let again = reliance.putting([segment(3)]);
        assert_eq!([1, 2, 3].map(free), [true, false, false]);
        drop(putting);
        assert_eq!([2, 3].map(free), [true, false]);
        drop(again);
        reliance.rely(segment(1));
        assert_eq!([1, 2, 3].map(free), [true; 3]);
        assert_eq!(reliance.state().segments.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn and_so_it_is_for_a_while_after() {
        let reliance = Reliance::new(Duration::from_secs(600));
        let free = |number| reliance.unless_relied(segment(number), || ()).is_some();
        reliance.rely(segment(1));
        drop(reliance.putting([segment(2)]));
        assert_eq!([1, 2, 3].map(free), [false, false, true]);
    }
}
