//! Whether anything is left of a process group whose leader has ended.

use rustix::process::Pid;

/// Whether the group has a member that lives, besides its leader. Asking with signal 0 would not tell: the leader has not
/// been reaped, and a zombie counts. All of /proc is read, so this is for the few documents that ran out of time.
pub(super) fn outlives(leader: Pid) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok()).any(|process| {
        process != leader.as_raw_nonzero().get()
            && std::fs::read(format!("/proc/{process}/stat")).is_ok_and(|stat| is_live_member(&stat, leader))
    })
}

fn is_live_member(stat: &[u8], leader: Pid) -> bool {
    // Behind the name, which is in parentheses and may hold any, are the state, the parent and the group.
    let Some(end) = stat.iter().rposition(|byte| *byte == b')') else { return false };
    let Ok(rest) = std::str::from_utf8(&stat[end + 1..]) else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let (state, _parent, group) = (fields.next(), fields.next(), fields.next());
    !matches!(state, None | Some("Z" | "X"))
        && group.and_then(|group| group.parse().ok()) == Some(leader.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_process_is_called() {
        let leader = Pid::from_raw(7).unwrap();
        assert!(is_live_member(b"9 (a) Z 1 8 (b) S 3 7 1 0", leader));
        assert!(!is_live_member(b"9 (sh) S 3 8 7 0", leader), "another group");
        assert!(!is_live_member(b"9 (sh) Z 3 7 7 0", leader), "a zombie");
        assert!(!is_live_member(b"", leader) && !is_live_member(b"9 (sh)", leader));
    }
}
