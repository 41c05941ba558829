//! Feeds a payload to the standard input of a process without ever waiting for it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

/// What is left to be written.
#[derive(Debug)]
pub(super) struct Feed {
    pipe: OwnedFd,
    left: Bytes,
}

impl Feed {
    /// Starts, and writes what the pipe takes at once. `None`: that was all; the pipe is closed.
    pub(super) fn start(pipe: OwnedFd, payload: Bytes) -> Option<Feed> {
        // The flag belongs to our end of the pipe only: the process sees an ordinary, blocking standard input.
        fcntl_setfl(&pipe, OFlags::NONBLOCK).ok()?;
        Feed { pipe, left: payload }.write()
    }

    /// Writes what the pipe takes. `None`: there is nothing left, or nobody reads any more, which is the process's
    /// good right (`head -1`) and no failure.
    pub(super) fn write(mut self) -> Option<Feed> {
        while !self.left.is_empty() {
            match rustix::io::write(&self.pipe, &self.left) {
                Ok(written) => drop(self.left.split_to(written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Some(self),
                Err(_) => return None,
            }
        }
        None
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
