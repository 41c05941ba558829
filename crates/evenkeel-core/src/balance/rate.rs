//! How fast a node works, measured from the documents it has finished.

use super::standing::sane_work;
use crate::units::Micros;

/// Share of what is remembered that one observation displaces: speeds change as other work comes and goes on a host.
const FORGETTING: f64 = 1.0 / 64.0;

/// What is believed before the first observation of how far a single duration strays from its prediction, as a squared
/// coefficient of variation, and how many observations that belief is worth. Without it the first document would be
/// taken at its word.
const BELIEF: (f64, f64) = (1.0, 2.0);

/// Shortest and longest time that a document counts for: clocks have a grain, and no square may overflow.
const SECONDS: (f64, f64) = (1e-6, 1e9);

/// How long, relative to what was expected, a document runs before its running is evidence in itself.
const OVERDUE: f64 = 1.5;

/// How far, in ln, the ratio of sums may be from the mean rate of single documents, each counting by the time that it
/// took. Without this, one document that is long by its length and over in an instant would outweigh all others for as
/// long as it is remembered.
const FARTHEST: f64 = 1.4;

/// Work per second and slot of one node: the ratio of sums over finished documents, the older the less, with a
/// standard error taken from how far they stray from that ratio. Of constant size.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RateEstimate {
    work: f64,
    seconds: f64,
    /// The mean logarithm of the rates of those documents that weigh anything, by seconds, and the seconds.
    ln: f64,
    ln_seconds: f64,
    /// Sums of products, weighted by the squares of the weights above: what the variance of a weighted sum needs.
    work_work: f64,
    work_seconds: f64,
    seconds_seconds: f64,
}

impl RateEstimate {
    /// Takes note of a document of this weight that held a slot for so long.
    pub fn observe(&mut self, weight: f64, took: Micros) {
        let (work, seconds) = (sane_work(weight), took.as_secs_f64().clamp(SECONDS.0, SECONDS.1));
        let keep = 1.0 - FORGETTING;
        self.work = self.work * keep + work;
        self.seconds = self.seconds * keep + seconds;
        if work > 0.0 {
            self.ln_seconds = self.ln_seconds * keep + seconds;
            self.ln += (libm::log(work / seconds) - self.ln) * seconds / self.ln_seconds;
        }
        self.work_work = self.work_work * keep * keep + work * work;
        self.work_seconds = self.work_seconds * keep * keep + work * seconds;
        self.seconds_seconds = self.seconds_seconds * keep * keep + seconds * seconds;
    }

    /// The same estimate with running documents, given as weight and time so far, counted as observations if they run
    /// half as long again as expected at this rate, in work per second. A node that has become very slow would
    /// otherwise be held fast until its first document ends.
    #[must_use]
    pub fn with_overdue(self, rate: f64, running: impl IntoIterator<Item = (f64, Micros)>) -> RateEstimate {
        let mut estimate = self;
        for (weight, so_far) in running {
            if rate > 0.0 && so_far.as_secs_f64() > OVERDUE * sane_work(weight) / rate {
                estimate.observe(weight, so_far);
            }
        }
        estimate
    }

    /// `ln(work per second / bench)` and its squared standard error: 0 and infinite before any work was measured.
    pub fn estimate(&self, bench: f64) -> (f64, f64) {
        let ln_rate = libm::log(self.work / self.seconds).clamp(self.ln - FARTHEST, self.ln + FARTHEST);
        let ln_rate = ln_rate - libm::log(bench);
        if self.work_work > 0.0 && ln_rate.is_finite() { (ln_rate, self.variance()) } else { (0.0, f64::INFINITY) }
    }

    fn variance(&self) -> f64 {
        // As many documents of equal weight would tell as much.
        let documents = (self.work * self.work / self.work_work).max(1.0);
        let pace = self.seconds / self.work;
        let strays = self.seconds_seconds - 2.0 * pace * self.work_seconds + pace * pace * self.work_work;
        let strays = documents * strays.max(0.0) / (self.seconds * self.seconds);
        let (belief, worth) = BELIEF;
        (worth * belief + documents * strays) / (worth + documents - 1.0) / documents
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(observations: impl IntoIterator<Item = (f64, f64)>) -> RateEstimate {
        let mut estimate = RateEstimate::default();
        observations.into_iter().for_each(|(weight, seconds)| estimate.observe(weight, micros(seconds)));
        estimate
    }

    fn micros(seconds: f64) -> Micros {
        Micros((seconds * 1e6) as u64)
    }

    #[test]
    fn nothing_measured_is_nothing_known() {
        for nothing in [after([]), after([(0.0, 3.0)]), after([(f64::NAN, 1.0)])] {
            assert_eq!(nothing.estimate(2.0), (0.0, f64::INFINITY));
        }
        assert_eq!(after([(1.0, 1.0)]).estimate(0.0), (0.0, f64::INFINITY), "a bench of 0 is none");
    }

    #[test]
    fn one_document_tells_little_and_twenty_much() {
        let proportional = |count: u32| after((1..=count).map(|n| (f64::from(n % 7 + 1), f64::from(n % 7 + 1) / 4.0)));
        let (ln_rate, variance) = proportional(20).estimate(1.0);
        assert!((ln_rate - libm::log(4.0)).abs() < 1e-9);
        assert!(variance < 0.02, "{variance}");
        assert!((proportional(20).estimate(4.0).0).abs() < 1e-9);
        assert!(proportional(1).estimate(1.0).1 > 0.9);
    }

    #[test]
    fn durations_that_lengths_do_not_explain_tell_little() {
        let (_, variance) = after((0..200).map(|n| (1.0, if n % 10 == 0 { 10.0 } else { 0.1 }))).estimate(1.0);
        assert!(variance > 0.05, "{variance}");
    }

    #[test]
    fn it_forgets() {
        let changed = after((0..1200).map(|n| (1.0, if n < 1000 { 1.0 } else { 4.0 })));
        assert!((changed.estimate(1.0).0 + libm::log(4.0)).abs() < 0.05, "{changed:?}");
    }

    #[test]
    fn documents_without_length_or_duration_do_no_harm() {
        let (ln_rate, variance) = after([(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]).estimate(1.0);
        assert!(ln_rate.abs() < 0.1 && variance > 0.3, "{ln_rate}, {variance}");
    }

    #[test]
    fn what_runs_far_too_long_is_evidence() {
        let estimate = after((0..10).map(|_| (1.0, 1.0)));
        assert_eq!(estimate.with_overdue(1.0, [(1.0, micros(1.4)), (5.0, micros(7.0))]), estimate);
        assert!(estimate.with_overdue(1.0, [(1.0, micros(30.0))]).estimate(1.0).0 < -1.0);
        assert_eq!(estimate.with_overdue(f64::NAN, [(1.0, micros(30.0))]), estimate);
    }

    #[test]
    fn a_long_document_that_is_over_in_an_instant_proves_nothing() {
        let sizes = std::iter::once((5e8, 0.004)).chain((0..10).map(|n| (f64::from(n % 4 + 1), 1.0)));
        let (ln_rate, variance) = after(sizes).estimate(1.0);
        assert!((0.0..2.5).contains(&ln_rate) && variance > 0.25, "{ln_rate}, {variance}");
    }

    proptest! {
        #[test]
        fn any_history_gives_a_number(
            history in prop::collection::vec((any::<f64>(), any::<u64>()), 0..50),
            bench: f64,
        ) {
            let mut estimate = RateEstimate::default();
            history.into_iter().for_each(|(weight, micros)| estimate.observe(weight, Micros(micros)));
            let (ln_rate, variance) = estimate.estimate(bench);
            prop_assert!(ln_rate.is_finite() && variance > 0.0, "{}, {}", ln_rate, variance);
        }
    }
}
