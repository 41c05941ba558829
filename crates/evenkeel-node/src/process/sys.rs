//! The few system calls that have no safe wrapper. All unsafe code of the executor is here, and nothing else is.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use evenkeel_net::records::Exit;
use rustix::process::Pid;

/// What the kernel knows of a process that has ended.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    /// Its exit status or the signal that ended it.
    pub(super) exit: Exit,
    /// Processor time in user mode, of it and of all descendants that were waited for.
    pub(super) user: Duration,
    /// Processor time in the kernel, likewise.
    pub(super) system: Duration,
    /// Largest resident memory of any one of them, in bytes; see `memory.rs` before believing it.
    pub(super) max_rss_bytes: u64,
}

/// Waits for a child and reaps it. From its return on, the process id may belong to somebody else.
pub(super) fn reap(pid: Pid) -> io::Result<Usage> {
    let mut status: libc::c_int = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live, writable memory of the types that wait4 fills in.
        let outcome = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, usage.as_mut_ptr()) };
        if outcome >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: `rusage` is plain integers, for which zeroed memory is valid too; wait4 has succeeded and filled it in.
    let usage = unsafe { usage.assume_init() };
    Ok(Usage {
        exit: exit(ExitStatus::from_raw(status)),
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss_bytes: kibibytes(usage.ru_maxrss),
    })
}

/// Largest resident memory that the agent itself has ever had, in bytes.
pub(super) fn own_max_rss_bytes() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to live, writable memory of the type that getrusage fills in. It cannot fail for
    // RUSAGE_SELF, and if it did, the zeroes would stay, which are valid integers.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    kibibytes(usage.ru_maxrss)
}

/// Undoes an inherited "ignore SIGCHLD", under which the kernel reaps children by itself and their status is lost.
pub(super) fn keep_exit_statuses() {
    // SAFETY: reading a disposition into zeroed memory of the right type, and then setting the default one, which
    // runs no code of ours. A handler that somebody installed is left alone.
    unsafe {
        let mut present = MaybeUninit::<libc::sigaction>::zeroed();
        if libc::sigaction(libc::SIGCHLD, std::ptr::null(), present.as_mut_ptr()) == 0
            && present.assume_init().sa_sigaction == libc::SIG_IGN
        {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
    }
}

/// Makes this process deaf to what a terminal or a service manager sends to a whole group of processes.
pub(super) fn ignore_polite_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE, libc::SIGTSTP] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes every file but the three standard ones. Only for a process in which nothing else owns one.
pub(super) fn close_all_but_standard() {
    // SAFETY: closing files breaks only their owners, and the caller vouches that there are none. A kernel without
    // the call leaves the files open, which is no worse than not having asked.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
}

/// Ends the thread that `main` runs on and leaves the others, as some programs do.
#[cfg(test)]
pub(super) fn end_main_thread() {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: the thread never runs again, so that what it has borrowed or locked stays so, and its stack stays.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    let handler: extern "C" fn(libc::c_int) = end;
    // SAFETY: the handler makes one system call, which is allowed in one, and the signal goes to this process.
    unsafe {
        libc::signal(libc::SIGUSR1, handler as libc::sighandler_t);
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::getpid(), libc::SIGUSR1);
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

fn kibibytes(count: libc::c_long) -> u64 {
    u64::try_from(count).unwrap_or(0).saturating_mul(1024)
}
