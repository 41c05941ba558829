//! The bytes of everything but gossip: the only place that knows how values are encoded.
//!
//! A frame is the length of its body, four bytes, most significant first, and the body: one value in bincode's standard
//! configuration. The encoding is part of the protocol: a change of any byte is a new version of the ALPN name.
//!
//! Whatever bytes a peer sends, decoding ends in a value that the core can reckon with or in an error, and reserves
//! no more memory than a frame may be large.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bytes::{BufMut, BytesMut};
use evenkeel_core::change::{Change, Lengths};
use evenkeel_core::ids::SEGMENT_DOCUMENTS;
use evenkeel_core::journal::Note;
use evenkeel_core::load::Load;
use evenkeel_core::message::Message;
use evenkeel_core::units::Length;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a frame's body: two outputs of 16 MiB each, which is a good deal of text, and what goes with them.
pub const MAX_FRAME: usize = (32 << 20) + FRAME_REST;

/// Bytes of a frame left to everything but outputs and payloads: a record's other fields take about a hundred, the
/// reason why a process did not start at most [`MAX_REASON`]. The rest is for what later versions may add.
const FRAME_REST: usize = 1 << 20;

/// Most bytes that may be kept of one stream of a process: a record holds two, and must fit into a frame.
pub const MAX_CAPTURE: u64 = ((MAX_FRAME - FRAME_REST) / 2) as u64;

/// Most bytes of one payload: it travels in one frame.
pub const MAX_PAYLOAD: u64 = (MAX_FRAME - FRAME_REST) as u64;

/// Most bytes of the reason why a process did not start. It may quote the command, and with it the payload.
pub const MAX_REASON: usize = 4 << 10;

/// Bytes before a frame's body.
pub(crate) const HEADER: usize = 4;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_FRAME>> =
    bincode::config::standard().with_limit::<MAX_FRAME>();

/// Why bytes are not a value, or a value cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A frame that says it is larger than any may be.
    #[error("a frame of {0} bytes, where {MAX_FRAME} are the most")]
    TooLarge(u64),
    /// The stream ended within a frame.
    #[error("a frame cut off after {got} of {want} bytes")]
    Truncated {
        /// Bytes that came.
        got: usize,
        /// Bytes that were announced.
        want: usize,
    },
    /// The bytes are not a value.
    #[error("a frame that is no message: {0}")]
    Junk(String),
    /// There are bytes behind the value.
    #[error("a frame with {0} bytes too many")]
    Trailing(usize),
    /// A value that no honest peer sends.
    #[error("a message with a wrong value: {0}")]
    Invalid(&'static str),
}

/// A value that travels in a frame.
pub(crate) trait Wire: Serialize + DeserializeOwned {
    /// Looks for what the type allows but no honest peer sends.
    fn validate(&self) -> Result<(), WireError> {
        Ok(())
    }
}

/// Appends a frame with this value; if the value is too large, `buffer` is as it was.
pub(crate) fn append_frame<T: Serialize>(buffer: &mut BytesMut, value: &T) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.put_u32(0);
    let encoded = bincode::serde::encode_into_std_write(value, &mut buffer.writer(), CONFIG);
    let size = buffer.len() - start - HEADER;
    match encoded {
        Ok(_) if size <= MAX_FRAME => {
            buffer[start..start + HEADER].copy_from_slice(&(size as u32).to_be_bytes());
            Ok(())
        }
        Ok(_) => {
            buffer.truncate(start);
            Err(WireError::TooLarge(size as u64))
        }
        Err(error) => {
            buffer.truncate(start);
            Err(WireError::Junk(error.to_string()))
        }
    }
}

/// Reads a frame's header: the size of the body.
pub(crate) fn body_size(header: [u8; HEADER]) -> Result<usize, WireError> {
    let size = u32::from_be_bytes(header);
    match usize::try_from(size) {
        Ok(size) if size <= MAX_FRAME => Ok(size),
        _ => Err(WireError::TooLarge(u64::from(size))),
    }
}

/// Reads a frame's body.
pub(crate) fn decode<T: Wire>(body: &[u8]) -> Result<T, WireError> {
    let (value, used): (T, usize) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| WireError::Junk(error.to_string()))?;
    if used != body.len() {
        return Err(WireError::Trailing(body.len() - used));
    }
    value.validate()?;
    Ok(value)
}

impl Wire for Message {
    fn validate(&self) -> Result<(), WireError> {
        match self {
            Message::Head { .. } | Message::Pull { .. } => Ok(()),
            Message::Changes { records, .. } => {
                records.iter().flat_map(|logged| logged.record.changes()).try_for_each(check_change)
            }
            Message::Snapshot { changes, .. } | Message::Ahead { changes, .. } => {
                changes.iter().try_for_each(check_change)
            }
            Message::Offer { work, capacity, mean, docs, .. } => {
                amount(*work, "work of an offer")?;
                amount(*capacity, "capacity of an offer")?;
                amount(*mean, "mean level of an offer")?;
                docs.iter().try_for_each(|offered| length(offered.length))
            }
            Message::Grant { load, .. } | Message::Dry { load, .. } | Message::Nothing { load } => check_load(load),
        }
    }
}

impl Wire for Note {
    fn validate(&self) -> Result<(), WireError> {
        match self {
            Note::Decided(change) | Note::Ahead(_, change) | Note::Known(change) => check_change(change),
            Note::Logged(logged) => logged.record.changes().iter().try_for_each(check_change),
            Note::Seen(_) | Note::Met(_) => Ok(()),
        }
    }
}

fn check_change(change: &Change) -> Result<(), WireError> {
    let Change::Segment { lengths, entries, .. } = change else { return Ok(()) };
    let most = SEGMENT_DOCUMENTS as usize;
    if lengths.len() > most || entries.len() > most {
        return Err(WireError::Invalid("documents of a segment"));
    }
    match lengths.as_ref() {
        Lengths::Same { length: one, .. } => length(*one),
        Lengths::Longs(lengths) => lengths.iter().try_for_each(|one| length(Length(*one))),
        Lengths::Bytes(_) | Lengths::Shorts(_) | Lengths::Words(_) => Ok(()),
    }
}

/// Whether a load is one that plans can reckon with. Loads also come by gossip.
pub(crate) fn check_load(load: &Load) -> Result<(), WireError> {
    amount(load.work, "work of a load")?;
    amount(load.bench, "speed of a load")?;
    amount(load.regret, "regret of a load")?;
    if !load.ln_rate.is_finite() {
        return Err(WireError::Invalid("rate of a load"));
    }
    if load.rate_variance.is_nan() || load.rate_variance < 0.0 {
        return Err(WireError::Invalid("variance of a load"));
    }
    load.shortest.iter().chain(&load.longest).try_for_each(|one| length(*one))
}

fn amount(value: f64, what: &'static str) -> Result<(), WireError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(WireError::Invalid(what)) }
}

fn length(value: Length) -> Result<(), WireError> {
    if value <= Length::MAX { Ok(()) } else { Err(WireError::Invalid("length of a document")) }
}

#[cfg(test)]
mod tests;
