//! Documents that are rows of a CSV file, each carried as a JSON object under the names of the header.

use std::io::{self, BufRead, Read};

use super::length::Measure;
use super::{Document, InputError, Place};

/// What a row may have over the limit on the payload made from it: quotes and doubled quotes.
const SLACK: u64 = 64 << 10;

/// Documents that are rows.
pub(super) struct Rows {
    reader: csv::Reader<ByLine>,
    place: Place,
    /// Each column's name as a JSON string with its colon.
    keys: Vec<String>,
    measure: Measure,
    /// The column that lengths come from, with its name.
    length_column: Option<(usize, String)>,
    limit: u64,
    row: u64,
    record: csv::ByteRecord,
}

impl Rows {
    /// Reads the header, which must have a column for each of these fields: no row will, if it has not.
    pub(super) fn open(place: Place, measure: Measure, limit: u64, fields: Vec<String>) -> Result<Rows, InputError> {
        let by_line = ByLine { reader: place.open()?, left: limit.saturating_add(SLACK), line: 1, begins: None };
        // The parser's own positions are those before blank lines and before the line feed of the row above.
        let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(true).from_reader(by_line);
        let header = reader.byte_headers().cloned().map_err(|error| fault(error, &place, 1, limit))?;
        let names = names(&header, &place)?;
        let length_column = match &measure {
            Measure::Field(field) => match names.iter().position(|name| name == field) {
                Some(column) => Some((column, field.clone())),
                None => {
                    return Err(InputError::NoColumn { input: place, field: field.clone(), columns: names });
                }
            },
            _ => None,
        };
        if let Some(field) = fields.into_iter().find(|field| !names.contains(field)) {
            return Err(InputError::NoFieldColumn { input: place, field, columns: names });
        }
        let keys = names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string() + ":").collect();
        Ok(Rows { reader, place, keys, measure, length_column, limit, row: 0, record: csv::ByteRecord::new() })
    }

    pub(super) fn next_document(&mut self) -> Result<Option<Document>, InputError> {
        self.reader.get_mut().next_row(self.limit.saturating_add(SLACK));
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.reader.get_ref().row_line();
        match read {
            Ok(true) => self.row += 1,
            Ok(false) => return Ok(None),
            Err(error) => return Err(fault(error, &self.place, line, self.limit)),
        }
        if self.record.len() != self.keys.len() {
            return Err(InputError::Ragged {
                input: self.place.clone(),
                line,
                row: self.row,
                expected: self.keys.len(),
                found: self.record.len(),
            });
        }
        let payload = self.object(line)?;
        if payload.len() as u64 > self.limit {
            return Err(InputError::TooLong { input: self.place.clone(), line, limit: self.limit });
        }
        let length = match &self.length_column {
            Some((column, field)) => {
                let text = String::from_utf8_lossy(&self.record[*column]);
                Measure::of_field(Some(&text), field, &self.place, line)?
            }
            None => self.measure.of_plain(&payload, &self.place, line)?,
        };
        Ok(Some(Document { payload, length }))
    }

    /// The row as a JSON object, its columns in the order of the header.
    fn object(&self, line: u64) -> Result<Vec<u8>, InputError> {
        let mut json = Vec::with_capacity(self.record.as_slice().len() + 16 * self.keys.len() + 2);
        for (column, (key, field)) in self.keys.iter().zip(&self.record).enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| InputError::NotText {
                input: self.place.clone(),
                line,
                field: column + 1,
            })?;
            json.push(if column == 0 { b'{' } else { b',' });
            json.extend_from_slice(key.as_bytes());
            serde_json::to_writer(&mut json, text).expect("text is always JSON, and memory is always writable");
        }
        json.push(b'}');
        Ok(json)
    }
}

/// Checks the header: every column has a name, and no two the same.
fn names(header: &csv::ByteRecord, place: &Place) -> Result<Vec<String>, InputError> {
    if header.is_empty() {
        return Err(InputError::NoHeader { input: place.clone() });
    }
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut seen = std::collections::HashMap::with_capacity(header.len());
    for (column, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name).map_err(|_| InputError::NotText {
            input: place.clone(),
            line: 1,
            field: column + 1,
        })?;
        if name.trim().is_empty() {
            return Err(InputError::UnnamedColumn { input: place.clone(), column: column + 1 });
        }
        if let Some(first) = seen.insert(name.to_owned(), column) {
            return Err(InputError::DuplicateColumn {
                input: place.clone(),
                name: name.to_owned(),
                first: first + 1,
                second: column + 1,
            });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// With a flexible reader of bytes the only errors are those of reading.
fn fault(error: csv::Error, place: &Place, line: u64, limit: u64) -> InputError {
    let error = match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    };
    if error.get_ref().is_some_and(|inner| inner.is::<OverLimit>()) {
        return InputError::TooLong { input: place.clone(), line, limit };
    }
    InputError::Read { input: place.clone(), line: line.saturating_sub(1), error }
}

/// Hands the parser one line at a time, so that it is always known which line a row began at; and stops a row that does
/// not end: one missing quote would otherwise swallow the whole file into memory.
struct ByLine {
    reader: Box<dyn BufRead + Send>,
    /// Bytes that this row may still take.
    left: u64,
    /// The line that the next byte belongs to, from 1.
    line: u64,
    /// The first line of this row that is not blank.
    begins: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
#[error("the row is too long")]
struct OverLimit;

impl ByLine {
    fn next_row(&mut self, limit: u64) {
        self.left = limit;
        self.begins = None;
    }

    fn row_line(&self) -> u64 {
        self.begins.unwrap_or(self.line)
    }
}

impl Read for ByLine {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(OverLimit));
        }
        let ready = loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ready => break ready?,
            }
        };
        let end = ready.iter().position(|byte| *byte == b'\n').map_or(ready.len(), |end| end + 1);
        let taken = end.min(buffer.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let chunk = &ready[..taken];
        buffer[..taken].copy_from_slice(chunk);
        if !matches!(chunk, b"" | b"\n" | b"\r\n") {
            self.begins.get_or_insert(self.line);
        }
        self.line += u64::from(chunk.ends_with(b"\n"));
        self.left -= taken as u64;
        self.reader.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::length;
    use super::*;

    /// A length that is well-formed in CSV goes through the same reading as one in JSON.
    #[test]
    fn numbers_of_csv_and_json_are_read_alike() {
        let place = Place::Stdin;
        for text in ["12", "12.0", "1e3", "-1", "x", ""] {
            let through = Measure::of_field(Some(text), "f", &place, 1).ok();
            assert_eq!(through, length::parse(text).ok(), "{text}");
        }
    }
}
