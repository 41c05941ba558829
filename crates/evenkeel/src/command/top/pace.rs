//! How quickly a batch gets on: from what it was at the last looks. Knows nothing of clocks; it is told the time.

use std::collections::VecDeque;
use std::time::Duration;

/// Time over which the rate is taken: long enough for documents of some seconds, short enough to show a node that joins.
const WINDOW: Duration = Duration::from_secs(15);

/// Looks nearer to each other than this say nothing of a rate.
const SHORTEST: Duration = Duration::from_millis(500);

/// Documents of one batch that had ended, at the last looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(VecDeque<(Duration, u32)>);

impl Pace {
    /// So many had ended at this time.
    pub(super) fn look(&mut self, now: Duration, ended: u32) {
        self.0.push_back((now, ended));
        // The last one before the window stays: what has ended since it is what the window has seen.
        while self.0.get(1).is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.0.pop_front();
        }
    }

    /// Documents that end in a second; `None` while too little is known.
    pub(super) fn rate(&self) -> Option<f64> {
        let ((begun, before), (now, after)) = (self.0.front()?, self.0.back()?);
        let time = now.saturating_sub(*begun);
        (time >= SHORTEST).then(|| f64::from(after.saturating_sub(*before)) / time.as_secs_f64())
    }

    /// Time until as many as these have ended, if all goes on like this; `None` if that cannot be told.
    pub(super) fn left(&self, pending: u32) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(f64::from(pending) / rate).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(looks: &[(u64, u32)]) -> Pace {
        let mut pace = Pace::default();
        looks.iter().for_each(|(seconds, ended)| pace.look(Duration::from_secs(*seconds), *ended));
        pace
    }

    #[test]
    fn a_rate_takes_two_looks() {
        assert_eq!(pace(&[]).rate(), None);
        assert_eq!(pace(&[(3, 10)]).rate(), None);
        assert_eq!(pace(&[(3, 10), (5, 30)]).rate(), Some(10.0));
        assert_eq!(pace(&[(3, 10), (5, 30)]).left(100), Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let looks: Vec<(u64, u32)> =
            (0..=60).map(|second| (second, if second < 30 { second as u32 * 100 } else { 3_000 })).collect();
        assert_eq!(pace(&looks).rate(), Some(0.0));
        assert_eq!(pace(&looks).left(5), None, "at this pace, never");
        assert!(pace(&looks).0.len() <= 17, "few looks are kept");
    }

    #[test]
    fn a_count_that_falls_is_no_rate_below_nothing() {
        // As when another node is asked, which knows less.
        assert_eq!(pace(&[(0, 50), (2, 20)]).rate(), Some(0.0));
    }
}
