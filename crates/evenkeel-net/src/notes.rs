//! Notes of a journal as bytes. They are encoded as messages are, so that one place knows how.

use bytes::{Bytes, BytesMut};
use evenkeel_core::journal::Note;

use crate::records::InvalidRecord;
use crate::wire;

/// As bytes, for a journal.
///
/// # Errors
/// If the note is larger than anything that a peer could have sent.
pub fn to_bytes(note: &Note) -> Result<Bytes, InvalidRecord> {
    let mut buffer = BytesMut::new();
    wire::append_frame(&mut buffer, note).map_err(|error| InvalidRecord::new(&error))?;
    Ok(buffer.freeze().slice(wire::HEADER..))
}

/// From bytes that [`to_bytes`] has made.
///
/// # Errors
/// If they are not that.
pub fn from_bytes(bytes: &[u8]) -> Result<Note, InvalidRecord> {
    wire::decode(bytes).map_err(|error| InvalidRecord::new(&error))
}
