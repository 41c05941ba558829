//! Runs one document from start to end on the thread it is called on.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use evenkeel_net::MAX_REASON;
use evenkeel_net::records::{Captured, Exit};
use rustix::process::Signal;

use super::attend::{Attended, attend};
use super::running::signal_group;
use super::spawn::{Spawned, spawn};
use super::tracks::Tracks;
use super::{Ended, Job, Shared, sys};

/// Runs a document that has been entered among the running ones, and takes it out again.
pub(super) fn run(shared: &Shared, job: &Job, tracks: &Tracks, scratch: &mut [u8]) -> Ended {
    let started_unix_micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| micros(time.as_micros()));
    let started = Instant::now();
    let mut ended = Ended {
        doc: job.doc,
        epoch: job.epoch,
        attempt: job.attempt,
        exit: Exit::NotStarted(String::new()),
        stopped: false,
        started_unix_micros,
        wall_micros: 0,
        user_micros: 0,
        system_micros: 0,
        max_rss_bytes: 0,
        stdout: Captured::default(),
        stderr: Captured::default(),
    };
    match start(shared, job, tracks) {
        Err(reason) => {
            ended.exit = Exit::NotStarted(short(reason));
            ended.stopped = shared.running.leave((job.doc, job.epoch));
        }
        Ok(spawned) => finish(shared, job, tracks, spawned, scratch, &mut ended),
    }
    ended.wall_micros = micros(started.elapsed().as_micros());
    ended
}

fn start(shared: &Shared, job: &Job, tracks: &Tracks) -> Result<Spawned, String> {
    let run = (job.doc, job.epoch);
    let is_stopped = || shared.running.is_stopped(run);
    if is_stopped() {
        return Err("it was stopped before it started".to_owned());
    }
    tracks.starting(run);
    let started = spawn(job, &shared.node, is_stopped);
    match &started {
        Ok(spawned) => tracks.started(spawned.leader),
        Err(_) => tracks.ended(),
    }
    let spawned = started?;
    shared.running.started(run, spawned.leader);
    Ok(spawned)
}

/// Stays with the process, then clears up in the one order that is safe: nobody else may signal the group, the whole
/// group is killed (a document owns its group, and what it leaves running there dies with it), guardian and journal
/// forget it, and only then is the leader reaped and its id free for others.
fn finish(shared: &Shared, job: &Job, tracks: &Tracks, spawned: Spawned, scratch: &mut [u8], ended: &mut Ended) {
    let leader = spawned.leader;
    let patience = shared.patience(job.timeout);
    let Attended { timed_out, stdout, stderr, peak } =
        attend(spawned, &job.payload, job.capture_bytes, patience, scratch);
    ended.stopped = shared.running.leave((job.doc, job.epoch));
    signal_group(leader, Signal::KILL);
    tracks.ended();
    (ended.stdout, ended.stderr) = (stdout, stderr);
    match sys::reap(leader) {
        Ok(usage) => {
            ended.exit = match usage.exit {
                _ if timed_out => Exit::TimedOut,
                exit => exit,
            };
            ended.user_micros = micros(usage.user.as_micros());
            ended.system_micros = micros(usage.system.as_micros());
            ended.max_rss_bytes = peak.at_end(usage.max_rss_bytes);
        }
        Err(error) => {
            ended.exit = Exit::NotStarted(format!("it ran, but its exit status was lost: {error}"));
        }
    }
}

/// The reason, cut where a record would not take more.
fn short(mut reason: String) -> String {
    if reason.len() > MAX_REASON {
        const CUT: &str = " [cut]";
        reason.truncate(reason.floor_char_boundary(MAX_REASON - CUT.len()));
        reason.push_str(CUT);
    }
    reason
}

fn micros(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_letters() {
        assert_eq!(short("no".to_owned()), "no");
        let long = short("\u{e4}".repeat(MAX_REASON));
        assert!(long.len() <= MAX_REASON && long.ends_with("\u{e4} [cut]"), "{} bytes", long.len());
    }
}
