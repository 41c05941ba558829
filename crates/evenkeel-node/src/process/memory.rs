//! Peak memory of a document, as far as Linux tells it.
//!
//! The kernel's own figure (`ru_maxrss`) starts a child at the peak of the program that spawned it, because until it
//! has executed its own program the child *is* a copy of that one. So `true`, spawned by an agent of 100 MB, is said
//! to have used 100 MB. A figure above the agent's own peak can only be the child's; for a smaller one the child is
//! looked at while it runs. One that ends before the first look and used less than the agent has no known peak.

use rustix::process::Pid;

use super::sys;

/// Peak memory of one running document.
#[derive(Debug, Default)]
pub(super) struct Peak {
    seen_bytes: u64,
}

impl Peak {
    /// Looks at the process itself. Its own peak never falls, so the last look is the best.
    pub(super) fn look(&mut self, pid: Pid) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())) else { return };
        self.seen_bytes = self.seen_bytes.max(high_water_bytes(&status).unwrap_or(0));
    }

    /// The peak in bytes, given what the kernel said at the end; 0 if it is not known.
    pub(super) fn at_end(&self, max_rss_bytes: u64) -> u64 {
        if max_rss_bytes > sys::own_max_rss_bytes() { max_rss_bytes } else { self.seen_bytes }
    }
}

/// The high-water mark in the text of a `/proc/PID/status`.
fn high_water_bytes(status: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_and_its_absence_is_no_error() {
        assert_eq!(high_water_bytes("Name:\tcat\nVmHWM:\t    1840 kB\nVmRSS:\t 1 kB\n"), Some(1840 * 1024));
        assert_eq!(high_water_bytes("Name:\tzombie\nState:\tZ\n"), None);
    }

    #[test]
    fn what_exceeds_the_agent_is_the_childs_own() {
        let peak = Peak { seen_bytes: 5 };
        assert_eq!(peak.at_end(u64::MAX), u64::MAX);
        assert_eq!(peak.at_end(1), 5);
    }
}
