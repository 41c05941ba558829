//! The page, in a real Chromium: what it shows of real nodes, what it does to them, and whether everybody can use it.
//!
//! Needs `chromium`, `chromedriver` and, for axe-core, `npm`; without them it fails. Its pictures are in `target/page`.
//! `cargo test -p evenkeel-tests --features browser --test browser`.

mod actions;
mod away;
mod axe;
mod chromium;
mod crowd;
mod run;
mod token;

use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{DocumentLine, NewBatch};
use evenkeel_tests::Node;
use tokio::sync::{Mutex, MutexGuard};

/// A browser takes a whole processor when it starts: one at a time.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Requests that fail as they should while a node is gone.
const GONE: [&str; 2] = ["net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING"];

/// Submits documents, each a line of text, all of the same length.
async fn submit(node: &Node, batch: NewBatch, documents: u32) -> BatchId {
    let lines: Vec<String> = (0..documents).map(|number| format!("/archive/scan-{number:05}.tif")).collect();
    let documents: Vec<_> = lines.iter().map(|line| DocumentLine::new(line.as_bytes(), Some(100))).collect();
    node.api().submit(&batch, &documents).await.expect("a batch is accepted").batch
}

/// A command that the shell runs.
fn shell(script: &str) -> NewBatch {
    NewBatch::new(vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()])
}
