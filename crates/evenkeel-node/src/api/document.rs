//! Reads one line of an upload as a document. Called a million times for a large batch: it copies nothing it need not.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use evenkeel_core::units::Length;
use serde::{Deserialize, Deserializer, de};

use super::backend::Document;
use super::types::{ErrorCode, Problem};

/// Reads a line of JSON. The problem says what is wrong with it; the caller knows which line it is.
pub(super) fn from_json(line: &Bytes, max_payload: u64) -> Result<Document, Problem> {
    let parsed: Line<'_> = object(line, "a document is an object like {\"payload\": \"text\"}")?;
    let payload = match (parsed.payload, parsed.payload_base64) {
        // A text without escapes is a part of the line: the document shares its buffer.
        (Some(Text(Cow::Borrowed(text))), None) => line.slice_ref(text.as_bytes()),
        (Some(Text(Cow::Owned(text))), None) => Bytes::from(text),
        (None, Some(Text(text))) => STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(|error| {
            bad("payload_base64 is not base64", &error).hint("use the standard alphabet, with padding")
        })?,
        (Some(_), Some(_)) => {
            return Err(Problem::new(ErrorCode::BadLine, "both payload and payload_base64").hint("leave one out"));
        }
        (None, None) => {
            return Err(Problem::new(ErrorCode::BadLine, "no payload")
                .hint("a document is {\"payload\": \"text\"} or {\"payload_base64\": \"...\"}"));
        }
    };
    checked(payload, parsed.length.map(|length| length.0), max_payload)
}

/// Takes a line of text as it is.
pub(super) fn from_text(line: Bytes, max_payload: u64) -> Result<Document, Problem> {
    checked(line, None, max_payload)
}

/// Reads a line that should be a JSON object.
pub(super) fn object<'a, T: Deserialize<'a>>(line: &'a [u8], expected: &str) -> Result<T, Problem> {
    // The parser would take a list for the fields in their order.
    if line.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(ErrorCode::BadLine, format!("{expected}, not a list")));
    }
    serde_json::from_slice(line).map_err(|error| invalid(&error, line))
}

fn invalid(error: &serde_json::Error, line: &[u8]) -> Problem {
    // The parser saw one line of many: its own line number would only mislead.
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = message.strip_suffix(&place).unwrap_or(&message);
    let problem = match error.classify() {
        serde_json::error::Category::Data => Problem::new(ErrorCode::BadLine, what),
        _ => Problem::new(ErrorCode::BadLine, format!("not JSON at column {}: {what}", error.column())),
    };
    let has = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    if error.is_syntax() && (has(b"NaN") || has(b"Infinity")) {
        return problem.hint("JSON has neither NaN nor Infinity: leave the length out if it is not known");
    }
    problem
}

fn checked(payload: Bytes, length: Option<Length>, max_payload: u64) -> Result<Document, Problem> {
    let size = payload.len() as u64;
    if size > max_payload {
        let message = format!("a payload of {size} bytes, and this node takes at most {max_payload}");
        return Err(Problem::new(ErrorCode::TooLarge, message)
            .hint("put large inputs in files and submit their paths, or raise documents.max_payload on this node"));
    }
    Ok(Document { payload, length: length.unwrap_or(Length(size)) })
}

fn bad(what: &str, error: &dyn fmt::Display) -> Problem {
    Problem::new(ErrorCode::BadLine, format!("{what}: {error}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object like {\"payload\": \"text\"}")]
struct Line<'a> {
    #[serde(borrow, default)]
    payload: Option<Text<'a>>,
    #[serde(borrow, default)]
    payload_base64: Option<Text<'a>>,
    #[serde(default)]
    length: Option<GivenLength>,
}

/// `Option<Cow<str>>` would always own: serde borrows only for a `Cow` in a field of its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A length as clients write it: any JSON number that is whole and not too large.
struct GivenLength(Length);

impl<'de> Deserialize<'de> for GivenLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthVisitor)
    }
}

struct LengthVisitor;

impl de::Visitor<'_> for LengthVisitor {
    type Value = GivenLength;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length: a whole number from 0 to 2^53")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<GivenLength, E> {
        if number > Length::MAX.0 {
            return Err(E::custom(format_args!("the length {number} is too large: at most 2^53 = {}", Length::MAX)));
        }
        Ok(GivenLength(Length(number)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<GivenLength, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format_args!("the length {number} is negative: a length is a cost, 0 or more"))),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<GivenLength, E> {
        if number < 0.0 {
            return Err(E::custom(format_args!("the length {number} is negative: a length is a cost, 0 or more")));
        }
        if number > Length::MAX.as_f64() {
            return Err(E::custom(format_args!("the length {number} is too large: at most 2^53 = {}", Length::MAX)));
        }
        if number.fract() != 0.0 {
            return Err(E::custom(format_args!(
                "the length {number} is not a whole number: round it, or scale them all"
            )));
        }
        Ok(GivenLength(Length(number as u64)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::types::DocumentLine;

    fn read(line: &str) -> Result<Document, Problem> {
        from_json(&Bytes::copy_from_slice(line.as_bytes()), 1_000)
    }

    proptest! {
        #[test]
        fn what_a_client_writes_is_read_back(payload: Vec<u8>, length in proptest::option::of(0..=Length::MAX.0)) {
            let line = serde_json::to_vec(&DocumentLine::new(&payload, length)).expect("JSON");
            let document = from_json(&Bytes::from(line), u64::MAX).expect("a document");
            prop_assert_eq!(document.length, Length(length.unwrap_or(payload.len() as u64)));
            prop_assert_eq!(document.payload, payload);
        }

        #[test]
        fn any_bytes_are_read_or_refused(line: Vec<u8>) {
            let _ = from_json(&Bytes::from(line), 1_000);
        }
    }

    #[test]
    fn a_plain_text_is_not_copied() {
        let line = Bytes::from_static(br#"{"payload": "plain"}"#);
        let document = from_json(&line, 1_000).expect("a document");
        assert!(line.as_ptr_range().contains(&document.payload.as_ptr()));
        assert_eq!(document, Document { payload: Bytes::from_static(b"plain"), length: Length(5) });
    }

    #[test]
    fn lengths_are_whole_and_between_0_and_2_to_the_53() {
        let length = |text: &str| read(&format!(r#"{{"payload": "x", "length": {text}}}"#)).map(|doc| doc.length);
        assert_eq!(length("0"), Ok(Length(0)));
        assert_eq!(length("1e3"), Ok(Length(1_000)));
        assert_eq!(length("9007199254740992"), Ok(Length::MAX));
        assert_eq!(length("null"), Ok(Length(1)), "as if it were not there");
        for (text, complaint) in [
            ("-1", "the length -1 is negative"),
            ("-0.5", "the length -0.5 is negative"),
            ("1.5", "the length 1.5 is not a whole number"),
            ("9007199254740993", "the length 9007199254740993 is too large"),
            ("18446744073709551616", "is too large"),
            ("1e400", "number out of range"),
            ("NaN", "not JSON at column"),
            ("\"NaN\"", "expected a length: a whole number from 0 to 2^53"),
        ] {
            let refused = length(text).expect_err(text);
            assert_eq!(refused.error, ErrorCode::BadLine, "{text}");
            assert!(refused.message.contains(complaint), "{text}: {refused}");
        }
        assert!(length("NaN").expect_err("NaN").hint.is_some_and(|hint| hint.contains("NaN")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, complaint) in [
            ("{\"payload\": ", "not JSON at column 12: EOF while parsing a value"),
            ("", "EOF"),
            ("[]", "a document is an object like {\"payload\": \"text\"}, not a list"),
            (" [\"x\"]", "not a list"),
            ("17", "invalid type: integer `17`, expected an object like"),
            ("{}", "no payload"),
            (r#"{"payload": "x", "payload_base64": "eA=="}"#, "both payload and payload_base64"),
            (r#"{"payload_base64": "x"}"#, "payload_base64 is not base64"),
            (r#"{"payload": 17}"#, "invalid type: integer `17`"),
            (r#"{"payload": "x", "lenght": 1}"#, "unknown field `lenght`, expected one of"),
            (r#"{"payload": "x"} {"payload": "y"}"#, "trailing characters"),
            (r#"{"payload": "\ud800"}"#, "not JSON at column"),
        ] {
            let refused = read(line).expect_err(line);
            assert!(refused.message.contains(complaint), "{line}: {refused}");
            assert!(!refused.message.contains("line 1"), "{refused}");
        }
        let long = read(&format!(r#"{{"payload": "{}"}}"#, "x".repeat(1_001))).expect_err("too long");
        assert_eq!(long.error, ErrorCode::TooLarge);
        assert!(long.message.contains("1001 bytes"), "{long}");
    }
}
