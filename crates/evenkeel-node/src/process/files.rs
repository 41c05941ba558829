//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// No more than the kernel's own default bound. Where there is no hard limit, programs that close all files they could
/// have would be at it for minutes.
const MOST: u64 = 1 << 20;

/// Raises the soft limit to the hard one: each document takes three or four files, each peer and client one, and the soft
/// limit is often 1,024 for the sake of programs that wait with select(2). Documents inherit it.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = raised(limit.current, limit.maximum);
    if wanted == limit.current {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum }) {
        Ok(()) => tracing::debug!(before = ?limit.current, now = ?wanted, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files (ulimit -n)"),
    }
}

/// The new soft limit. `None`: no limit.
fn raised(soft: Option<u64>, hard: Option<u64>) -> Option<u64> {
    let wanted = hard.unwrap_or(MOST).min(MOST);
    soft.map(|soft| soft.max(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_within_reason_and_never_lowered() {
        assert_eq!(raised(Some(1_024), Some(524_288)), Some(524_288));
        assert_eq!(raised(Some(1_024), None), Some(MOST));
        assert_eq!(raised(Some(1_024), Some(1 << 30)), Some(MOST));
        assert_eq!(raised(Some(1 << 25), Some(1 << 30)), Some(1 << 25));
        assert_eq!(raised(None, None), None);
    }
}
