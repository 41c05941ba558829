//! What the processors do, and how many of them there are for this process.

use std::num::NonZero;
use std::path::Path;

use super::groups::{Groups, number, text};
use super::number_of;

/// Number of processors that this process may use: those that it is bound to, and no more than its control group's quota.
pub fn usable_processors() -> u32 {
    std::thread::available_parallelism().map_or(1, NonZero::get).try_into().unwrap_or(u32::MAX)
}

/// What processors have done so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Seconds that the machine's were busy, all together.
    busy: f64,
    /// Seconds that have passed, on each of them.
    passed: f64,
    processors: f64,
    /// Seconds that the narrowest group with a quota has had, and what it may have in a second.
    quota: Option<(f64, f64)>,
}

impl Share {
    /// Part that was in use since then: of the machine, or of the quota, whichever is nearer to its end.
    pub fn busy_since(&self, earlier: &Share) -> Option<f64> {
        let passed = self.passed - earlier.passed;
        if passed <= 0.0 {
            return None;
        }
        let machine = (self.busy - earlier.busy) / (passed * self.processors);
        let group = match (self.quota, earlier.quota) {
            (Some((used, may)), Some((before, _))) => (used - before) / (passed * may),
            _ => 0.0,
        };
        Some(machine.max(group).clamp(0.0, 1.0))
    }
}

/// Ticks of /proc/stat in a second, on every architecture that Linux runs on: the kernel's own are converted.
const TICKS: f64 = 100.0;

pub(super) fn share(root: &Path, groups: &Groups) -> Option<Share> {
    let stat = std::fs::read_to_string(root.join("proc/stat")).ok()?;
    let (busy, all) = times(&stat)?;
    let processors = stat.lines().filter(|line| is_one_processor(line)).count().max(1) as f64;
    Some(Share { busy, passed: all / processors, processors, quota: quota(groups) })
}

/// Seconds busy, and in all, of the line of all processors: user, nice, system, idle, waiting for disks, interrupts, ...
fn times(stat: &str) -> Option<(f64, f64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // What guests had is in the first two already.
    let times: Vec<f64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    if times.len() < 5 {
        return None;
    }
    let all: f64 = times.iter().sum();
    Some(((all - times[3] - times[4]) / TICKS, all / TICKS))
}

fn is_one_processor(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// Seconds used so far, and seconds that may be used in a second, of the narrowest group that has a quota.
fn quota(groups: &Groups) -> Option<(f64, f64)> {
    let second = |place: &std::path::PathBuf| {
        let may = text(place, "cpu.max")?;
        let (quota, period) = may.trim().split_once(' ')?;
        let used = number_of(&text(place, "cpu.stat")?, "usage_usec")?;
        Some((used as f64 / 1e6, quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?))
    };
    let first = |(cpu, cpuacct): (&std::path::PathBuf, &std::path::PathBuf)| {
        let quota: f64 = text(cpu, "cpu.cfs_quota_us")?.trim().parse().ok().filter(|quota| *quota > 0.0)?;
        let period = number(cpu, "cpu.cfs_period_us")? as f64;
        Some((number(cpuacct, "cpuacct.usage")? as f64 / 1e9, quota / period))
    };
    let good = |(_, may): &(f64, f64)| may.is_finite() && *may > 0.0;
    let found = groups.unified.iter().find_map(second);
    found.or_else(|| groups.cpu.iter().zip(&groups.cpuacct).find_map(first)).filter(good)
}
