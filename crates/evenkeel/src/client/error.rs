//! What can go wrong with a request, in words for the one who made it; each kind has its exit status.

use std::error::Error;
use std::time::Duration;

use evenkeel_node::api::types::{ErrorCode, Problem};
use reqwest::Url;

use crate::cli::name::BatchName;
use crate::output::exit::{ExitStatus, Failure};

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there. Nothing was changed.
    #[error("no node answers at {url}: {reason}; start one with `evenkeel node`, or name another with --http")]
    Unreachable {
        /// Whom we tried.
        url: Url,
        /// The system's words.
        reason: String,
    },
    /// The node was there and is gone. What was asked for may have been done or not.
    #[error("the connection to {url} broke off: {reason}; ask again, or name another node with --http")]
    Broken {
        /// The node.
        url: Url,
        /// The system's words.
        reason: String,
    },
    /// The node is there and says nothing. What was asked for may have been done or not.
    #[error(
        "the node at {url} gave no answer for {}; ask again, or name another with --http",
        humantime::format_duration(*after)
    )]
    Silent {
        /// The node.
        url: Url,
        /// How long we waited.
        after: Duration,
    },
    /// The node refuses. Nothing was changed.
    #[error("{}", worded(.0))]
    Refused(Problem),
    /// What answers is something else.
    #[error("what answers at {url} is no Evenkeel node, or one of another version: {reason}")]
    Strange {
        /// Whom we asked.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// What is strange about it.
        reason: String,
    },
}

impl ClientError {
    /// What the transport's error means.
    pub(super) fn of_transport(url: &Url, error: &reqwest::Error) -> ClientError {
        let (url, reason) = (url.clone(), innermost(error));
        if error.is_connect() { ClientError::Unreachable { url, reason } } else { ClientError::Broken { url, reason } }
    }

    /// Of a batch that was named by the beginning of its id: that it is only a beginning is part of the message.
    pub(super) fn about(self, batch: &BatchName) -> ClientError {
        let unknown = format!("there is no batch {:?}", batch.as_str());
        match self {
            ClientError::Refused(problem) if batch.is_beginning() && problem.message == unknown => {
                let problem = Problem::new(ErrorCode::NotFound, format!("there is no batch that begins with {batch}"));
                ClientError::Refused(problem.hint("`evenkeel status` lists the batches"))
            }
            error => error,
        }
    }

    /// The exit status that says the same.
    pub fn status(&self) -> ExitStatus {
        match self {
            ClientError::Unreachable { .. } | ClientError::Broken { .. } => ExitStatus::Unreachable,
            ClientError::Silent { .. } => ExitStatus::TimedOut,
            ClientError::Refused(problem) => match problem.error {
                ErrorCode::NotFound => ExitStatus::NotFound,
                ErrorCode::Unauthorized | ErrorCode::Forbidden => ExitStatus::NotAllowed,
                ErrorCode::Timeout => ExitStatus::TimedOut,
                ErrorCode::BadRequest | ErrorCode::BadLine | ErrorCode::TooLarge | ErrorCode::Ambiguous => {
                    ExitStatus::Usage
                }
                _ => ExitStatus::Failure,
            },
            // A proxy before the node has words of its own, and statuses as everybody.
            ClientError::Strange { status: 401 | 403, .. } => ExitStatus::NotAllowed,
            ClientError::Strange { status: 408 | 504, .. } => ExitStatus::TimedOut,
            ClientError::Strange { .. } => ExitStatus::Failure,
        }
    }

    /// Whether the same node, or another one, may well give the answer a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::Broken { .. } | ClientError::Silent { .. } => true,
            ClientError::Refused(problem) => matches!(problem.error, ErrorCode::Unavailable | ErrorCode::Timeout),
            ClientError::Strange { status, .. } => matches!(status, 502..=504),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::new(error.status(), error)
    }
}

/// A problem as the user of a command line can do something about it, who knows no headers.
fn worded(problem: &Problem) -> String {
    match problem.error {
        ErrorCode::Unauthorized => {
            format!("{}: give it with --token-file FILE, or in EVENKEEL_TOKEN", problem.message)
        }
        _ => problem.to_string(),
    }
}

/// The words of the first cause: the layers above it say only that there is one.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    crate::input::reason(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_exit_status() {
        let url = || Url::parse("http://127.0.0.1:1/").unwrap();
        let refused = |error| ClientError::Refused(Problem::new(error, "no"));
        let strange = |status| ClientError::Strange { url: url(), status, reason: "?".into() };
        for (error, status, may_pass) in [
            (ClientError::Unreachable { url: url(), reason: "refused".into() }, ExitStatus::Unreachable, true),
            (ClientError::Broken { url: url(), reason: "reset".into() }, ExitStatus::Unreachable, true),
            (ClientError::Silent { url: url(), after: Duration::from_secs(60) }, ExitStatus::TimedOut, true),
            (refused(ErrorCode::NotFound), ExitStatus::NotFound, false),
            (refused(ErrorCode::Unauthorized), ExitStatus::NotAllowed, false),
            (refused(ErrorCode::Forbidden), ExitStatus::NotAllowed, false),
            (refused(ErrorCode::Timeout), ExitStatus::TimedOut, true),
            (refused(ErrorCode::BadLine), ExitStatus::Usage, false),
            (refused(ErrorCode::Conflict), ExitStatus::Failure, false),
            (refused(ErrorCode::Unavailable), ExitStatus::Failure, true),
            (strange(403), ExitStatus::NotAllowed, false),
            (strange(504), ExitStatus::TimedOut, true),
            (strange(200), ExitStatus::Failure, false),
        ] {
            assert_eq!((error.status(), error.may_pass()), (status, may_pass), "{error}");
        }
    }

    #[test]
    fn a_missing_token_is_asked_for_in_the_words_of_the_command_line() {
        let problem = Problem::new(ErrorCode::Unauthorized, "this node asks for a token").hint("send a header");
        assert_eq!(
            ClientError::Refused(problem).to_string(),
            "this node asks for a token: give it with --token-file FILE, or in EVENKEEL_TOKEN"
        );
    }
}
