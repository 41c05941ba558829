//! Which number to try next, and when enough is known: arithmetic on measurements, without any measuring.
//!
//! First it climbs: 1, 2, 4 and so on, until more does not get more done, or must not be tried. Then it halves the gap below the
//! smallest number that comes near the best, and those above it where something better may be. Last it repeats what
//! the answer rests on, since single measurements are noisy: three times each, and up to five where they differ. All it reckons with are medians, so that whatever it has
//! found so far may change with each measurement.

use std::collections::BTreeMap;

/// What is near enough to the best.
pub(super) const NEAR: f64 = 0.95;

/// What counts as more than before, in the climb.
const GROWTH: f64 = 1.05;

/// A fall after which there is no need to look further.
const FALL: f64 = 0.8;

/// What is clearly less than the best.
const LESS: f64 = 0.9;

/// Gaps below the answer that are not halved any more: one eighth of it.
const FINE: u32 = 8;

/// Gaps above the best that are not halved any more: a quarter of it.
const COARSE: u32 = 4;

/// What may turn out to be near the best if it is measured again. What is less is less for more reasons than noise.
const PERHAPS: f64 = 0.8;

/// Measurements of each number that the answer rests on; and where they differ by more than this, of their median.
const REPEATS: (usize, usize) = (3, 5);
const NOISE: f64 = 0.1;

/// Most measurements in all. Where noise is larger than all differences, the numbers that look best may change for ever.
pub(super) const MOST_MEASUREMENTS: usize = 40;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Try this number.
    Measure(u32),
    /// Enough is known.
    Done,
}

/// Why it is no larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// More does not get more done.
    Flat,
    /// More gets less done.
    Falling,
    /// More would not fit into memory.
    Memory,
    /// It may well be more, and was not to be tried.
    Growing,
}

/// The answer, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number.
    pub(super) number: u32,
    /// The number that got most done.
    pub(super) best: u32,
    /// Why.
    pub(super) reason: Reason,
}

/// What has been measured.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// The largest number that may be tried.
    most: u32,
    /// The largest that memory allows, by what is known.
    fitting: u32,
    measured: BTreeMap<u32, Vec<f64>>,
}

impl Search {
    pub(super) fn new(most: u32) -> Search {
        Search { most: most.max(1), fitting: u32::MAX, measured: BTreeMap::new() }
    }

    /// So much was done in a second with this number.
    pub(super) fn record(&mut self, number: u32, throughput: f64) {
        self.measured.entry(number).or_default().push(throughput);
    }

    /// By the last that is known, no more than this number fits into memory.
    pub(super) fn fits(&mut self, number: u32) {
        self.fitting = number.max(1);
    }

    /// Measurements of this number.
    pub(super) fn count(&self, number: u32) -> usize {
        self.measured.get(&number).map_or(0, Vec::len)
    }

    /// The middle one of them.
    pub(super) fn median(&self, number: u32) -> Option<f64> {
        let mut all = self.measured.get(&number)?.clone();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        Some(if all.len().is_multiple_of(2) { (all[middle - 1] + all[middle]) / 2.0 } else { all[middle] })
    }

    fn limit(&self) -> u32 {
        self.most.min(self.fitting)
    }

    fn medians(&self) -> Vec<(u32, f64)> {
        self.measured.keys().filter_map(|number| Some((*number, self.median(*number)?))).collect()
    }

    pub(super) fn next(&self) -> Next {
        if self.measured.values().map(Vec::len).sum::<usize>() >= MOST_MEASUREMENTS {
            return Next::Done;
        }
        let next = self.climb().or_else(|| self.doubtful()).or_else(|| self.refine()).or_else(|| self.repeat());
        next.map_or(Next::Done, Next::Measure)
    }

    /// The next of 1, 2, 4 and so on.
    fn climb(&self) -> Option<u32> {
        let mut best: f64 = 0.0;
        let mut flat = 0;
        let mut number = 1;
        loop {
            let Some(median) = self.median(number) else { return Some(number) };
            if number >= self.limit() || median < best * FALL {
                return None;
            }
            flat = if median < best * GROWTH { flat + 1 } else { 0 };
            if flat == 2 {
                return None;
            }
            best = best.max(median);
            number = number.saturating_mul(2).min(self.limit());
        }
    }

    /// A number between two that are far apart: above the best, where more gets less done, above the answer, where there may
    /// be a crest that both sides of look alike, or below the answer.
    fn refine(&self) -> Option<u32> {
        let Answer { number, best, .. } = self.answer()?;
        let between = |low: u32, high: u32, fine: u32| {
            let gap = high - low;
            (gap > fine.max(1)).then_some(low + gap / 2)
        };
        let much = self.median(best)? * PERHAPS;
        let falls = self.above(best).filter(|above| self.median(*above).is_some_and(|median| median < much));
        let crest = self.above(number).filter(|_| self.is_steep(number));
        let upwards = falls.and_then(|above| between(best, above, best / COARSE));
        let upwards = upwards.or_else(|| between(number, crest?, number / COARSE));
        upwards.or_else(|| between(self.below(number)?, number, number / FINE))
    }

    /// Whether each further one still got much done up to this number: at least half of what those before did.
    fn is_steep(&self, number: u32) -> bool {
        let below = self.below(number).and_then(|below| Some((f64::from(below), self.median(below)?)));
        let here = self.median(number);
        below
            .zip(here)
            .is_some_and(|((below, before), here)| here >= before * (1.0 + 0.5 * (f64::from(number) / below - 1.0)))
    }

    /// Smaller numbers that may be near the best, or may not: which of the gaps is to be halved depends on them.
    fn doubtful(&self) -> Option<u32> {
        let Answer { number, best, .. } = self.answer()?;
        let most = self.median(best)?;
        let perhaps = self.measured.keys().copied().filter(|smaller| *smaller < number);
        let perhaps = perhaps.filter(|smaller| self.median(*smaller).is_some_and(|median| median >= most * PERHAPS));
        let mut perhaps = perhaps.peekable();
        perhaps.peek()?;
        self.least_sure(perhaps.chain([number, best]))
    }

    /// What the answer rests on.
    fn repeat(&self) -> Option<u32> {
        let Answer { number, best, .. } = self.answer()?;
        self.least_sure([number, best].into_iter().chain(self.below(number)))
    }

    /// That of these numbers which has been measured least, if not often enough.
    fn least_sure(&self, numbers: impl Iterator<Item = u32>) -> Option<u32> {
        let wanting = |number: &u32| {
            let noisy = self.spread(*number) > NOISE;
            self.count(*number) < if noisy { REPEATS.1 } else { REPEATS.0 }
        };
        let wanting = numbers.filter(|number| *number <= self.limit()).filter(wanting);
        wanting.min_by_key(|number| self.count(*number))
    }

    /// What its measurements differ by, as a part of their median.
    fn spread(&self, number: u32) -> f64 {
        let Some((all, median)) = self.measured.get(&number).zip(self.median(number)) else { return 0.0 };
        let (low, high) = all.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
        if median > 0.0 { (high - low) / median } else { 0.0 }
    }

    /// Half of its spread, the less the more measurements there are.
    fn doubt(&self, number: u32) -> f64 {
        (self.spread(number) / 2.0 / (self.count(number).max(1) as f64).sqrt()).min(1.0 - NEAR)
    }

    /// Whether a number gets about as much done as the best, as far as can be told: of several that look alike the best is the
    /// one that was lucky, so that both are doubted.
    fn is_near(&self, number: u32, best: u32) -> bool {
        let doubt = 1.0 + self.doubt(number) + self.doubt(best);
        self.median(number).zip(self.median(best)).is_some_and(|(median, most)| median * doubt >= most * NEAR)
    }

    fn above(&self, number: u32) -> Option<u32> {
        let above = self.measured.range(number.saturating_add(1)..).next().map(|(above, _)| *above);
        above.filter(|above| *above <= self.fitting)
    }

    fn below(&self, number: u32) -> Option<u32> {
        self.measured.range(..number).next_back().map(|(below, _)| *below)
    }

    /// The smallest number that comes near the best; `None` before anything was measured.
    pub(super) fn answer(&self) -> Option<Answer> {
        let medians: Vec<(u32, f64)> =
            self.medians().into_iter().filter(|(number, _)| *number <= self.fitting).collect();
        let (best, most) = medians.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        let (number, _) = medians.iter().copied().find(|(number, _)| self.is_near(*number, best))?;
        let (highest, last) = *medians.last()?;
        let before = medians.iter().rev().find(|(number, _)| *number <= highest / 2).map_or(0.0, |(_, median)| *median);
        let grows = last >= before * GROWTH && self.is_near(highest, best);
        let reason = match () {
            () if grows && self.fitting <= highest && highest < self.most => Reason::Memory,
            () if grows && highest >= self.most => Reason::Growing,
            () if last * (1.0 + self.doubt(highest) + self.doubt(best)) < most * LESS => Reason::Falling,
            // It was ended before it came to its end.
            () if grows => Reason::Growing,
            () => Reason::Flat,
        };
        Some(Answer { number, best, reason })
    }
}

#[cfg(test)]
mod tests;
