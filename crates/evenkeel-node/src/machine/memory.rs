//! How much memory there is, and how much of it is left.

use std::path::Path;

use super::groups::{Groups, number, text};
use super::number_of;

/// Memory of a machine or of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it, in bytes.
    pub limit: u64,
    /// What can still be taken without swapping, in bytes.
    pub available: u64,
}

impl Memory {
    /// Part that is left, from 0 to 1.
    pub fn left(&self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.available as f64 / self.limit as f64 }
    }
}

/// The machine's, or that of the control group which has the least left.
pub(super) fn read(root: &Path, groups: &Groups) -> Option<Memory> {
    let unified = groups.unified.iter().filter_map(|place| second(place));
    let all = host(root).into_iter().chain(unified).chain(groups.memory.iter().filter_map(|place| first(place)));
    all.min_by_key(|memory| memory.available)
}

fn host(root: &Path) -> Option<Memory> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let bytes = |word| number_of(&text, word).map(|kibibytes| kibibytes.saturating_mul(1024));
    Some(Memory { limit: bytes("MemTotal")?, available: bytes("MemAvailable")? })
}

/// Of a group of version 2; `None` if it has no limit.
fn second(place: &Path) -> Option<Memory> {
    let limit = number(place, "memory.max")?;
    let idle = text(place, "memory.stat").and_then(|text| number_of(&text, "inactive_file")).unwrap_or(0);
    Some(rest(limit, number(place, "memory.current")?, idle))
}

/// Of a group of version 1. One without a limit has one that no machine reaches.
fn first(place: &Path) -> Option<Memory> {
    let limit = number(place, "memory.limit_in_bytes").filter(|limit| *limit < 1 << 60)?;
    let idle = text(place, "memory.stat").and_then(|text| number_of(&text, "total_inactive_file")).unwrap_or(0);
    Some(rest(limit, number(place, "memory.usage_in_bytes")?, idle))
}

/// Pages of files that nobody has looked at for a while are given back when memory is asked for.
fn rest(limit: u64, used: u64, idle: u64) -> Memory {
    Memory { limit, available: limit.saturating_sub(used.saturating_sub(idle)) }
}

/// Processes killed for want of memory: in the narrowest group that counts them, or else on the machine.
pub(super) fn killed(root: &Path, groups: &Groups) -> Option<u64> {
    let counted = |place: &std::path::PathBuf, file| number_of(&text(place, file)?, "oom_kill");
    let unified = groups.unified.iter().find_map(|place| counted(place, "memory.events"));
    let machine = || number_of(&std::fs::read_to_string(root.join("proc/vmstat")).ok()?, "oom_kill");
    unified.or_else(|| groups.memory.iter().find_map(|place| counted(place, "memory.oom_control"))).or_else(machine)
}
