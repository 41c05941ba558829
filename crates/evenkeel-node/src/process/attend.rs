//! Attends one process from its start to its end: feeds it, reads what it writes, watches its time.
//!
//! One thread, one poll(2) on the pipes and on a handle of the process. Most processes are short, and for those a
//! system call counts: the handle is opened only for one that has not ended after [`FIRST_LOOK`]. Until then the end
//! shows by both pipes closing, after which there is nothing to do but wait.
//!
//! A process may leave others behind that hold its pipes open (`sleep 1000 &`). They get a moment to write their last,
//! as a `>(tee log)` does, and then the group is killed: a slot is never stuck behind a process that has ended.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_net::records::Captured;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::capture::Capture;
use super::feed::Feed;
use super::group::outlives;
use super::memory::Peak;
use super::running::signal_group;
use super::spawn::Spawned;

/// Age at which a process is first looked at: its handle is opened and its memory read.
const FIRST_LOOK: Duration = Duration::from_millis(30);
/// Time between looks grows to this.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// Time between looks at what is left of a group that was asked to end, when its leader has.
const GROUP_LOOK: Duration = Duration::from_millis(20);

/// How long a process may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// In all; then its group is asked to end.
    pub(super) timeout: Option<Duration>,
    /// From being asked until its group is killed, its leader's end notwithstanding.
    pub(super) term_grace: Duration,
    /// From its end until what it left behind is killed.
    pub(super) pipe_grace: Duration,
}

/// A process that has ended. It is not reaped yet: its id still belongs to it.
#[derive(Debug)]
pub(super) struct Attended {
    pub(super) timed_out: bool,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    pub(super) peak: Peak,
}

/// Stays with a process until it has ended and its output is read. `scratch` is what output is read through.
pub(super) fn attend(
    spawned: Spawned,
    payload: &Bytes,
    capture_bytes: u64,
    patience: Patience,
    scratch: &mut [u8],
) -> Attended {
    let now = Instant::now();
    let mut attendant = Attendant {
        leader: spawned.leader,
        handle: None,
        feed: spawned.stdin.and_then(|pipe| Feed::start(pipe, payload.clone())),
        stdout: Stream::new(spawned.stdout, capture_bytes),
        stderr: Stream::new(spawned.stderr, capture_bytes),
        stage: Stage::Running,
        alarm: patience.timeout.and_then(|timeout| now.checked_add(timeout)),
        look: now + FIRST_LOOK,
        look_pause: FIRST_LOOK,
        patience,
        timed_out: false,
        peak: Peak::default(),
    };
    while attendant.go_on(scratch) {}
    Attended {
        timed_out: attendant.timed_out,
        stdout: attendant.stdout.capture.finish(),
        stderr: attendant.stderr.capture.finish(),
        peak: attendant.peak,
    }
}

/// How far a process has come, and so what its alarm means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// At its work. The alarm, if any, is its time-out.
    Running,
    /// Out of time and asked to end. The alarm kills.
    Asked,
    /// Killed. Without alarm: the kernel will see to it.
    Killed,
    /// Ended, but pipes are open. The alarm kills what holds them.
    Left,
    /// Everything killed. The alarm gives up on what is out of reach and still writes.
    Swept,
}

struct Attendant {
    leader: Pid,
    handle: Option<OwnedFd>,
    feed: Option<Feed>,
    stdout: Stream,
    stderr: Stream,
    stage: Stage,
    alarm: Option<Instant>,
    look: Instant,
    look_pause: Duration,
    patience: Patience,
    timed_out: bool,
    peak: Peak,
}

impl Attendant {
    /// One round. False: the process has ended and there is nothing more to read.
    fn go_on(&mut self, scratch: &mut [u8]) -> bool {
        let silent = self.feed.is_none() && self.stdout.pipe.is_none() && self.stderr.pipe.is_none();
        match self.stage {
            Stage::Left if silent && self.timed_out && outlives(self.leader) => {}
            Stage::Left | Stage::Swept if silent => return false,
            Stage::Running | Stage::Asked | Stage::Killed if silent && self.alarm.is_none() => {
                wait_for_end(self.leader);
                return false;
            }
            Stage::Running | Stage::Asked if silent => self.open_handle(),
            _ => {}
        }
        let (ended, quiet) = self.poll(scratch);
        if ended {
            self.ended();
        }
        if quiet && self.stage == Stage::Swept {
            return false;
        }
        self.keep_time();
        true
    }

    /// Waits for the next event and serves the pipes. Whether the process has ended, and whether nothing happened.
    fn poll(&mut self, scratch: &mut [u8]) -> (bool, bool) {
        let timeout = self.until_next_act();
        let watched = [
            self.stdout.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.stderr.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            self.feed.as_ref().map(|feed| (feed.as_fd(), PollFlags::OUT)),
            self.handle.as_ref().map(|handle| (handle.as_fd(), PollFlags::IN)),
        ];
        let mut files: Vec<PollFd<'_>> =
            watched.iter().flatten().map(|(file, events)| PollFd::from_borrowed_fd(*file, *events)).collect();
        if poll(&mut files, timeout.as_ref()).is_err() {
            // Interrupted, or for a moment without memory: the next round will do.
            return (false, false);
        }
        let mut seen = files.iter().map(PollFd::revents);
        let [stdout, stderr, stdin, handle] =
            watched.map(|file| file.and_then(|_| seen.next()).unwrap_or(PollFlags::empty()));
        self.stdout.serve(stdout, scratch);
        self.stderr.serve(stderr, scratch);
        if !stdin.is_empty() {
            self.feed = self.feed.take().and_then(Feed::write);
        }
        (!handle.is_empty(), (stdout | stderr | stdin | handle).is_empty())
    }

    /// Time until something is to be done without an event. `None`: for ever.
    fn until_next_act(&self) -> Option<Timespec> {
        let next = match self.stage {
            Stage::Running | Stage::Asked | Stage::Killed => {
                Some(self.alarm.map_or(self.look, |alarm| alarm.min(self.look)))
            }
            // Nothing tells when the last of a group is gone.
            Stage::Left if self.timed_out => Some(self.alarm.map_or(self.look, |alarm| alarm.min(self.look))),
            Stage::Left => self.alarm,
            // Whatever the dead have written is in the pipes already.
            Stage::Swept => return Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
        };
        Timespec::try_from(next?.saturating_duration_since(Instant::now())).ok()
    }

    /// Acts on what has become due.
    fn keep_time(&mut self) {
        let now = Instant::now();
        let alarmed = self.alarm.is_some_and(|alarm| alarm <= now);
        let alive = matches!(self.stage, Stage::Running | Stage::Asked | Stage::Killed);
        if alive && (alarmed || self.look <= now) {
            if has_ended(self.leader) {
                return self.ended();
            }
            self.look_at(now);
        }
        if self.stage == Stage::Left {
            self.look = now + GROUP_LOOK;
        }
        if !alarmed {
            return;
        }
        (self.stage, self.alarm) = match self.stage {
            Stage::Running => {
                self.timed_out = true;
                signal_group(self.leader, Signal::TERM);
                (Stage::Asked, now.checked_add(self.patience.term_grace))
            }
            Stage::Asked | Stage::Killed => {
                signal_group(self.leader, Signal::KILL);
                (Stage::Killed, None)
            }
            Stage::Left => {
                signal_group(self.leader, Signal::KILL);
                (Stage::Swept, now.checked_add(self.patience.pipe_grace))
            }
            Stage::Swept => {
                self.stdout.pipe = None;
                self.stderr.pipe = None;
                (Stage::Swept, None)
            }
        };
    }

    /// The process has ended: nobody reads its standard input any more, and others may still hold its output.
    fn ended(&mut self) {
        let now = Instant::now();
        self.handle = None;
        self.feed = None;
        let pipe_grace = now.checked_add(self.patience.pipe_grace);
        // The whole group was asked to end, and all of it has the time for that, whoever of it is done first.
        self.alarm = if self.stage == Stage::Asked { self.alarm.max(pipe_grace) } else { pipe_grace };
        self.look = now + GROUP_LOOK;
        self.stage = Stage::Left;
    }

    fn look_at(&mut self, now: Instant) {
        self.peak.look(self.leader);
        self.open_handle();
        // Without a handle (no file left for one) looking is all there is, so it stays frequent.
        if self.handle.is_some() {
            self.look_pause = (self.look_pause * 2).min(LONGEST_LOOK);
        }
        self.look = now + self.look_pause;
    }

    fn open_handle(&mut self) {
        if self.handle.is_none() {
            self.handle = pidfd_open(self.leader, PidfdFlags::empty()).ok();
        }
    }
}

/// One output of the process.
struct Stream {
    /// `None` once everybody who could write has closed it.
    pipe: Option<OwnedFd>,
    capture: Capture,
}

impl Stream {
    fn new(pipe: OwnedFd, limit: u64) -> Stream {
        Stream { pipe: Some(pipe), capture: Capture::new(limit) }
    }

    /// Reads once, which cannot block after this event; or closes, without reading, what is empty and ended.
    fn serve(&mut self, events: PollFlags, scratch: &mut [u8]) {
        let Some(pipe) = self.pipe.as_ref().filter(|_| !events.is_empty()) else { return };
        if events.contains(PollFlags::IN) {
            match rustix::io::read(pipe, &mut *scratch) {
                Ok(count) if count > 0 => return self.capture.take(&scratch[..count]),
                Err(Errno::INTR | Errno::AGAIN) => return,
                Ok(_) | Err(_) => {}
            }
        }
        self.pipe = None;
    }
}

/// Waits until the process has ended, without reaping it.
fn wait_for_end(leader: Pid) {
    while let Err(Errno::INTR) = waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
}

/// Whether the process has ended; it is not reaped. One that cannot be asked about has been reaped by somebody else.
fn has_ended(leader: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(leader), options), Ok(None) | Err(Errno::INTR))
}
