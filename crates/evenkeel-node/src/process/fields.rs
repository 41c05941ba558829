//! Fields of a payload that is a JSON object, as text for a command line. Rows of CSV are carried as such objects.

use std::collections::HashMap;
use std::ffi::OsString;

use serde_json::value::RawValue;

/// The top level of one payload. Values stay as they were written: `1.10` is not turned into `1.1`, nor a
/// 30-digit number into something near it.
pub(super) struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads a payload.
    pub(super) fn parse(payload: &'a [u8]) -> Result<Fields<'a>, serde_json::Error> {
        serde_json::from_slice(payload).map(Fields)
    }

    /// The value under a name as text: strings bare, all else as JSON. A name with dots reaches into nested objects,
    /// unless a field has that very name.
    pub(super) fn text(&self, name: &str) -> Option<OsString> {
        let value = self.0.get(name).copied().or_else(|| {
            let (outer, inner) = name.split_once('.')?;
            nested(self.0.get(outer)?, inner)
        })?;
        Some(bare(value).into())
    }

    /// Names of the fields, for a message: sorted, and not too many.
    pub(super) fn names(&self) -> String {
        const SHOWN: usize = 12;
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        names.truncate(SHOWN);
        if names.is_empty() { "none".to_owned() } else { names.join(", ") + more }
    }
}

fn nested<'a>(value: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let object: HashMap<String, &'a RawValue> = serde_json::from_str(value.get()).ok()?;
    if let Some(found) = object.get(name) {
        return Some(found);
    }
    let (outer, inner) = name.split_once('.')?;
    nested(object.get(outer)?, inner)
}

fn bare(value: &RawValue) -> String {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text,
        Err(_) => value.get().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &str, name: &str) -> Option<String> {
        Fields::parse(payload.as_bytes()).unwrap().text(name).map(|text| text.into_string().unwrap())
    }

    #[test]
    fn values_become_text() {
        let payload = r#"{"s": "a \"b\"\n", "i": 123456789012345678901234567890, "f": 1.10, "t": true, "z": null, "l": [1, 2], "o": {"p": {"q": "deep"}}, "o.x": "dotted"}"#;
        for (name, expected) in [
            ("s", "a \"b\"\n"),
            ("i", "123456789012345678901234567890"),
            ("f", "1.10"),
            ("t", "true"),
            ("z", "null"),
            ("l", "[1, 2]"),
            ("o.p", r#"{"q": "deep"}"#),
            ("o.p.q", "deep"),
            ("o.x", "dotted"),
        ] {
            assert_eq!(text(payload, name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(text(payload, "o.p.r"), None);
        assert_eq!(text(payload, "s.t"), None);
    }

    #[test]
    fn names_are_listed() {
        assert_eq!(Fields::parse(br#"{"b": 1, "a": 2}"#).unwrap().names(), "a, b");
        assert_eq!(Fields::parse(b"{}").unwrap().names(), "none");
        assert!(Fields::parse(b"[1]").is_err());
        assert!(Fields::parse(b"\xff").is_err());
    }
}
