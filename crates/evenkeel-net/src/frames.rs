//! Frames over streams: written as they are, read as their bytes arrive.
//!
//! Knows nothing of what the frames mean. A reader holds no more than one frame and one window's worth of bytes.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use serde::Serialize;

use crate::wire::{self, HEADER, Wire, WireError};

/// Most bytes taken from a stream at once.
const CHUNK: usize = 256 << 10;

/// Why no frame could be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer sent what is no frame, or a value is too large for one.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The connection or the stream broke.
    #[error("{0}")]
    Lost(String),
    /// The peer does not read what is sent to it on this stream.
    #[error("the peer stopped reading")]
    Stopped,
    /// Nothing moved for so long.
    #[error("nothing moved for {} s", .0.as_secs_f64())]
    TimedOut(Duration),
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> FrameError {
        match error {
            ReadError::ConnectionLost(cause) => FrameError::Lost(cause.to_string()),
            error => FrameError::Lost(error.to_string()),
        }
    }
}

impl From<WriteError> for FrameError {
    fn from(error: WriteError) -> FrameError {
        match error {
            WriteError::Stopped(_) => FrameError::Stopped,
            WriteError::ConnectionLost(cause) => FrameError::Lost(cause.to_string()),
            error => FrameError::Lost(error.to_string()),
        }
    }
}

/// Waits for something no longer than patience lasts; `None` is endless patience.
async fn patiently<T, E>(patience: Option<Duration>, what: impl Future<Output = Result<T, E>>) -> Result<T, FrameError>
where
    FrameError: From<E>,
{
    match patience {
        None => Ok(what.await?),
        Some(patience) => match tokio::time::timeout(patience, what).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(FrameError::TimedOut(patience)),
        },
    }
}

/// Reads frames from a stream.
pub(crate) struct FrameReader {
    stream: RecvStream,
    buffer: BytesMut,
    patience: Option<Duration>,
}

impl FrameReader {
    /// Reads from `stream`, of which `begun` has been read already.
    pub(crate) fn new(stream: RecvStream, begun: &[u8], patience: Option<Duration>) -> FrameReader {
        FrameReader { stream, buffer: BytesMut::from(begun), patience }
    }

    /// The next frame's value; `None` at the end of the stream.
    pub(crate) async fn next<T: Wire>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            let want = match self.buffer.first_chunk::<HEADER>() {
                Some(header) => HEADER + wire::body_size(*header)?,
                None => HEADER,
            };
            if want > HEADER && self.buffer.len() >= want {
                let value = wire::decode(&self.buffer[HEADER..want])?;
                self.buffer.advance(want);
                return Ok(Some(value));
            }
            if want == HEADER && self.buffer.len() >= HEADER {
                return Err(WireError::Junk("it is empty".to_owned()).into());
            }
            match patiently(self.patience, self.stream.read_chunk(CHUNK, true)).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(WireError::Truncated { got: self.buffer.len(), want }.into()),
            }
        }
    }

    /// Tells the peer that no more will be read.
    pub(crate) fn stop(&mut self, code: VarInt) {
        // It fails if the stream has ended, and then there is nobody to tell.
        let _ = self.stream.stop(code);
    }
}

/// Code of a stream that was given up before its end.
const GIVEN_UP: VarInt = VarInt::from_u32(2);

/// Writes frames to a stream. Dropped without having been finished, it tells the peer that the rest will not come: what
/// was cut off must never look whole.
pub(crate) struct FrameWriter {
    stream: SendStream,
    patience: Option<Duration>,
    finished: bool,
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        // Without this the stream would be finished. It fails if the peer has stopped it, and then there is nobody to tell.
        if !self.finished {
            let _ = self.stream.reset(GIVEN_UP);
        }
    }
}

impl FrameWriter {
    /// Writes to `stream`.
    pub(crate) fn new(stream: SendStream, patience: Option<Duration>) -> FrameWriter {
        FrameWriter { stream, patience, finished: false }
    }

    /// Writes one frame, at the pace of the peer.
    pub(crate) async fn write<T: Serialize>(&mut self, value: &T) -> Result<(), FrameError> {
        let mut buffer = BytesMut::new();
        wire::append_frame(&mut buffer, value)?;
        let mut bytes: Bytes = buffer.freeze();
        while !bytes.is_empty() {
            let written = patiently(self.patience, self.stream.write(&bytes)).await?;
            bytes.advance(written);
        }
        Ok(())
    }

    /// Ends the stream; what has been written still arrives.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
        // It fails if the peer has stopped the stream, and then it knows.
        let _ = self.stream.finish();
    }
}
