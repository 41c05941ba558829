//! Pressure: the part of the time in which tasks wait for a processor or for memory.

use std::path::Path;
use std::time::Duration;

use super::groups::{Groups, text};

/// What Linux tells of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stall {
    /// Part of the last ten seconds in which some task waited for it, from 0 to 1.
    pub some: f64,
    /// Part of the last ten seconds in which all tasks did at once, so that nothing was done.
    pub full: f64,
    /// Time in which some task waited, since the machine was started.
    total: Duration,
}

impl Stall {
    /// Part of the time since an earlier look in which some task waited.
    pub fn some_since(&self, earlier: &Stall, elapsed: Duration) -> f64 {
        let waited = self.total.saturating_sub(earlier.total).as_secs_f64();
        if elapsed.is_zero() { self.some } else { (waited / elapsed.as_secs_f64()).clamp(0.0, 1.0) }
    }
}

/// That of the machine or of this process's control group, whichever is worse.
pub(super) fn read(root: &Path, groups: &Groups, resource: &str) -> Option<Stall> {
    let host = text(&root.join("proc/pressure"), resource);
    let own = groups.unified.first().and_then(|place| text(place, &format!("{resource}.pressure")));
    let stalls = [host, own].into_iter().flatten().filter_map(|text| parse(&text));
    stalls.max_by(|a, b| a.some.total_cmp(&b.some))
}

/// `some avg10=1.50 avg60=0.47 avg300=1.15 total=358132493`, and a line `full` of the same form, which may be missing.
fn parse(text: &str) -> Option<Stall> {
    let of = |kind: &str, name: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
    };
    let part = |kind| of(kind, "avg10").map(|percent| (percent / 100.0).clamp(0.0, 1.0));
    let total = of("some", "total").filter(|micros| micros.is_finite() && *micros >= 0.0).unwrap_or(0.0);
    Some(Stall { some: part("some")?, full: part("full").unwrap_or(0.0), total: Duration::from_micros(total as u64) })
}
