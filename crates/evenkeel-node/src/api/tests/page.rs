//! The page and its files.

use reqwest::{Method, StatusCode};

use super::{SETTINGS, Served, refused};
use crate::api::types::ErrorCode;
use crate::api::{ApiSettings, Token};

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_lets_it_load_nothing_from_elsewhere() {
    let served = Served::new().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let response = served.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], kind);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert!(!response.text().await.expect("text").is_empty(), "{path}");
    }
    refused(served.get("/page/nothing.js").await, ErrorCode::NotFound, "there is nothing at /page/nothing.js").await;
    refused(served.get("/page/..%2fCargo.toml").await, ErrorCode::NotFound, "there is nothing at").await;
    let posted = served.send(Method::POST, "/").await;
    refused(posted, ErrorCode::MethodNotAllowed, "does not take POST").await;
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_so() {
    let served = Served::new().await;
    let first = served.get("/page/app.js").await;
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let tag = first.headers()["etag"].clone();
    let again =
        served.request(Method::GET, "/page/app.js").header("if-none-match", tag).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.headers().contains_key("content-security-policy"));
    assert_eq!(again.bytes().await.expect("nothing").len(), 0);
    let other = served.request(Method::GET, "/page/app.js").header("if-none-match", "\"0\"").send().await;
    assert_eq!(other.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_needs_no_token_and_what_it_shows_does() {
    let token = Token::new("0123456789abcdef").expect("a token");
    let served = Served::with(ApiSettings { token: Some(token), ..SETTINGS }).await;
    for path in ["/", "/page/style.css", "/page/app.js"] {
        assert_eq!(served.get(path).await.status(), StatusCode::OK, "{path}");
    }
    for path in ["/v1/live", "/v1/nodes", "/page", "//", "/pages"] {
        refused(served.get(path).await, ErrorCode::Unauthorized, "asks for a token").await;
    }
}
