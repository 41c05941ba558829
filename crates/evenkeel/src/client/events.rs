//! What happens, as a node tells it: server-sent events, one at a time, with no more than one of them in memory.

use std::time::Duration;

use bytes::BytesMut;
use evenkeel_node::api::types::Numbered;
use reqwest::{Response, Url};

use super::ClientError;

/// Silence after which the stream is held broken: a node says something at least every 15 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// Longest line that is read: an event is a few hundred bytes.
const LONGEST_LINE: usize = 1 << 20;

/// Events of a node on their way here.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    url: Url,
    frames: Frames,
}

impl EventStream {
    pub(super) fn new(response: Response) -> EventStream {
        let url = response.url().clone();
        EventStream { response, url, frames: Frames::default() }
    }

    /// The next event; `None` when the node ends the stream, since it leaves. Events that this program does not know, of a
    /// newer node, are passed over.
    pub async fn next(&mut self) -> Result<Option<Numbered>, ClientError> {
        loop {
            while let Some(data) = self.frames.next() {
                if let Ok(event) = serde_json::from_slice(&data) {
                    return Ok(Some(event));
                }
            }
            if self.frames.buffer.len() + self.frames.data.len() > LONGEST_LINE {
                let reason = "an event is longer than any could be".to_owned();
                return Err(ClientError::Broken { url: self.url.clone(), reason });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk())
                .await
                .map_err(|_| ClientError::Silent { url: self.url.clone(), after: PATIENCE })?
                .map_err(|error| ClientError::of_transport(&self.url, &error))?;
            match chunk {
                Some(chunk) => self.frames.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Cuts what arrives into events.
#[derive(Debug, Default)]
struct Frames {
    buffer: BytesMut,
    /// Data of the event that is being read.
    data: Vec<u8>,
}

impl Frames {
    /// The data of the next whole event.
    fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end + 1);
            let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
            // Id and name are in the JSON as well; comments keep the connection alive.
            if let Some(data) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                return Some(std::mem::take(&mut self.data));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_told_apart_and_comments_passed_over() {
        let mut frames = Frames::default();
        frames
            .buffer
            .extend_from_slice(b":\n\nid: 7\nevent: missed\ndata: {\"a\":1}\n\ndata: x\r\ndata:y\r\n\r\ndata: z");
        assert_eq!(frames.next().as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(frames.next().as_deref(), Some(&b"x\ny"[..]));
        assert_eq!(frames.next(), None, "it is not whole yet");
        frames.buffer.extend_from_slice(b"\n\n");
        assert_eq!(frames.next().as_deref(), Some(&b"z"[..]));
    }

    proptest! {
        #[test]
        fn the_cut_of_the_pieces_does_not_matter(bytes in "(data: ?[a-c]{0,3}|:|id: 1|\r?\n){0,20}", cut in 0usize..80) {
            let all = |pieces: &[&[u8]]| {
                let mut frames = Frames::default();
                let mut found = Vec::new();
                for piece in pieces {
                    frames.buffer.extend_from_slice(piece);
                    found.extend(std::iter::from_fn(|| frames.next()));
                }
                found
            };
            let bytes = bytes.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(all(&[head, tail]), all(&[bytes]));
        }
    }
}
