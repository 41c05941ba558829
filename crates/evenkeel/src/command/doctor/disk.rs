//! The data directory: whether it can be written, how much room there is, how long a sync takes, and whether what is in it is
//! as it was written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_node::store::{self, OpenError};
use indicatif::{HumanBytes, HumanCount};
use rustix::fs::{statfs, statvfs};

use super::finding::Finding;
use crate::input::{printable, reason};

/// Room below which a node is about to stop writing, and below which it is in sight that it takes no batches.
const NO_ROOM: u64 = 64 << 20;
const LITTLE_ROOM: u64 = 1 << 30;

/// Syncs that are timed, bytes that are written before each, and the time of one from which on it is slow.
const SYNCS: usize = 9;
const SYNCED: usize = 32 << 10;
const SLOW: Duration = Duration::from_millis(50);

/// A store up to this size is read whole; that of a larger one would take minutes.
const READ_WHOLE: u64 = 2 << 30;

/// What file systems in memory and over the network call themselves.
const TMPFS: u64 = 0x0102_1994;
const NFS: u64 = 0x6969;

/// Looks at a directory, which need not be there yet. `low_water`: the room below which a node there takes no batches.
pub(super) fn check(directory: &Path, low_water: u64) -> Vec<Finding> {
    let shown = printable(directory.as_os_str());
    let there = directory.is_dir();
    if directory.exists() && !there {
        return vec![Finding::problem(
            "data directory",
            format!("{shown} is no directory"),
            "name one with --data-dir",
        )];
    }
    // Where it is not there yet, the node makes it: what is asked is whether it could.
    let place = if there { directory.to_owned() } else { existing(directory) };
    let mut findings = vec![writable(directory, &place, there)];
    if findings[0].advice.is_some() {
        return findings;
    }
    findings.push(room(&place, low_water));
    findings.push(syncs(&place));
    findings.extend(kind(&place));
    if there {
        findings.push(contents(directory));
        findings.extend(key(directory));
    }
    findings
}

/// The nearest directory above that is there.
fn existing(directory: &Path) -> PathBuf {
    let above = directory.ancestors().skip(1).find(|above| above.is_dir());
    match above {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn writable(directory: &Path, place: &Path, there: bool) -> Finding {
    let shown = printable(directory.as_os_str());
    match scratch(place).and_then(|(_file, path)| std::fs::remove_file(path)) {
        Ok(()) if there => Finding::ok("data directory", format!("{shown} can be written")),
        Ok(()) => Finding::ok("data directory", format!("{shown} is not there yet, and can be made")),
        Err(error) => Finding::problem(
            "data directory",
            format!("cannot write in {}: {}", printable(place.as_os_str()), reason(&error)),
            "let it belong to the user that the node runs as, or name another with --data-dir (node.data_dir)",
        ),
    }
}

fn scratch(directory: &Path) -> io::Result<(File, PathBuf)> {
    let path = directory.join(format!(".evenkeel-doctor-{}", std::process::id()));
    File::options().write(true).create_new(true).open(&path).map(|file| (file, path))
}

fn room(place: &Path, low_water: u64) -> Finding {
    const CHECK: &str = "disk space";
    let stat = match statvfs(place) {
        Ok(stat) => stat,
        Err(error) => return Finding::warning(CHECK, format!("cannot be told: {error}"), "look at `df`"),
    };
    judge_room(stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_files > 0 && stat.f_favail == 0, low_water)
}

fn judge_room(free: u64, no_files: bool, low_water: u64) -> Finding {
    const CHECK: &str = "disk space";
    let message = format!("{} free", HumanBytes(free));
    let advice = "make room, or name a directory on another disk with --data-dir: a node whose disk is full takes no batch, \
                  starts nothing, and gives away what it has";
    match free {
        _ if no_files => Finding::problem(CHECK, "no more files can be made there (`df -i`)", advice),
        _ if free < low_water => Finding::problem(
            CHECK,
            format!("{message}, and below {} (store.low_water) a node takes no batches", HumanBytes(low_water)),
            "make room, name a directory on another disk with --data-dir, or lower store.low_water",
        ),
        0..NO_ROOM => Finding::problem(CHECK, message, advice),
        NO_ROOM..LITTLE_ROOM => Finding::warning(CHECK, message, advice),
        _ => Finding::ok(CHECK, message),
    }
}

/// Times some syncs, as the store makes them.
fn syncs(place: &Path) -> Finding {
    const CHECK: &str = "disk sync";
    let timed = scratch(place).and_then(|(mut file, path)| {
        let timed = (0..SYNCS).map(|_| {
            let begun = Instant::now();
            file.write_all(&[0x5a; SYNCED])?;
            file.sync_data()?;
            Ok(begun.elapsed())
        });
        let timed: io::Result<Vec<Duration>> = timed.collect();
        std::fs::remove_file(path)?;
        timed
    });
    match timed {
        Ok(mut times) => {
            times.sort_unstable();
            judge_syncs(times[SYNCS / 2], times[SYNCS - 1])
        }
        Err(error) => Finding::problem(
            CHECK,
            format!("a file cannot be synced: {}", reason(&error)),
            "look at the kernel's log (`dmesg`)",
        ),
    }
}

fn judge_syncs(median: Duration, longest: Duration) -> Finding {
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let message = format!("one takes {} ({} at most, of {SYNCS})", millis(median), millis(longest));
    if median >= SLOW {
        let advice = "each batch and each group of results waits for one: put the data directory on a quicker disk";
        return Finding::warning("disk sync", message, advice);
    }
    Finding::ok("disk sync", message)
}

/// Kinds of file systems that surprise.
fn kind(place: &Path) -> Option<Finding> {
    const CHECK: &str = "file system";
    match statfs(place).ok()?.f_type as u64 {
        TMPFS => Some(Finding::warning(
            CHECK,
            "the data directory is in memory (tmpfs)",
            "what is acknowledged is lost when this host restarts: name a directory on a disk with --data-dir",
        )),
        NFS => Some(Finding::warning(
            CHECK,
            "the data directory is on another host (NFS)",
            "its syncs and locks are only as good as that host's: name a directory on a disk of this one with --data-dir",
        )),
        _ => None,
    }
}

/// What is in it.
fn contents(directory: &Path) -> Finding {
    const CHECK: &str = "store";
    let shown = printable(directory.as_os_str());
    if let Some(process) = evenkeel_node::daemon::user_of(directory) {
        return Finding::ok(CHECK, format!("in use by process {process}: not read"));
    }
    let bytes = std::fs::metadata(directory.join(store::FILE)).map_or(0, |data| data.len());
    if bytes > READ_WHOLE {
        return Finding::ok(
            CHECK,
            format!("{}: not read here, `evenkeel store check {shown}` does", HumanBytes(bytes)),
        );
    }
    match store::inspect(directory) {
        Ok(contents) if contents.damaged == 0 => {
            let results: u64 = contents.batches.values().map(|used| used.results).sum();
            let message = format!(
                "{}: {} batches, {} results, all as they were written",
                HumanBytes(contents.file_bytes),
                HumanCount(contents.batches.len() as u64),
                HumanCount(results)
            );
            Finding::ok(CHECK, message)
        }
        Ok(contents) => Finding::problem(
            CHECK,
            format!(
                "{} values are damaged, the first: {}",
                HumanCount(contents.damaged),
                contents.damage.join("; ").chars().take(200).collect::<String>()
            ),
            format!(
                "`evenkeel store check {shown}` names them; the node gets copies from others when it is started; look at the \
                 disk (`dmesg`, `smartctl`)"
            ),
        ),
        Err(OpenError::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Finding::ok(CHECK, "there is none yet")
        }
        Err(error @ OpenError::Newer { .. }) => {
            Finding::problem(CHECK, error.to_string(), "run the version that wrote it, or a newer one")
        }
        Err(error) => Finding::problem(
            CHECK,
            error.to_string(),
            "the node sets it aside when it is started, and joins as a new one; look at the disk (`dmesg`, `smartctl`)",
        ),
    }
}

/// The node's key is for its owner's eyes.
fn key(directory: &Path) -> Option<Finding> {
    let path = directory.join("node.key");
    let mode = std::fs::metadata(&path).ok()?.permissions().mode() & 0o777;
    let shown = printable(path.as_os_str());
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            "node key",
            format!("{shown} has mode {mode:o}: others on this host can read it"),
            format!("chmod 600 {shown}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::finding::Verdict;

    #[test]
    fn little_room_is_a_warning_and_none_a_problem() {
        for (free, no_files, low_water, verdict) in [
            (u64::MAX, false, 256 << 20, Verdict::Ok),
            (500 << 20, false, 256 << 20, Verdict::Warning),
            (500 << 20, false, 501 << 20, Verdict::Problem),
            (1 << 20, false, 0, Verdict::Problem),
            (u64::MAX, true, 0, Verdict::Problem),
        ] {
            assert_eq!(judge_room(free, no_files, low_water).verdict, verdict, "{free}");
        }
    }

    #[test]
    fn slow_syncs_are_a_warning() {
        let millis = Duration::from_millis;
        assert_eq!(judge_syncs(millis(2), millis(900)).verdict, Verdict::Ok);
        let slow = judge_syncs(millis(80), millis(900));
        assert_eq!(
            (slow.verdict, slow.message.as_str()),
            (Verdict::Warning, "one takes 80.0 ms (900.0 ms at most, of 9)")
        );
    }

    #[test]
    fn what_was_made_to_look_is_taken_away_again() {
        let directory = tempfile::tempdir().unwrap();
        let findings = check(directory.path(), 0);
        assert!(findings.iter().all(|finding| finding.verdict != Verdict::Problem), "{findings:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let deep = check(&directory.path().join("not/there/yet"), 0);
        assert!(deep[0].message.contains("can be made"), "{deep:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
