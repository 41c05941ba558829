//! How long a document is held to be, which is what it is scheduled by.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use evenkeel_core::units::Length;

use super::error::LengthFault;
use super::{InputError, Place, Source};

/// What a document's length is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Size in bytes of the file that the payload names.
    FileSize,
    /// Bytes of the payload.
    PayloadBytes,
    /// 1: nothing is known.
    One,
    /// A whole number in this field of the payload.
    Field(String),
}

/// Most characters of a wrong value that a message repeats.
const SHOWN: usize = 60;

impl Measure {
    /// Refuses measures that documents of this source cannot have.
    pub(super) fn suits(&self, source: &Source) -> Result<(), InputError> {
        let fields = matches!(source, Source::JsonLines(_) | Source::Csv(_));
        match self {
            Measure::Field(_) if !fields => Err(InputError::FieldsNeedObjects { input: source.place() }),
            Measure::FileSize if fields => Err(InputError::FileSizeNeedsNames { input: source.place() }),
            _ => Ok(()),
        }
    }

    /// Length of a payload whose inside is of no concern.
    pub(super) fn of_plain(&self, payload: &[u8], input: &Place, line: u64) -> Result<Length, InputError> {
        match self {
            Measure::PayloadBytes => Ok(Length(payload.len() as u64)),
            Measure::One => Ok(Length(1)),
            Measure::FileSize => {
                let path = Path::new(OsStr::from_bytes(payload));
                match path.metadata() {
                    Ok(metadata) => Ok(Length(metadata.len()).min(Length::MAX)),
                    Err(error) => {
                        Err(InputError::FileLength { input: input.clone(), line, path: path.to_owned(), error })
                    }
                }
            }
            Measure::Field(_) => Err(InputError::FieldsNeedObjects { input: input.clone() }),
        }
    }

    /// Length that a field's text gives: a JSON number, or a string that holds one, as every field of a CSV row is.
    pub(super) fn of_field(found: Option<&str>, field: &str, input: &Place, line: u64) -> Result<Length, InputError> {
        let Some(text) = found else {
            return Err(InputError::NoLength { input: input.clone(), line, field: field.to_owned() });
        };
        let string = if text.starts_with('"') { serde_json::from_str::<String>(text).ok() } else { None };
        parse(string.as_deref().unwrap_or(text)).map_err(|reason| InputError::BadLength {
            input: input.clone(),
            line,
            field: field.to_owned(),
            value: shortened(text),
            reason,
        })
    }
}

/// Reads a length from decimal text: digits, or a floating-point number without fraction such as `12.0` or `1e3`.
pub(super) fn parse(text: &str) -> Result<Length, LengthFault> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u64>() {
            Ok(number) if number <= Length::MAX.0 => Ok(Length(number)),
            _ => Err(LengthFault::TooLarge),
        };
    }
    let number: f64 = text.parse().map_err(|_| LengthFault::NotANumber)?;
    if number.is_nan() {
        Err(LengthFault::NotANumber)
    } else if number < 0.0 {
        Err(LengthFault::Negative)
    } else if number > Length::MAX.as_f64() {
        Err(LengthFault::TooLarge)
    } else if number.fract() != 0.0 {
        Err(LengthFault::Fraction)
    } else {
        Ok(Length(number as u64))
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.starts_with('"') {
        // Quotes that delimit a JSON string need no escape of their own.
        shown = shown.replace("\\\"", "\"");
    }
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    if shown.is_empty() { "empty".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_are_lengths() {
        for (text, length) in
            [("0", 0), ("17", 17), (" 17 ", 17), ("12.0", 12), ("1e3", 1000), ("-0", 0), ("9007199254740992", 1 << 53)]
        {
            assert_eq!(parse(text), Ok(Length(length)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_own_reason() {
        for (text, fault) in [
            ("-1", LengthFault::Negative),
            ("-1e300", LengthFault::Negative),
            ("-inf", LengthFault::Negative),
            ("NaN", LengthFault::NotANumber),
            ("", LengthFault::NotANumber),
            ("many", LengthFault::NotANumber),
            ("null", LengthFault::NotANumber),
            ("[1]", LengthFault::NotANumber),
            ("1,000", LengthFault::NotANumber),
            ("0.5", LengthFault::Fraction),
            ("9007199254740993", LengthFault::TooLarge),
            ("18446744073709551616", LengthFault::TooLarge),
            ("1e400", LengthFault::TooLarge),
            ("inf", LengthFault::TooLarge),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_length_or_refused(text in "\\PC{0,30}") {
            if let Ok(length) = parse(&text) {
                prop_assert!(length <= Length::MAX);
            }
        }

        #[test]
        fn lengths_survive_printing_and_parsing(number in 0..=Length::MAX.0) {
            prop_assert_eq!(parse(&number.to_string()), Ok(Length(number)));
        }
    }
}
