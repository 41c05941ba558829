//! What this machine has, and how hard pressed it is: processors, memory, and the time that tasks wait for either.
//!
//! Reads what Linux tells in `/proc` and `/sys/fs/cgroup`, of both versions of control groups; what a kernel does not tell is
//! left out. Knows nothing of documents and nodes, and decides nothing.

mod groups;
mod memory;
mod processors;
mod stall;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use memory::Memory;
pub use processors::{Share, usable_processors};
pub use stall::Stall;

use groups::Groups;

/// Names a directory to be read in place of `/`: that of the host, in a container that has it somewhere, or one of a test.
const ROOT_VARIABLE: &str = "EVENKEEL_MACHINE_ROOT";

/// Tells how hard pressed a machine is.
pub trait Gauge: Send + Sync {
    /// How it is now.
    fn read(&self) -> Reading;
}

/// How hard pressed a machine is, at one moment. What is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reading {
    /// What its processors have done since it was started.
    pub processors: Option<Share>,
    /// Time that tasks wait for a processor.
    pub processor_stall: Option<Stall>,
    /// Its memory, or that of the narrowest control group.
    pub memory: Option<Memory>,
    /// Time that tasks wait for memory.
    pub memory_stall: Option<Stall>,
    /// Processes that were killed so far because there was no memory left.
    pub killed: Option<u64>,
}

impl Reading {
    /// Part of the processors that was in use since an earlier reading, from 0 to 1.
    pub fn busy_since(&self, earlier: &Reading) -> Option<f64> {
        self.processors?.busy_since(&earlier.processors?)
    }

    /// Part of the time since an earlier reading in which some task waited for a processor.
    pub fn waited_since(&self, earlier: &Reading, elapsed: Duration) -> Option<f64> {
        Some(self.processor_stall?.some_since(&earlier.processor_stall?, elapsed))
    }
}

/// The machine on which this process runs.
#[derive(Debug, Clone)]
pub struct ThisHost {
    root: PathBuf,
    groups: Groups,
}

impl ThisHost {
    /// Looks where things are, once.
    pub fn find() -> ThisHost {
        let root = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty());
        ThisHost::below(&root.map_or_else(|| PathBuf::from("/"), PathBuf::from))
    }

    /// The same below this directory.
    pub fn below(root: &Path) -> ThisHost {
        ThisHost { root: root.to_owned(), groups: Groups::of_process(root) }
    }
}

impl Gauge for ThisHost {
    fn read(&self) -> Reading {
        Reading {
            processors: processors::share(&self.root, &self.groups),
            processor_stall: stall::read(&self.root, &self.groups, "cpu"),
            memory: memory::read(&self.root, &self.groups),
            memory_stall: stall::read(&self.root, &self.groups, "memory"),
            killed: memory::killed(&self.root, &self.groups),
        }
    }
}

/// A number after a word at the beginning of a line, as `MemTotal:  24684 kB` or `oom_kill 3`.
fn number_of(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix([':', ' ']))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
