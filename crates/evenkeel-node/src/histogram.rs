//! How often something took how long.

use std::time::Duration;

/// Upper bounds of buckets, in seconds, for documents: they last from milliseconds to hours.
pub const OF_DOCUMENTS: &[f64] = &[0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3_600.0];

/// The same for what the node itself does: turns of its loop, syncs. From what nobody notices to what is a fault.
pub const OF_STEPS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Observations in each bucket alone; those beyond the last are only in `count`.
    buckets: Vec<u64>,
    count: u64,
    sum_seconds: f64,
}

impl Histogram {
    /// One with these upper bounds, in ascending order.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram { bounds, buckets: vec![0; bounds.len()], count: 0, sum_seconds: 0.0 }
    }

    /// Counts one.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = self.bounds.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_seconds
    }

    /// Each bucket's upper bound, and how many are in it and in none below.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bounds.iter().copied().zip(self.buckets.iter().copied())
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new(OF_STEPS)
    }
}
