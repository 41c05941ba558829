//! Documents that are JSON values, one a line.

use super::length::Measure;
use super::lines::LineReader;
use super::{Document, InputError, Place, field};

/// Some editors put this before everything else; it is no part of the first value.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Documents that are JSON values.
pub(super) struct JsonLines {
    lines: LineReader,
    measure: Measure,
    objects_only: bool,
}

impl JsonLines {
    pub(super) fn open(
        place: Place,
        measure: Measure,
        limit: u64,
        objects_only: bool,
    ) -> Result<JsonLines, InputError> {
        Ok(JsonLines { lines: LineReader::open(place, limit)?, measure, objects_only })
    }

    pub(super) fn next_document(&mut self) -> Result<Option<Document>, InputError> {
        while let Some(mut payload) = self.lines.next_line()? {
            if self.lines.line() == 1 && payload.starts_with(BYTE_ORDER_MARK) {
                payload.drain(..BYTE_ORDER_MARK.len());
            }
            if payload.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return self.document(payload).map(Some);
        }
        Ok(None)
    }

    fn document(&self, payload: Vec<u8>) -> Result<Document, InputError> {
        let (input, line) = (self.lines.place(), self.lines.line());
        let wanted = match &self.measure {
            Measure::Field(name) => Some(name.as_str()),
            _ => None,
        };
        let text = std::str::from_utf8(&payload).map_err(|error| InputError::Json {
            input: input.clone(),
            line,
            column: error.valid_up_to() + 1,
            reason: "not UTF-8".to_owned(),
        })?;
        let found = field::find(text, wanted).map_err(|error| InputError::Json {
            input: input.clone(),
            line,
            column: error.column(),
            reason: words_of(&error),
        })?;
        if (self.objects_only || wanted.is_some())
            && let Some(kind) = kind_unless_object(&payload)
        {
            return Err(InputError::NotAnObject { input: input.clone(), line, found: kind });
        }
        let length = match &self.measure {
            Measure::Field(name) => Measure::of_field(found.as_deref(), name, input, line)?,
            other => other.of_plain(&payload, input, line)?,
        };
        Ok(Document { payload, length })
    }
}

/// serde's message without its position, which counts from the beginning of the line instead of the file.
fn words_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words).to_owned()
}

/// What a valid JSON text is, unless it is an object.
fn kind_unless_object(json: &[u8]) -> Option<&'static str> {
    match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => None,
        Some(b'[') => Some("an array"),
        Some(b'"') => Some("a string"),
        Some(b't' | b'f') => Some("a boolean"),
        Some(b'n') => Some("null"),
        _ => Some("a number"),
    }
}
