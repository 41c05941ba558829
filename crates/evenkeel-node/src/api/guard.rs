//! Who may ask: checked before anything else of a request is looked at.
//!
//! With a token, whoever has it. Without one the API listens on loopback, and then the danger is the browser: any web
//! page may make it send a request to 127.0.0.1, and a batch is a command to be run. Browsers name the page's origin in
//! such requests, and the host that they believe to be talking to: a foreign one is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::backend::Backend;
use super::token::Token;
use super::types::{ErrorCode, Problem};
use super::{Api, page};

/// Probes carry no token.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

pub(super) async fn check<B: Backend>(State(api): State<Arc<Api<B>>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let allowed = match &api.settings.token {
        _ if OPEN.contains(&path.as_str()) => Ok(()),
        Some(_) if page::is_open(&path) => Ok(()),
        Some(token) => check_token(request.headers(), token),
        None => check_browser(request.headers()),
    };
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    api.requests.answered(route.as_ref().map(MatchedPath::as_str), response.status().as_u16());
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?begun.elapsed(), "http");
    response
}

fn check_token(headers: &HeaderMap, token: &Token) -> Result<(), Problem> {
    let refused = |message| {
        Err(Problem::new(ErrorCode::Unauthorized, message)
            .hint("send the token of this node (http.token_file) as `Authorization: Bearer TOKEN`"))
    };
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return refused("this node asks for a token");
    };
    match value.as_bytes().split_at_checked(7) {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"bearer ") && token.is(given.trim_ascii()) => Ok(()),
        _ => refused("this is not the token of this node"),
    }
}

fn check_browser(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if let Some(host) = host
        && !is_local(host)
    {
        let message = format!("this node has no token and answers only to its address or localhost, not to {host:?}");
        return Err(Problem::new(ErrorCode::Forbidden, message).hint("give the node a token with http.token_file"));
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        Some(origin) if host.is_none() || origin.split_once("://").map(|(_, origin)| origin) != host => {
            let message = format!("this node has no token and does not answer web pages of {origin:?}");
            Err(Problem::new(ErrorCode::Forbidden, message).hint("give the node a token with http.token_file"))
        }
        _ => Ok(()),
    }
}

/// An address, which no name server can have forged, or localhost.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn without_a_token_only_local_names_and_pages_of_the_node_itself_are_answered() {
        let asked = |host: &str, origin: Option<&str>| {
            let mut pairs = vec![(header::HOST, host)];
            pairs.extend(origin.map(|origin| (header::ORIGIN, origin)));
            check_browser(&headers(&pairs)).is_ok()
        };
        assert!(asked("127.0.0.1:7117", None));
        assert!(asked("[::1]:7117", None));
        assert!(asked("localhost", None));
        assert!(asked("LOCALHOST:7117", Some("http://LOCALHOST:7117")));
        assert!(!asked("rebound.example:7117", None));
        assert!(!asked("127.0.0.1.evil.example", None));
        assert!(!asked("127.0.0.1:7117", Some("https://evil.example")));
        assert!(!asked("127.0.0.1:7117", Some("http://127.0.0.1:8000")));
        assert!(!asked("127.0.0.1:7117", Some("null")));
        assert!(check_browser(&HeaderMap::new()).is_ok(), "HTTP/1.0");
    }

    #[test]
    fn the_token_is_asked_for() {
        let token = Token::new("0123456789abcdef").expect("a token");
        let asked = |value: &str| check_token(&headers(&[(header::AUTHORIZATION, value)]), &token).is_ok();
        assert!(asked("Bearer 0123456789abcdef"));
        assert!(asked("bearer  0123456789abcdef"));
        for wrong in ["", "Bearer", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer 0123456789abcdeF"]
        {
            assert!(!asked(wrong), "{wrong:?}");
        }
        assert!(check_token(&HeaderMap::new(), &token).is_err());
    }
}
