//! What can be wrong with input: each message says what, where and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use evenkeel_core::units::Length;
use indicatif::HumanBytes;

use super::place::{Place, printable};

/// Why documents cannot be read. Nothing has been changed by any of these.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be opened.
    #[error("cannot open {input}: {}{}", reason(error), advice(error))]
    Open {
        /// The file.
        input: Place,
        /// Why.
        error: io::Error,
    },
    /// Reading failed half-way: not the user's fault.
    #[error("cannot read {input} after line {line}: {}", reason(error))]
    Read {
        /// The file.
        input: Place,
        /// The last line that could be read.
        line: u64,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("{input} holds no documents: there is nothing to run")]
    Empty {
        /// The source.
        input: Place,
    },
    /// A payload is over the limit.
    #[error(
        "{input}, line {line}: longer than a document may be ({}): put the data into a file and give its name, \
         or raise --document-limit",
        HumanBytes(*limit)
    )]
    TooLong {
        /// The source.
        input: Place,
        /// Where it begins there.
        line: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A line is not JSON.
    #[error("{input}, line {line}, column {column}: not JSON: {reason}; every line must hold one JSON value")]
    Json {
        /// The source.
        input: Place,
        /// The line.
        line: u64,
        /// The byte in it, from 1.
        column: usize,
        /// The parser's words.
        reason: String,
    },
    /// A JSON value has no fields, and fields are asked for.
    #[error("{input}, line {line}: {found} where a JSON object is needed, because a field of it is asked for")]
    NotAnObject {
        /// The source.
        input: Place,
        /// The line.
        line: u64,
        /// What stands there instead.
        found: &'static str,
    },
    /// Fields are asked for of payloads that have none.
    #[error("{input}: these documents have no fields; fields are taken from --jsonl or --csv input")]
    FieldsNeedObjects {
        /// The source.
        input: Place,
    },
    /// File sizes are asked for where payloads are not file names.
    #[error("{input}: --length file needs payloads that are file names: use --files, -a or :::, or --length-field")]
    FileSizeNeedsNames {
        /// The source.
        input: Place,
    },
    /// The document that a length is to be taken from lacks the field.
    #[error("{input}, line {line}: there is no field `{field}` to take the length from")]
    NoLength {
        /// The source.
        input: Place,
        /// The line.
        line: u64,
        /// The field.
        field: String,
    },
    /// The field is there and is no length.
    #[error("{input}, line {line}: field `{field}` is {value}, {reason}")]
    BadLength {
        /// The source.
        input: Place,
        /// The line.
        line: u64,
        /// The field.
        field: String,
        /// What stands there, shortened.
        value: String,
        /// What is wrong with it.
        reason: LengthFault,
    },
    /// A payload that should name a file does not.
    #[error("{input}, line {line}: cannot measure the file {}: {}", printable(path.as_os_str()), reason(error))]
    FileLength {
        /// The source.
        input: Place,
        /// The line.
        line: u64,
        /// The payload.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A CSV file is empty.
    #[error("{input}: no header: the first line of CSV input must hold the names of the columns")]
    NoHeader {
        /// The source.
        input: Place,
    },
    /// A column of a CSV header has no name.
    #[error("{input}: column {column} of the header has no name: the first line must name every column")]
    UnnamedColumn {
        /// The source.
        input: Place,
        /// The column, from 1.
        column: usize,
    },
    /// Two columns have one name.
    #[error("{input}: columns {first} and {second} of the header are both named `{name}`: rename one")]
    DuplicateColumn {
        /// The source.
        input: Place,
        /// The name.
        name: String,
        /// The earlier column, from 1.
        first: usize,
        /// The later one.
        second: usize,
    },
    /// The header lacks a column that the command takes.
    #[error(
        "{input}: the header has no column `{field}`, which the command takes as {{.{field}}}; it has {}; the first line must \
         hold the names",
        columns.join(", ")
    )]
    NoFieldColumn {
        /// The source.
        input: Place,
        /// The missing name.
        field: String,
        /// The names that are there.
        columns: Vec<String>,
    },
    /// The header lacks the column that lengths are to be taken from.
    #[error(
        "{input}: the header has no column `{field}` to take the length from; it has {}; the first line must hold the names",
        columns.join(", ")
    )]
    NoColumn {
        /// The source.
        input: Place,
        /// The missing name.
        field: String,
        /// The names that are there.
        columns: Vec<String>,
    },
    /// A CSV row has more or fewer fields than the header.
    #[error(
        "{input}, line {line} (row {row}): {found} {} where the header has {expected}: \
         a field that holds a comma or a line break must be quoted",
        if *found == 1 { "field" } else { "fields" }
    )]
    Ragged {
        /// The source.
        input: Place,
        /// The line at which the row begins.
        line: u64,
        /// The row, from 1, the header not counted.
        row: u64,
        /// Number of columns.
        expected: usize,
        /// Number of fields.
        found: usize,
    },
    /// CSV text is not UTF-8.
    #[error("{input}, line {line}, field {field}: not UTF-8: convert the file first, for example with iconv")]
    NotText {
        /// The source.
        input: Place,
        /// The line at which the row begins.
        line: u64,
        /// The field, from 1.
        field: usize,
    },
    /// A file pattern is malformed.
    #[error("--files {pattern}: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No regular file matches.
    #[error("{input}: {reason}")]
    NoFiles {
        /// The patterns.
        input: Place,
        /// What there was instead.
        reason: String,
    },
}

impl InputError {
    /// Whether the world failed rather than what the user gave.
    pub fn is_failure_of_the_world(&self) -> bool {
        matches!(self, InputError::Read { .. })
    }
}

/// Why a value is no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LengthFault {
    /// Below zero.
    #[error("which is negative: a length is 0 or more")]
    Negative,
    /// Not a number, the IEEE one included.
    #[error("which is not a number")]
    NotANumber,
    /// It has a fraction.
    #[error("which is not a whole number: give it in a smaller unit, such as milliseconds for seconds")]
    Fraction,
    /// Too large.
    #[error("which is more than a length may be ({})", Length::MAX)]
    TooLarge,
}

/// The system's words without Rust's `(os error 2)`.
pub(crate) fn reason(error: &(impl fmt::Display + ?Sized)) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::IsADirectory => "; to run one document for each file in it, use --files 'DIR/**'",
        _ => "",
    }
}
