//! Whether anything is left of a process group whose leader has ended.

use rustix::process::Pid;

use super::stat::processes;

/// Whether the group has a member that lives, besides its leader. Asking with signal 0 would not tell: the leader has not
/// been reaped, and a zombie counts. All of /proc is read, so this is for the few documents that ran out of time.
pub(super) fn outlives(leader: Pid) -> bool {
    let number = leader.as_raw_nonzero().get();
    processes().any(|(process, stat)| process != leader && stat.lives && stat.group == number)
}
