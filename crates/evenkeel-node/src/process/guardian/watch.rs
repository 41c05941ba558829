//! The guardian's own life: wait until the agent is gone, then kill what it has left.
//!
//! It must not share the agent's fate: it leaves the agent's session, and is deaf to what a terminal or a service
//! manager sends to all (the agent, who hears it, will end and let the guardian go).

use std::io::Read;
use std::os::fd::AsFd;
use std::process::exit;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::super::marks::{bears, marks};
use super::super::stat::{Stat, processes};
use super::super::sys;
use super::table::{Entry, Table};

/// How long processes that were just being started are looked for. Between fork and exec they cannot be told apart.
const SEARCH: Duration = Duration::from_secs(2);
const SEARCH_PAUSE: Duration = Duration::from_millis(20);

/// What the program does when its first argument is [`GUARDIAN_ARGUMENT`](super::GUARDIAN_ARGUMENT): waits until the
/// agent that started it is gone, and kills the process groups of its documents. To be called first thing in `main`.
pub fn guardian_main() -> ! {
    sys::ignore_polite_signals();
    sys::close_all_but_standard();
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    // A name is text (config), so that nothing is lost here.
    let node = std::env::args_os().next_back().unwrap_or_default().to_string_lossy().into_owned();
    wait_until_alone();
    let Ok(table) = std::io::stderr().as_fd().try_clone_to_owned().map(Table::from_file) else { exit(1) };
    let Ok(entries) = table.entries() else { exit(1) };
    kill_all(&entries, &node, rustix::process::getppid);
    exit(0)
}

/// The agent holds the other end of standard input and never writes to it.
fn wait_until_alone() {
    let mut stdin = std::io::stdin().lock();
    let mut byte = [0];
    loop {
        match stdin.read(&mut byte) {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Kills what these entries stand for. `adopter`: who takes in the children of the agent once it is gone, as it does the
/// guardian, which is one. A node that was started again at once may have begun the same documents anew, under the same
/// names: those are children of the new agent, and no orphans.
fn kill_all(entries: &[Entry], node: &str, adopter: impl Fn() -> Option<Pid>) {
    let mut starting = Vec::new();
    for entry in entries {
        match *entry {
            Entry::Free => {}
            Entry::Started { leader, since } if is_still(leader, since) => kill(leader),
            Entry::Started { .. } => {}
            Entry::Starting { doc, epoch } => starting.push(marks((doc, epoch), node)),
        }
    }
    let until = Instant::now() + SEARCH;
    while !starting.is_empty() && Instant::now() < until {
        for leader in leaders_of(adopter()) {
            if let Some(found) = starting.iter().position(|marks| bears(leader, marks)) {
                starting.swap_remove(found);
                kill(leader);
            }
        }
        std::thread::sleep(SEARCH_PAUSE);
    }
}

fn kill(leader: Pid) {
    // It may have ended by itself, or belong to another user by now. There is nobody left to tell.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// Whether a group is still the one that was noted. A leader that started later than that has got its id again from
/// the system. If there is no leader, the id cannot have been given out again as long as the group has members.
fn is_still(leader: Pid, since: Duration) -> bool {
    Stat::of(leader).is_none_or(|stat| stat.started <= since)
}

/// All children of a process that lead a group. `None`: of one that cannot be seen from here, which shows as 0.
fn leaders_of(parent: Option<Pid>) -> impl Iterator<Item = Pid> {
    let parent = Pid::as_raw(parent);
    let leads =
        move |(process, stat): &(Pid, Stat)| stat.group == process.as_raw_nonzero().get() && stat.parent == parent;
    processes().filter(leads).map(|(process, _)| process)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use evenkeel_core::ids::{BatchId, DocId, DocNumber, Epoch};

    use super::super::super::stat::since_boot;
    use super::*;

    /// A child with the environment of a document.
    fn sleeper(doc: DocId, node: &str) -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("1000")
            .env("EVENKEEL_BATCH", doc.batch.to_string())
            .env("EVENKEEL_DOCUMENT", doc.number.to_string())
            .env("EVENKEEL_EPOCH", "1")
            .env("EVENKEEL_NODE", node)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_process_that_was_just_being_started_is_found_by_its_environment() {
        // Nobody else's documents are of this batch.
        let doc = DocId { batch: BatchId(u64::from(std::process::id()) << 32 | 77), number: DocNumber(5) };
        let (mut own, mut other) = (sleeper(doc, "own"), sleeper(doc, "other"));
        let entries = [Entry::Starting { doc, epoch: Epoch(1) }];
        kill_all(&entries, "own", rustix::process::getppid);
        assert_eq!(own.try_wait().unwrap(), None, "the child of another agent is left alone");
        kill_all(&entries, "own", || Some(rustix::process::getpid()));
        assert_eq!(own.wait().unwrap().signal(), Some(9));
        assert_eq!(other.try_wait().unwrap(), None, "another node's document is left alone");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_group_whose_number_was_given_out_again_is_left_alone() {
        let doc = DocId { batch: BatchId(1), number: DocNumber(0) };
        let mut stranger = sleeper(doc, "stranger");
        let leader = Pid::from_raw(i32::try_from(stranger.id()).unwrap()).unwrap();
        kill_all(&[Entry::Started { leader, since: Duration::from_millis(1) }], "own", || None);
        assert_eq!(stranger.try_wait().unwrap(), None);
        kill_all(&[Entry::Started { leader, since: since_boot() }], "own", || None);
        assert_eq!(stranger.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_that_started_later_is_a_stranger() {
        let own = rustix::process::getpid();
        assert!(is_still(own, since_boot()));
        assert!(!is_still(own, Duration::from_millis(1)));
    }
}
