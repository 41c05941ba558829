//! Lines of bytes, bounded in length; and documents that are lines.

use std::io::{self, BufRead};

use super::length::Measure;
use super::{Document, InputError, Place};

/// Reads lines of at most so many bytes, and counts them.
pub(super) struct LineReader {
    reader: Box<dyn BufRead + Send>,
    place: Place,
    line: u64,
    limit: u64,
}

impl LineReader {
    pub(super) fn open(place: Place, limit: u64) -> Result<LineReader, InputError> {
        Ok(LineReader { reader: place.open()?, place, line: 0, limit })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Number of the line that was read last, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next line without its end (`\n` or `\r\n`); the last one need not have any. `None` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut line = Vec::new();
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(InputError::Read { input: self.place.clone(), line: self.line, error }),
            };
            if buffer.is_empty() {
                if line.is_empty() {
                    return Ok(None);
                }
                self.line += 1;
                return self.within_limit(line).map(Some);
            }
            let (taken, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end, true),
                None => (buffer.len(), false),
            };
            line.extend_from_slice(&buffer[..taken]);
            self.reader.consume(taken + usize::from(ended));
            if ended {
                self.line += 1;
                line.pop_if(|byte| *byte == b'\r');
                return self.within_limit(line).map(Some);
            }
            // One byte over may still be the carriage return.
            if line.len() as u64 > self.limit + 1 {
                self.line += 1;
                return self.within_limit(line).map(Some);
            }
        }
    }

    fn within_limit(&self, line: Vec<u8>) -> Result<Vec<u8>, InputError> {
        if line.len() as u64 > self.limit {
            return Err(InputError::TooLong { input: self.place.clone(), line: self.line, limit: self.limit });
        }
        Ok(line)
    }
}

/// Documents that are lines.
pub(super) struct Lines {
    lines: LineReader,
    measure: Measure,
}

impl Lines {
    pub(super) fn open(place: Place, measure: Measure, limit: u64) -> Result<Lines, InputError> {
        Ok(Lines { lines: LineReader::open(place, limit)?, measure })
    }

    pub(super) fn next_document(&mut self) -> Result<Option<Document>, InputError> {
        let Some(payload) = self.lines.next_line()? else { return Ok(None) };
        let length = self.measure.of_plain(&payload, self.lines.place(), self.lines.line())?;
        Ok(Some(Document { payload, length }))
    }
}
