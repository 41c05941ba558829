//! Starts the process of a document.
//!
//! `std::process::Command` stays on its `posix_spawn` path as long as nothing is to be run between fork and exec. That
//! path costs the same however large the agent is, which is why the process group is set by `process_group`, niceness
//! comes from the worker thread, and there is no parent-death signal (see `guardian`). All our files are close-on-exec.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::Job;
use super::environment::hide_private;
use super::marks::marks;
use super::program::refusal;

/// How long a start is tried again while the system is short of files, processes or memory. Others end and free some.
const SHORTAGE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A process that was started, and our ends of its pipes.
#[derive(Debug)]
pub(super) struct Spawned {
    /// The process, which leads a group of its own.
    pub(super) leader: Pid,
    /// Only if its payload goes there.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Starts a document's process, or says why it cannot be started.
pub(super) fn spawn(job: &Job, node: &str, is_stopped: impl Fn() -> bool) -> Result<Spawned, String> {
    let rendered = job.template.render(job.doc.number, &job.payload).map_err(|error| error.to_string())?;
    let program = job.template.locate(&rendered.program).map_err(|error| error.to_string())?;
    let mut command = Command::new(&program);
    hide_private(&mut command)
        .arg0(&rendered.program)
        .args(&rendered.arguments)
        .envs(marks((job.doc, job.epoch), node))
        .env("EVENKEEL_ATTEMPT", job.attempt.to_string())
        .process_group(0)
        // An empty payload needs no pipe: the end of input is all that /dev/null has to say.
        .stdin(if rendered.payload_on_stdin && !job.payload.is_empty() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut pause = FIRST_PAUSE;
    let give_up = Instant::now() + SHORTAGE;
    loop {
        // While it waits it must hold no file itself, or many that wait would wait for each other for ever.
        let error = match start(&mut command) {
            Ok(spawned) => return Ok(spawned),
            Err(error) => error,
        };
        if !is_shortage(&error) || is_stopped() || Instant::now() >= give_up {
            return Err(refusal(&program, &error));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn start(command: &mut Command) -> io::Result<Spawned> {
    let mut child = command.spawn()?;
    Ok(Spawned {
        leader: Pid::from_child(&child),
        stdin: child.stdin.take().map(OwnedFd::from),
        stdout: child.stdout.take().expect("it was asked for a pipe").into(),
        stderr: child.stderr.take().expect("it was asked for a pipe").into(),
    })
}

/// Whether the same attempt may succeed in a moment. "Text file busy" is one too: while a program file is being
/// written, every child that another thread is just starting holds it open for an instant.
fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM | libc::ETXTBSY))
}
