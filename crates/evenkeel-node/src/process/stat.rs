//! What Linux tells of any process, of ours and of others.

use std::time::Duration;

use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// It has not ended. One that waits to be reaped has; one whose main thread has ended shows the same state, and has not
    /// as long as there are other threads.
    pub(super) lives: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Since boot, rounded down to a clock tick.
    pub(super) started: Duration,
}

impl Stat {
    pub(super) fn of(process: Pid) -> Option<Stat> {
        let text = std::fs::read(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
        Stat::parse(&text, rustix::param::clock_ticks_per_second())
    }

    /// The name, in parentheses, may hold anything, so the fields are counted from the last one that closes.
    fn parse(text: &[u8], ticks_per_second: u64) -> Option<Stat> {
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
        let is_dead = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let threads: u32 = fields.nth(14)?.parse().ok()?;
        let ticks: u64 = fields.nth(1)?.parse().ok()?;
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(ticks_per_second.max(1));
        let lives = !is_dead || threads > 1;
        Some(Stat { lives, parent, group, started: Duration::from_nanos(u64::try_from(nanos).ok()?) })
    }
}

/// Every process that can be seen from here, at one moment or another while this is read.
pub(super) fn processes() -> impl Iterator<Item = (Pid, Stat)> {
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|name| {
        let process = Pid::from_raw(name.file_name().to_str()?.parse().ok()?)?;
        Some((process, Stat::of(process)?))
    })
}

/// Time since the machine was started, suspension included: the clock in which process start times are given.
pub(super) fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// What a start time is rounded down to.
pub(super) fn tick() -> Duration {
    Duration::from_nanos(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_process_is_called() {
        let text = b"42 (a) b 7 (c)) S 1 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3\n";
        let expected = Stat { lives: true, parent: 1, group: 40, started: Duration::from_millis(123_450) };
        assert_eq!(Stat::parse(text, 100), Some(expected.clone()));
        let zombie = b"42 (a) Z 1 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0 0\n";
        assert_eq!(Stat::parse(zombie, 100), Some(Stat { lives: false, ..expected.clone() }));
        let headless = b"42 (a) Z 1 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 2 0 12345 0 0 0\n";
        assert_eq!(Stat::parse(headless, 100), Some(expected));
        for text in [&b"42 (a"[..], b"42 (a) S 1", b""] {
            assert_eq!(Stat::parse(text, 100), None);
        }
    }

    #[test]
    fn this_process_is_among_all_and_was_started_before_now() {
        let own = rustix::process::getpid();
        let (_, stat) = processes().find(|(process, _)| *process == own).expect("it runs");
        assert!(stat.lives && stat.started <= since_boot());
        assert_eq!(stat.parent, Pid::as_raw(rustix::process::getppid()));
    }
}
