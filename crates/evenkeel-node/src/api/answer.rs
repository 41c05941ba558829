//! How problems become HTTP answers, and how paths and queries are read so that their mistakes become problems too.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::types::{ErrorCode, Problem};

/// Longest time that a node may take over an answer that is not a stream.
const PATIENCE: Duration = Duration::from_secs(30);

impl ErrorCode {
    /// The HTTP status that says the same.
    pub fn status(self) -> u16 {
        match self {
            ErrorCode::BadRequest | ErrorCode::BadLine => 400,
            ErrorCode::Unauthorized => 401,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::Timeout => 408,
            ErrorCode::Ambiguous | ErrorCode::Conflict => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::UnsupportedMediaType => 415,
            ErrorCode::Internal => 500,
            ErrorCode::Unavailable => 503,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(error = ?self.error, "http request failed: {self}");
        }
        let mut response = (status, Json(&self)).into_response();
        let extra = match self.error {
            ErrorCode::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"evenkeel\"")),
            ErrorCode::Unavailable => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Problem))]
pub(super) struct InPath<T>(pub(super) T);

/// The query.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Problem))]
pub(super) struct InQuery<T>(pub(super) T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        Problem::new(ErrorCode::BadRequest, format!("the path makes no sense: {}", rejection.body_text()))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::new(ErrorCode::BadRequest, format!("the query makes no sense: {}", rejection.body_text()))
    }
}

/// The answer of the node, or a problem if it takes too long: a client is never left hanging.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
        let message = format!("this node did not come up with an answer within {} s", PATIENCE.as_secs());
        Err(Problem::new(ErrorCode::Unavailable, message).hint("ask again, or ask another node"))
    })
}

pub(super) async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("there is nothing at {}", uri.path()))
        .hint("/v1/openapi.json describes what there is")
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(ErrorCode::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
        .hint("the Allow header lists what it takes")
}
