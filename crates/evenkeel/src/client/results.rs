//! Results as they arrive: lines of JSON, one at a time, with no more than one of them and a piece of the next in memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use evenkeel_node::api::types::{ResultLine, ResultsLine};
use reqwest::{Response, Url};

use super::ClientError;

/// Longest line that is read. A node keeps up to 1 GiB of each output, but by default 64 MiB, six times that as JSON.
const LONGEST_LINE: usize = 1 << 30;

/// A result, and the line that it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The line as the node sent it, without its line feed: it may hold fields that this program does not know.
    pub line: Bytes,
    /// The result.
    pub result: Box<ResultLine>,
}

/// Results of a batch on their way here.
#[derive(Debug)]
pub struct ResultStream {
    response: Response,
    url: Url,
    /// Longest silence that is borne.
    patience: Option<Duration>,
    lines: Lines,
    ended: bool,
}

impl ResultStream {
    pub(super) fn new(response: Response, patience: Option<Duration>) -> ResultStream {
        let url = response.url().clone();
        ResultStream { response, url, patience, lines: Lines::default(), ended: false }
    }

    /// The next result; `None` after the last. After an error nothing follows.
    pub async fn next(&mut self) -> Result<Option<Received>, ClientError> {
        loop {
            if let Some(line) = self.lines.next() {
                return self.read(line).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            match self.chunk().await? {
                Some(chunk) => self.lines.add(&chunk),
                None => {
                    self.ended = true;
                    // Every line ends in a line feed: without it the last one is not whole.
                    if !self.lines.is_empty() {
                        return Err(self.broken("the last line is not whole"));
                    }
                }
            }
            if self.lines.begun() > LONGEST_LINE {
                return Err(self.broken("a line is longer than any result"));
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let chunk = match self.patience {
            None => self.response.chunk().await,
            Some(patience) => tokio::time::timeout(patience, self.response.chunk())
                .await
                .map_err(|_| ClientError::Silent { url: self.url.clone(), after: patience })?,
        };
        chunk.map_err(|error| ClientError::of_transport(&self.url, &error))
    }

    fn read(&self, line: Bytes) -> Result<Received, ClientError> {
        let strange = |reason: String| ClientError::Strange {
            url: self.url.clone(),
            status: self.response.status().as_u16(),
            reason,
        };
        let text = std::str::from_utf8(&line).map_err(|error| strange(error.to_string()))?;
        match ResultsLine::parse(text).map_err(|error| strange(error.to_string()))? {
            ResultsLine::Result(result) => Ok(Received { result, line }),
            ResultsLine::Problem(problem) => Err(ClientError::Refused(problem)),
        }
    }

    fn broken(&self, reason: &str) -> ClientError {
        ClientError::Broken { url: self.url.clone(), reason: reason.to_owned() }
    }
}

/// Cuts what arrives into lines.
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    /// So much of the buffer holds no line feed.
    searched: usize,
}

impl Lines {
    fn add(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line, without its line feed.
    fn next(&mut self) -> Option<Bytes> {
        match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(place) => {
                let mut line = self.buffer.split_to(self.searched + place + 1);
                self.searched = 0;
                line.truncate(line.len() - 1);
                Some(line.freeze())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Bytes of the line that has begun.
    fn begun(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..100),
            size in 1usize..20,
        ) {
            let mut lines = Lines::default();
            let mut all = Vec::new();
            for chunk in text.chunks(size) {
                lines.add(chunk);
                all.extend(std::iter::from_fn(|| lines.next()));
            }
            let mut expected: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            let rest = expected.pop().unwrap_or_default();
            prop_assert_eq!(all, expected);
            prop_assert_eq!(&lines.buffer[..], rest);
        }
    }
}
