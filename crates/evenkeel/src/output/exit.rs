//! How the program ends: its exit statuses, and the error that carries one.

use std::fmt;
use std::io;
use std::process::{ExitCode, Termination};

use crate::input::InputError;

/// Exit statuses. They are part of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitStatus {
    /// All went well.
    Ok = 0,
    /// Something failed.
    Failure = 1,
    /// The command line, the configuration or the input is wrong.
    Usage = 2,
    /// The job finished, and some of its documents failed.
    FailedDocuments = 3,
    /// There is no such batch, document or node.
    NotFound = 4,
    /// No node of the cluster answers.
    Unreachable = 5,
    /// It took too long.
    TimedOut = 6,
    /// The cluster refuses: no or wrong token, or wrong secret.
    NotAllowed = 7,
    /// Ctrl-C: 128 + SIGINT, as shells have it.
    Interrupted = 130,
    /// Whoever read the output has gone: 128 + SIGPIPE, as if the signal had ended the program.
    OutputClosed = 141,
}

impl ExitStatus {
    /// The status itself.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl Termination for ExitStatus {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Why a command ends without having done what it was asked, and with which status.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: ExitStatus,
    /// What to tell the user; causes are printed behind it.
    pub error: anyhow::Error,
}

/// What every command returns.
pub type CommandResult = Result<ExitStatus, Failure>;

impl Failure {
    /// A failure with this status and message.
    pub fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Failure {
        Failure { status, error: error.into() }
    }

    /// A failure with this status that says this.
    pub fn says(status: ExitStatus, message: impl fmt::Display) -> Failure {
        Failure { status, error: anyhow::Error::msg(message.to_string()) }
    }

    /// The command line is wrong.
    pub fn usage(message: impl fmt::Display) -> Failure {
        Failure::says(ExitStatus::Usage, message)
    }

    /// Whether there is nothing to say: the reader of our output has gone, which is its good right.
    pub fn is_silent(&self) -> bool {
        self.status == ExitStatus::OutputClosed
    }
}

/// The whole message in one line, ready for standard error.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evenkeel: {:#}", self.error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        // Only a bare error is that of our own output; one with context is about a file that the context names.
        let bare = error.chain().count() == 1;
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::BrokenPipe) if bare => Failure { status: ExitStatus::OutputClosed, error },
            _ => Failure { status: ExitStatus::Failure, error },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let status = match error.kind() {
            io::ErrorKind::BrokenPipe => ExitStatus::OutputClosed,
            _ => ExitStatus::Failure,
        };
        Failure::new(status, error)
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Failure {
        let status = if error.is_failure_of_the_world() { ExitStatus::Failure } else { ExitStatus::Usage };
        Failure::new(status, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Place;

    #[test]
    fn bad_input_is_usage_and_a_failing_disk_is_not() {
        let empty = InputError::Empty { input: Place::Stdin };
        assert_eq!(Failure::from(empty).status, ExitStatus::Usage);
        let read = InputError::Read { input: Place::Stdin, line: 1, error: io::Error::other("broken disk") };
        assert_eq!(Failure::from(read).status, ExitStatus::Failure);
    }

    #[test]
    fn a_reader_that_has_gone_is_not_complained_of() {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::from(gone()).is_silent());
        assert!(Failure::from(anyhow::Error::from(gone())).is_silent());
        assert!(!Failure::from(io::Error::other("full disk")).is_silent());
        let file = Failure::from(anyhow::Error::from(gone()).context("cannot write the job log fifo"));
        assert!(!file.is_silent() && file.to_string().contains("job log fifo: broken pipe"), "{file}");
    }

    #[test]
    fn a_message_has_its_causes_in_one_line() {
        let error = anyhow::Error::msg("no route").context("cannot reach n1");
        assert_eq!(Failure::new(ExitStatus::Unreachable, error).to_string(), "evenkeel: cannot reach n1: no route");
    }
}
