//! Cuts the body of a request into lines as it arrives, holding no more than a chunk and an unfinished line.
//!
//! Knows nothing of what a line means.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::types::{ErrorCode, Problem};

/// Limits of one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Longest line in bytes.
    pub(super) line: usize,
    /// Bytes in all.
    pub(super) body: u64,
    /// Longest silence.
    pub(super) idle: Duration,
}

/// A body, line by line.
pub(super) struct Lines<S> {
    body: S,
    limits: Limits,
    /// What has arrived and is not cut yet.
    chunk: Bytes,
    /// The beginning of the line that `chunk` goes on with.
    begun: BytesMut,
    received: u64,
    /// Lines cut so far: the number, from 1, of the last one.
    number: u64,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    pub(super) fn new(body: S, limits: Limits) -> Lines<S> {
        Lines { body, limits, chunk: Bytes::new(), begun: BytesMut::new(), received: 0, number: 0, ended: false }
    }

    /// The next line without its newline, `None` at the end. A last line need not end in a newline.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                let mut line = self.chunk.split_to(end + 1);
                line.truncate(end);
                return self.finish(line).map(Some);
            }
            self.keep_beginning()?;
            if self.ended {
                return if self.begun.is_empty() { Ok(None) } else { self.finish(Bytes::new()).map(Some) };
            }
            self.receive().await?;
        }
    }

    /// Number, from 1, of the line that [`Lines::next`] gave last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The rest of the body, uncut.
    pub(super) fn into_rest(self) -> S {
        self.body
    }

    fn finish(&mut self, end: Bytes) -> Result<Bytes, Problem> {
        self.check_line(self.begun.len() + end.len())?;
        self.number += 1;
        if self.begun.is_empty() {
            return Ok(end);
        }
        self.begun.extend_from_slice(&end);
        Ok(self.begun.split().freeze())
    }

    fn keep_beginning(&mut self) -> Result<(), Problem> {
        self.check_line(self.begun.len() + self.chunk.len())?;
        self.begun.extend_from_slice(&std::mem::take(&mut self.chunk));
        Ok(())
    }

    fn check_line(&self, length: usize) -> Result<(), Problem> {
        if length <= self.limits.line {
            return Ok(());
        }
        let message = format!("longer than {} bytes, the most that a document of this node can need", self.limits.line);
        Err(Problem::new(ErrorCode::TooLarge, message)
            .hint("put large inputs in files and submit their paths, or raise documents.max_payload on this node")
            .line(self.number + 1))
    }

    async fn receive(&mut self) -> Result<(), Problem> {
        let idle = self.limits.idle;
        let chunk = tokio::time::timeout(idle, self.body.next()).await.map_err(|_| {
            let message = format!("nothing arrived for {}; nothing was accepted", humantime::format_duration(idle));
            Problem::new(ErrorCode::Timeout, message).hint("send the batch again")
        })?;
        let Some(chunk) = chunk else {
            self.ended = true;
            return Ok(());
        };
        self.chunk = chunk.map_err(|error| {
            let message = format!("the upload broke off after {} bytes ({error}); nothing was accepted", self.received);
            Problem::new(ErrorCode::BadRequest, message).hint("send the batch again")
        })?;
        self.received += self.chunk.len() as u64;
        if self.received <= self.limits.body {
            return Ok(());
        }
        let message = format!("larger than {} bytes, the most that this node takes in one upload", self.limits.body);
        Err(Problem::new(ErrorCode::TooLarge, message)
            .hint("split it into several batches, or raise http.max_upload on this node"))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { line: 1_000, body: 100_000, idle: Duration::from_secs(1) };

    fn body(chunks: Vec<Vec<u8>>) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
        futures_util::stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))))
    }

    async fn lines_of(chunks: Vec<Vec<u8>>, limits: Limits) -> Result<Vec<Bytes>, Problem> {
        let mut lines = Lines::new(body(chunks), limits);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await? {
            all.push(line);
            assert_eq!(lines.number(), all.len() as u64);
        }
        Ok(all)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_body_is_cut(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|cut| text[cut[0]..cut[1]].to_vec()).collect();
            let mut expected: Vec<Bytes> = text.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice).collect();
            if expected.last().is_some_and(Bytes::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(block_on(lines_of(chunks, LIMITS)), Ok(expected));
        }
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_refused_with_its_number_before_it_is_whole() {
        let short = b"one\n".to_vec();
        let refused = lines_of(vec![short, vec![b'x'; 600], vec![b'x'; 600]], LIMITS).await.expect_err("too long");
        assert_eq!((refused.error, refused.line), (ErrorCode::TooLarge, Some(2)));
        assert_eq!(lines_of(vec![vec![b'x'; 1_000], b"\n".to_vec()], LIMITS).await.map(|lines| lines.len()), Ok(1));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let chunks = (0..200).map(|_| b"0123456789\n".repeat(50)).collect();
        let refused = lines_of(chunks, LIMITS).await.expect_err("too large");
        assert_eq!((refused.error, refused.line), (ErrorCode::TooLarge, None));
    }

    #[tokio::test]
    async fn silence_ends_it() {
        let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        let limits = Limits { idle: Duration::from_millis(5), ..LIMITS };
        let refused = Lines::new(silent, limits).next().await.expect_err("silence");
        assert_eq!(refused.error, ErrorCode::Timeout);
    }
}
