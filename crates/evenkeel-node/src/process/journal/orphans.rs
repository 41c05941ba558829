//! Ends the processes of a journal that still live, and nobody else's.
//!
//! A process id alone says nothing: it may have been given out again. A leader is ours if it was started when ours was. The
//! times before and after its start, which cost nothing to take, tell that as exactly as its start time would, which is
//! rounded to the same tick, and would have to be read for every document. If the leader is gone, the id cannot be a new
//! group's as long as ours has members, but ours may be gone as well: then it counts what its members were started with.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpgrp, kill_process_group, pidfd_open};

use super::super::KILL_WAIT;
use super::super::marks::{bears, marks};
use super::super::stat::{Stat, processes, tick};
use super::record::Record;

/// How many documents were still running.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) killed: usize,
    /// Not to be killed, or not dead in time: another user's, or stuck in the kernel.
    pub(super) left: usize,
}

/// Kills the process groups of these records that are still there, and waits until they are gone, within reason.
pub(super) fn end(records: &[Record], node: &str) -> Ended {
    if records.is_empty() {
        return Ended::default();
    }
    let all: HashMap<Pid, Stat> = processes().collect();
    let own = getpgrp();
    let mut groups: HashSet<Pid> = records.iter().filter_map(|record| group_of(record, &all, node)).collect();
    groups.retain(|group| *group != own && !living(&all, *group).is_empty());
    // Of what may not be signalled nobody waits for the end.
    let killed: Vec<Pid> =
        groups.iter().copied().filter(|group| kill_process_group(*group, Signal::KILL).is_ok()).collect();
    let until = Instant::now() + KILL_WAIT;
    let left = killed.iter().filter(|group| !is_gone(**group, until)).count();
    Ended { killed: killed.len() - left, left: groups.len() - killed.len() + left }
}

/// The group of a document, if it can be told that it is the one.
fn group_of(record: &Record, all: &HashMap<Pid, Stat>, node: &str) -> Option<Pid> {
    let bears_marks = |process: &Pid| bears(*process, &marks(record.run, node));
    let Some((leader, after)) = record.started else {
        // It may have started others that lead groups. It is the first.
        let leads = |(process, stat): &(&Pid, &Stat)| {
            stat.group == process.as_raw_nonzero().get()
                && stat.started + tick() >= record.before
                && bears_marks(process)
        };
        return all.iter().filter(leads).min_by_key(|(_, stat)| stat.started).map(|(process, _)| *process);
    };
    let ours = match all.get(&leader) {
        Some(stat) => (record.before.saturating_sub(tick())..=after).contains(&stat.started),
        None => living(all, leader).iter().any(bears_marks),
    };
    ours.then_some(leader)
}

/// The members of a group that have not ended.
fn living(all: &HashMap<Pid, Stat>, group: Pid) -> Vec<Pid> {
    let group = group.as_raw_nonzero().get();
    all.iter().filter(|(_, stat)| stat.lives && stat.group == group).map(|(process, _)| *process).collect()
}

/// Waits until a group that was killed has no member that lives; false if it takes too long.
fn is_gone(group: Pid, until: Instant) -> bool {
    loop {
        let members = living(&processes().collect(), group);
        if members.is_empty() {
            return true;
        }
        if !members.into_iter().all(|member| has_ended(member, until)) {
            return false;
        }
    }
}

/// Waits for the end of a process that is no child of ours.
fn has_ended(process: Pid, until: Instant) -> bool {
    // None of that number: it has ended, and been reaped.
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return Stat::of(process).is_none() };
    let mut watched = [PollFd::new(&handle, PollFlags::IN)];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut watched, timeout.as_ref()) {
            Ok(1..) => return true,
            _ if left == Duration::ZERO => return false,
            Ok(_) | Err(_) => {}
        }
    }
}
