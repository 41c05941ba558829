//! Documents of a job, read one at a time from wherever the user keeps them.
//!
//! A [`Source`] says where, [`Options`] how to measure and check, and [`Documents`] is the iterator over what comes out.
//! Reading is incremental: memory does not grow with the number of documents. What a document is run with, where it is
//! sent and how it is numbered is not known here.

mod braces;
mod error;
mod field;
mod files;
mod glob;
mod jsonl;
mod length;
mod lines;
mod place;
mod rows;
mod walk;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use evenkeel_core::units::Length;

pub use error::InputError;
pub(crate) use error::reason;
pub use files::{Problem, Skipped};
pub use length::Measure;
pub use place::{Place, printable};

use files::Files;
use jsonl::JsonLines;
use lines::Lines;
use rows::Rows;

/// One independent unit of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Its predicted cost.
    pub length: Length,
}

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A line a document: the bytes up to the line feed, less one carriage return before it. An empty line is a document
    /// with an empty payload.
    Lines(Place),
    /// A JSON value a line; the payload is the line as it stands. Blank lines are skipped.
    JsonLines(Place),
    /// Rows under a header; the payload is a JSON object of the row's fields, all strings.
    Csv(Place),
    /// Regular files that match any of these patterns; the payload is the file's name.
    Files(Vec<OsString>),
    /// The words after `:::`.
    Arguments(Vec<OsString>),
}

impl Source {
    /// How lengths are measured if the user does not say: size for files, payload bytes for everything else.
    pub fn default_measure(&self) -> Measure {
        match self {
            Source::Files(_) => Measure::FileSize,
            _ => Measure::PayloadBytes,
        }
    }

    fn place(&self) -> Place {
        match self {
            Source::Lines(place) | Source::JsonLines(place) | Source::Csv(place) => place.clone(),
            Source::Files(patterns) => Place::Patterns(patterns.clone()),
            Source::Arguments(_) => Place::Arguments,
        }
    }
}

/// Largest payload unless the user says otherwise: 8 MiB.
pub const DOCUMENT_LIMIT: u64 = 8 << 20;

/// How documents are measured and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What a document's length is; `None`: what suits the source.
    pub measure: Option<Measure>,
    /// Most bytes that a payload may have.
    pub document_limit: u64,
    /// Fields that the command takes of every payload, which must then be a JSON object.
    pub fields: Vec<String>,
    /// Names of files are made absolute, for documents that do not run in this directory.
    pub absolute_names: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { measure: None, document_limit: DOCUMENT_LIMIT, fields: Vec::new(), absolute_names: false }
    }
}

/// Iterator over the documents of a source, in their order there.
///
/// After the first error it ends: what follows a broken line is not to be trusted. A source without any document is an
/// error too, so that a job never succeeds by doing nothing.
pub struct Documents {
    reader: Reader,
    place: Place,
    read: u64,
    ended: bool,
}

enum Reader {
    Lines(Lines),
    JsonLines(JsonLines),
    Rows(Box<Rows>),
    Files(Files),
    Arguments(std::vec::IntoIter<OsString>, Measure, u64),
}

impl Documents {
    /// Opens a source. Nothing but a CSV header is read yet.
    pub fn open(source: Source, options: Options) -> Result<Documents, InputError> {
        let measure = options.measure.unwrap_or_else(|| source.default_measure());
        measure.suits(&source)?;
        let objects_only = !options.fields.is_empty();
        if objects_only && !matches!(source, Source::JsonLines(_) | Source::Csv(_)) {
            return Err(InputError::FieldsNeedObjects { input: source.place() });
        }
        let place = source.place();
        let reader = match source {
            Source::Lines(place) => Reader::Lines(Lines::open(place, measure, options.document_limit)?),
            Source::JsonLines(place) => {
                Reader::JsonLines(JsonLines::open(place, measure, options.document_limit, objects_only)?)
            }
            Source::Csv(place) => {
                Reader::Rows(Box::new(Rows::open(place, measure, options.document_limit, options.fields)?))
            }
            Source::Files(patterns) => Reader::Files(Files::open(&patterns, measure, options.absolute_names)?),
            Source::Arguments(words) => Reader::Arguments(words.into_iter(), measure, options.document_limit),
        };
        Ok(Documents { reader, place, read: 0, ended: false })
    }

    /// What was left out so far, which only file patterns do.
    pub fn skipped(&self) -> Option<&Skipped> {
        match &self.reader {
            Reader::Files(files) => Some(files.skipped()),
            _ => None,
        }
    }

    fn advance(&mut self) -> Result<Option<Document>, InputError> {
        match &mut self.reader {
            Reader::Lines(lines) => lines.next_document(),
            Reader::JsonLines(lines) => lines.next_document(),
            Reader::Rows(rows) => rows.next_document(),
            Reader::Files(files) => Ok(files.next_document()),
            Reader::Arguments(words, measure, limit) => {
                let Some(word) = words.next() else { return Ok(None) };
                let payload = word.into_vec();
                let line = self.read + 1;
                if payload.len() as u64 > *limit {
                    return Err(InputError::TooLong { input: Place::Arguments, line, limit: *limit });
                }
                let length = measure.of_plain(&payload, &Place::Arguments, line)?;
                Ok(Some(Document { payload, length }))
            }
        }
    }

    /// Why there was nothing: said by the source that knows best.
    fn nothing(&self) -> InputError {
        match &self.reader {
            Reader::Files(files) => files.nothing(),
            _ => InputError::Empty { input: self.place.clone() },
        }
    }
}

impl Iterator for Documents {
    type Item = Result<Document, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.advance() {
            Ok(Some(document)) => {
                self.read += 1;
                Some(Ok(document))
            }
            Ok(None) => {
                self.ended = true;
                (self.read == 0).then(|| Err(self.nothing()))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
