//! The guardian's own life: wait until the agent is gone, then kill what it has left.
//!
//! It must not share the agent's fate: it leaves the agent's session, and is deaf to what a terminal or a service
//! manager sends to all (the agent, who hears it, will end and let the guardian go).

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::exit;
use std::time::{Duration, Instant};

use evenkeel_core::ids::{DocId, Epoch};
use rustix::process::{Pid, Signal, kill_process_group};

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
    let node = std::env::args_os().next_back().unwrap_or_default();
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
fn kill_all(entries: &[Entry], node: &OsStr, adopter: impl Fn() -> Option<Pid>) {
    let mut starting = Vec::new();
    for entry in entries {
        match *entry {
            Entry::Free => {}
            Entry::Started { leader, since } if is_still(leader, since) => kill(leader),
            Entry::Started { .. } => {}
            Entry::Starting { doc, epoch } => starting.push(environment(doc, epoch, node)),
        }
    }
    let until = Instant::now() + SEARCH;
    while !starting.is_empty() && Instant::now() < until {
        for leader in leaders_of(adopter()) {
            let Ok(environment) = std::fs::read(format!("/proc/{}/environ", leader.as_raw_nonzero())) else { continue };
            let holds = |wanted: &Vec<u8>| environment.split(|&byte| byte == 0).any(|variable| variable == wanted);
            if let Some(found) = starting.iter().position(|wanted| wanted.iter().all(holds)) {
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

/// Variables by which a document's process is known; see `spawn.rs`.
fn environment(doc: DocId, epoch: Epoch, node: &OsStr) -> Vec<Vec<u8>> {
    vec![
        format!("EVENKEEL_BATCH={}", doc.batch).into_bytes(),
        format!("EVENKEEL_DOCUMENT={}", doc.number).into_bytes(),
        format!("EVENKEEL_EPOCH={epoch}").into_bytes(),
        [b"EVENKEEL_NODE=", node.as_bytes()].concat(),
    ]
}

/// All children of a process that lead a group. `None`: of one that cannot be seen from here, which shows as 0.
fn leaders_of(parent: Option<Pid>) -> impl Iterator<Item = Pid> {
    let parent = Pid::as_raw(parent);
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).filter(move |process| {
        Stat::of(*process).is_some_and(|stat| stat.group == process.as_raw_nonzero().get() && stat.parent == parent)
    })
}

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    group: i32,
    /// Since boot, rounded down to a clock tick.
    started: Duration,
}

impl Stat {
    fn of(process: Pid) -> Option<Stat> {
        let text = std::fs::read(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
        Stat::parse(&text, rustix::param::clock_ticks_per_second())
    }

    /// The name, in parentheses, may hold anything, so the fields are counted from the last one that closes.
    fn parse(text: &[u8], ticks_per_second: u64) -> Option<Stat> {
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let ticks: u64 = fields.nth(16)?.parse().ok()?;
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(ticks_per_second.max(1));
        Some(Stat { parent, group, started: Duration::from_nanos(u64::try_from(nanos).ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use evenkeel_core::ids::{BatchId, DocNumber};

    use super::super::table::since_boot;
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_process_is_called() {
        let text = b"42 (a) b 7 (c)) S 1 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3\n";
        let expected = Stat { parent: 1, group: 40, started: Duration::from_millis(123_450) };
        assert_eq!(Stat::parse(text, 100), Some(expected));
        assert_eq!(Stat::parse(b"42 (a", 100), None);
        assert_eq!(Stat::parse(b"42 (a) S 1", 100), None);
    }

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
        kill_all(&entries, OsStr::new("own"), rustix::process::getppid);
        assert_eq!(own.try_wait().unwrap(), None, "the child of another agent is left alone");
        kill_all(&entries, OsStr::new("own"), || Some(rustix::process::getpid()));
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
        kill_all(&[Entry::Started { leader, since: Duration::from_millis(1) }], OsStr::new("own"), || None);
        assert_eq!(stranger.try_wait().unwrap(), None);
        kill_all(&[Entry::Started { leader, since: since_boot() }], OsStr::new("own"), || None);
        assert_eq!(stranger.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_that_started_later_is_a_stranger() {
        let own = rustix::process::getpid();
        assert!(is_still(own, since_boot()));
        assert!(!is_still(own, Duration::from_millis(1)));
    }
}
