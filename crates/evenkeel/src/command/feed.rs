//! Turns documents into the body of an upload while they are read: a thread reads and encodes, the connection takes, and
//! a few frames between the two are all that is ever in memory.
//!
//! A body that ends is a batch, so this one ends only after the last document of good input. Whatever else stops the
//! reading breaks the upload off, and the node keeps nothing of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_node::api::types::{DocumentLine, NewBatch};
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::fresh::{Earlier, Fresh};
use crate::input::InputError;

/// Bytes that are handed over together, unless a single document is larger.
const FRAME: usize = 256 << 10;

/// Frames that wait for the connection.
const FRAMES_AHEAD: usize = 4;

/// Problems with files that are told one by one.
const TOLD_PROBLEMS: usize = 20;

/// What reading came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Why it stopped early.
    pub(super) error: Option<InputError>,
    /// What the user should know of what was left out.
    pub(super) remarks: Vec<String>,
    /// Files that should have been documents, and cannot be read.
    pub(super) unreadable: usize,
    /// Batches that have documents of the input already, and how many documents those are.
    pub(super) known: (Vec<Earlier>, u64),
}

impl Report {
    /// What an input has come to so far.
    pub(super) fn of(documents: &Fresh) -> Report {
        let mut told = Report { known: documents.known().found(), ..Report::default() };
        if let Some(skipped) = documents.skipped() {
            told.unreadable = skipped.problems.len();
            told.remarks.extend(skipped.problems.iter().take(TOLD_PROBLEMS).map(ToString::to_string));
            if let Some(more) = told.unreadable.checked_sub(TOLD_PROBLEMS).filter(|more| *more > 0) {
                told.remarks.push(format!("and {more} more that cannot be read"));
            }
            told.remarks.extend(skipped.summary());
        }
        told
    }
}

/// What is handed over.
enum Frame {
    Documents { lines: Bytes, count: u64 },
    End,
}

/// How far the connection is. Shared by the body, which belongs to it, and whoever watches.
#[derive(Debug, Default)]
pub(super) struct Taken {
    frames: AtomicU64,
    documents: AtomicU64,
    all: AtomicBool,
    /// The connection waits for input, and not the other way round.
    starved: AtomicBool,
}

impl Taken {
    /// Documents that were given to the connection.
    pub(super) fn documents(&self) -> u64 {
        self.documents.load(Ordering::Relaxed)
    }

    /// Whether the end was given to it too: from then on the node may have accepted the batch.
    pub(super) fn all(&self) -> bool {
        self.all.load(Ordering::Relaxed)
    }

    /// Returns once the node has taken nothing, and answered nothing, for at least this long while there was something.
    pub(super) async fn stalled(&self, patience: Duration) {
        let mut before = None;
        loop {
            let now = (!self.starved.load(Ordering::Relaxed)).then(|| self.frames.load(Ordering::Relaxed));
            if now.is_some() && now == before {
                return;
            }
            before = now;
            tokio::time::sleep(patience).await;
        }
    }
}

/// The body of an upload.
pub(super) struct Body {
    frames: mpsc::Receiver<Frame>,
    taken: Arc<Taken>,
}

/// Begins to read. The report is there when the body has ended or broken off, unless the connection did so first.
pub(super) fn feed(header: &NewBatch, documents: Fresh) -> io::Result<(Body, Arc<Taken>, oneshot::Receiver<Report>)> {
    let (sender, frames) = mpsc::channel(FRAMES_AHEAD);
    let (report, reported) = oneshot::channel();
    let mut first = serde_json::to_vec(header).map_err(io::Error::other)?;
    first.push(b'\n');
    // Not one of the runtime's threads: it would be waited for at the end, and may read from a terminal for ever.
    std::thread::Builder::new().name("input".to_owned()).spawn(move || read(documents, first, &sender, report))?;
    let taken = Arc::new(Taken::default());
    Ok((Body { frames, taken: Arc::clone(&taken) }, taken, reported))
}

fn read(mut documents: Fresh, first: Vec<u8>, frames: &mpsc::Sender<Frame>, report: oneshot::Sender<Report>) {
    let read = encode(&mut documents, first, frames);
    let mut told = Report::of(&documents);
    let end = match read {
        Ok(()) => Some(Frame::End),
        Err(Stop::Input(error)) => {
            told.error = Some(error);
            None
        }
        Err(Stop::ConnectionGone) => None,
    };
    // First the report, so that it is there when the body has ended. That nobody wants it any more is no matter.
    let _ = report.send(told);
    if let Some(end) = end {
        let _ = frames.blocking_send(end);
    }
}

/// Why reading stopped before its end.
enum Stop {
    Input(InputError),
    ConnectionGone,
}

fn encode(documents: &mut Fresh, first: Vec<u8>, frames: &mpsc::Sender<Frame>) -> Result<(), Stop> {
    let mut lines = first;
    let mut count = 0;
    let hand_over = |lines: &mut Vec<u8>, count: &mut u64| {
        let full = std::mem::replace(lines, Vec::with_capacity(FRAME + FRAME / 4));
        let frame = Frame::Documents { lines: Bytes::from(full), count: std::mem::take(count) };
        frames.blocking_send(frame).map_err(|_| Stop::ConnectionGone)
    };
    for document in documents {
        let document = document.map_err(Stop::Input)?;
        let line = DocumentLine::new(&document.payload, Some(document.length.0));
        serde_json::to_writer(&mut lines, &line).expect("a line is made of strings and numbers");
        lines.push(b'\n');
        count += 1;
        if lines.len() >= FRAME {
            hand_over(&mut lines, &mut count)?;
        }
    }
    hand_over(&mut lines, &mut count)
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.frames.poll_recv(cx);
        self.taken.starved.store(next.is_pending(), Ordering::Relaxed);
        next.map(|frame| match frame {
            Some(Frame::Documents { lines, count }) => {
                self.taken.frames.fetch_add(1, Ordering::Relaxed);
                self.taken.documents.fetch_add(count, Ordering::Relaxed);
                Some(Ok(lines))
            }
            Some(Frame::End) => {
                self.taken.all.store(true, Ordering::Relaxed);
                None
            }
            None => Some(Err(io::Error::other("the input broke off"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use futures_util::StreamExt;

    use super::super::fresh::Known;
    use super::*;
    use crate::input::{Documents, Options, Source};

    fn arguments(words: &[&str]) -> Fresh {
        let words = words.iter().map(OsString::from).collect();
        let options = Options { document_limit: 4 << 20, ..Options::default() };
        Fresh::new(Documents::open(Source::Arguments(words), options).unwrap(), Known::default())
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn good_input_is_a_header_its_documents_and_an_end() {
        let header = NewBatch::new(vec!["wc".into()]);
        let (mut body, taken, report) = feed(&header, arguments(&["a", "\u{e4}\"\n"])).unwrap();
        let text = block_on(async {
            let mut text = Vec::new();
            while let Some(frame) = body.next().await {
                text.extend_from_slice(&frame.unwrap());
            }
            text
        });
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], r#"{"schema":1,"command":["wc"],"options":{"retries":0,"allocate":"lpt"}}"#);
        let document = "{\"payload\":\"\u{e4}\\\"\\n\",\"length\":4}";
        assert_eq!(lines[1..], [r#"{"payload":"a","length":1}"#, document]);
        assert_eq!((taken.documents(), taken.all()), (2, true));
        assert!(block_on(report).unwrap().error.is_none());
    }

    #[test]
    fn bad_input_breaks_the_body_off() {
        let header = NewBatch::new(vec!["wc".into()]);
        let long = "x".repeat(5 << 20);
        let (mut body, taken, report) = feed(&header, arguments(&["a", &long, "b"])).unwrap();
        let ended_well = block_on(async {
            loop {
                match body.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
        });
        assert!(!ended_well && !taken.all());
        let error = block_on(report).unwrap().error.unwrap();
        assert!(error.to_string().contains("line 2: longer than a document may be"), "{error}");
    }

    #[test]
    fn reading_waits_for_a_connection_that_takes_nothing_and_stops_with_it() {
        let header = NewBatch::new(vec!["wc".into()]);
        let words: Vec<String> = (0..100).map(|_| "x".repeat(FRAME)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (mut body, taken, report) = feed(&header, arguments(&words)).unwrap();
        block_on(async {
            assert!(body.next().await.unwrap().is_ok());
            tokio::time::timeout(Duration::from_secs(20), taken.stalled(Duration::from_millis(1))).await.unwrap();
        });
        assert!(taken.documents() <= 2, "{}", taken.documents());
        drop(body);
        assert!(block_on(report).unwrap().error.is_none());
    }
}
