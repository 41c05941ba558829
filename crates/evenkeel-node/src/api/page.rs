//! The page for people at `/`, with all that it needs, from the program itself.
//!
//! It holds no data: it asks the API for them, with the token if there is one, and so is itself served without. It loads
//! nothing from anywhere else, and the browser is told to see to that.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::answer;

/// What the page may do: its own scripts and styles, and requests to this node. No frame, no form, no other host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:ident),* $(,)?) => {
        [$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../page/", $name)) }),*]
    };
}

/// The first is the page itself.
static ASSETS: [Asset; 15] = assets![
    "index.html": HTML,
    "style.css": STYLE,
    "icon.svg": IMAGE,
    "actions.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "batches.js": SCRIPT,
    "cluster.js": SCRIPT,
    "document.js": SCRIPT,
    "documents.js": SCRIPT,
    "dom.js": SCRIPT,
    "events.js": SCRIPT,
    "levels.js": SCRIPT,
    "live.js": SCRIPT,
    "words.js": SCRIPT,
];

/// What each file is now, as a browser that has it may ask: another build has other tags.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| format!("\"{}\"", &blake3::hash(asset.bytes).to_hex()[..16]);
    ASSETS.iter().map(|asset| tag(asset).parse().expect("a tag is made of digits")).collect()
});

/// Where the page and its files are. They are no part of the API, and not in its description.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> [(&'static str, MethodRouter<S>); 2] {
    [("/", get(page)), ("/page/{name}", get(file))]
}

/// Whether a path is one of these.
pub(super) fn is_open(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

async fn page(headers: HeaderMap) -> Response {
    serve(0, &headers)
}

async fn file(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    match ASSETS.iter().position(|asset| asset.name == name) {
        Some(place) => serve(place, &headers),
        None => answer::unknown_route(uri).await.into_response(),
    }
}

fn serve(place: usize, headers: &HeaderMap) -> Response {
    let (asset, tag) = (&ASSETS[place], &TAGS[place]);
    let same = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| names(known, tag));
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { asset.bytes.into_response() };
    let more = [
        // A node that is replaced by a newer one has a newer page: always ask, and mostly hear that it is the same.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    for (name, value) in more {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Whether a list of tags, as a browser sends it, has this one.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(|known| known.trim().trim_start_matches("W/")).any(|known| known == "*" || known == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths that a text names between quotes and that are the page's own.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        text.split(['"', '\'']).filter_map(|word| word.strip_prefix("./").or_else(|| word.strip_prefix("/page/")))
    }

    #[test]
    fn what_the_files_name_is_there_and_nothing_is_there_that_none_names() {
        let mut wanted: Vec<&str> = ASSETS
            .iter()
            .flat_map(|asset| named(std::str::from_utf8(asset.bytes).expect("text")))
            .filter(|name| !name.is_empty())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut there: Vec<&str> = ASSETS.iter().skip(1).map(|asset| asset.name).collect();
        there.sort_unstable();
        assert_eq!(wanted, there);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_is_written_into_the_page_that_the_policy_forbids() {
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.bytes).expect("text");
            for line in text.lines().filter(|line| !line.contains("http://www.w3.org/")) {
                for forbidden in ["http:", "https:", "//cdn", "innerHTML", "style=\"", "eval(", "onclick="] {
                    assert!(!line.contains(forbidden), "{} has {forbidden} in: {line}", asset.name);
                }
            }
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        let tag = HeaderValue::from_static("\"abc\"");
        for list in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(names(&HeaderValue::from_static(list), &tag), "{list}");
        }
        for list in ["", "abc", "\"ab\"", "\"abcd\""] {
            assert!(!names(&HeaderValue::from_static(list), &tag), "{list}");
        }
    }
}
