//! A line that may be due many times a second, said at most twice a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two lines: a trouble that lasts stays in sight, and cannot fill a disk.
const PAUSE: Duration = Duration::from_secs(30);

/// One kind of line.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// `Some` if the line is to be written now: how many were not since the last.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_then_one_in_thirty_seconds() {
        let (line, start) = (Seldom::default(), Instant::now());
        assert_eq!(line.due_at(start), Some(0));
        for seconds in 1..30 {
            assert_eq!(line.due_at(start + Duration::from_secs(seconds)), None);
        }
        assert_eq!(line.due_at(start + PAUSE), Some(29));
    }
}
