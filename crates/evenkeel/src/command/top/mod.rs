//! `evenkeel top`: the cluster's picture in a terminal.
//!
//! [`picture`] is what is known, [`screen`] where a person is in it and what their keys do, [`view`] how both look: all
//! three are pure. [`source`] asks and listens, [`terminal`] takes the screen and gives it back; the loop is here.

mod pace;
mod picture;
#[cfg(test)]
#[allow(dead_code, reason = "the tests of the whole program use the rest")]
#[path = "../../../tests/client/pty.rs"]
mod pty;
mod rows;
#[cfg(test)]
mod sample;
mod screen;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod told;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use evenkeel_core::ids::{BatchId, DocId};
use evenkeel_node::api::types::{Nodes, ResultLine};
use futures_util::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cancel;
use crate::cli::name::DocumentName;
use crate::cli::top::TopArgs;
use crate::client::{self, Client, ClientError};
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use picture::{Heard, Picture};
use screen::{Action, Ask, Deed, FAILED_SHOWN, Screen};
use source::Source;
use terminal::Taken;
use view::Look;

/// Shortest time between two drawings of what was heard. A key is answered at once.
const DRAW_PAUSE: Duration = Duration::from_millis(250);

/// Things heard that wait to be taken in; whoever tells more has to wait.
const WAITING: usize = 256;

/// Bytes of results that are read to list failed documents: each may have written megabytes.
const FAILED_BYTES: usize = 8 << 20;

/// Shows the cluster until the user has seen enough.
pub(super) fn top(arguments: TopArgs) -> CommandResult {
    if !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "top draws on a terminal, and standard output is none: `evenkeel nodes --output json` and `evenkeel status \
             --output json` print what it would show",
        ));
    }
    if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
        return Err(Failure::usage(
            "top needs a terminal that can move its cursor, and TERM says that this one cannot: set TERM, or use \
             `evenkeel nodes` and `evenkeel status`",
        ));
    }
    let client = Client::new(&arguments.client)?;
    client::run(async {
        // Before the screen is taken: what is wrong from the start is said as by every other command.
        let first = client.nodes().await?;
        watch(client, first).await
    })
}

/// What the tasks beside the loop bring back.
enum Brought {
    Heard(Heard),
    /// What became of something that was asked for.
    Done(Result<String, String>),
}

async fn watch(client: Client, first: Nodes) -> CommandResult {
    let begun = Instant::now();
    let look = Look::of_environment();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Ctrl-C is a key here; this one is somebody's `kill -INT`.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminal = Taken::take()?;
    let mut keys = EventStream::new();

    let (current_out, current) = watch::channel(client.clone());
    let (out, mut heard) = mpsc::channel(WAITING);
    let mut picture = Picture::new(client.url().to_string());
    let mut beside: JoinSet<Brought> = JoinSet::new();
    let source = Source::new(client, current_out, &first, out);
    let source = tokio::spawn(source.run());
    picture.hear(Heard::Nodes(first), Duration::ZERO);

    let mut screen = Screen::default();
    let mut asked: Option<Ask> = None;
    let mut changed = true;
    let mut draw_at = Instant::now();
    let status = loop {
        if changed && Instant::now() >= draw_at {
            terminal.draw(|area, buffer| screen.scrolled = view::draw(&picture, &screen, look, area, buffer))?;
            changed = false;
            draw_at = Instant::now() + DRAW_PAUSE;
        }
        let brought = tokio::select! {
            event = keys.next() => {
                let event = match event {
                    Some(event) => event?,
                    None => break ExitStatus::Ok,
                };
                // Keys, and another size, are answered at once.
                (changed, draw_at) = (true, Instant::now());
                if let Event::Key(key) = event {
                    match screen.key(key, &picture) {
                        Action::Look => {}
                        Action::Quit => break ExitStatus::Ok,
                        Action::Suspend => terminal.suspend()?,
                        Action::Ask(ask) => drop(beside.spawn(answer(current.borrow().clone(), ask))),
                    }
                }
                None
            }
            heard = heard.recv() => match heard {
                Some(heard) => Some(Brought::Heard(heard)),
                // Who listens has broken off: by a defect, which has been told.
                None => break ExitStatus::Failure,
            },
            Some(brought) = beside.join_next() => Some(brought.unwrap_or_else(|error| {
                std::panic::resume_unwind(error.into_panic())
            })),
            () = tokio::time::sleep_until(draw_at), if changed => None,
            _ = terminate.recv() => break ExitStatus::Interrupted,
            _ = hang_up.recv() => break ExitStatus::Interrupted,
            _ = interrupt.recv() => break ExitStatus::Interrupted,
        };
        let now = begun.elapsed();
        let mut look_again = asked.is_none();
        match brought {
            Some(Brought::Heard(heard)) => {
                if matches!(heard, Heard::Story(..) | Heard::Failed(..)) {
                    asked = None;
                }
                // What may have changed is asked for at the pace at which all else is.
                look_again &= matches!(heard, Heard::Nodes(_));
                changed |= picture.hear(heard, now);
            }
            Some(Brought::Done(done)) => {
                screen.note = Some(done);
                (changed, draw_at) = (true, Instant::now());
            }
            None => {}
        }
        if look_again && let Some(ask) = screen.wants(&picture) {
            asked = Some(ask);
            beside.spawn(answer(current.borrow().clone(), ask));
        }
    };
    source.abort();
    Ok(status)
}

/// Asks a node for something.
async fn answer(client: Client, ask: Ask) -> Brought {
    match ask {
        Ask::Explain(doc) => Brought::Heard(Heard::Story(doc, explain(&client, doc).await)),
        Ask::Failed(batch) => {
            Brought::Heard(Heard::Failed(batch, failed(&client, batch).await.map_err(|error| error.to_string())))
        }
        Ask::Do(deed) => Brought::Done(carry_out(&client, deed).await.map_err(|error| error.to_string())),
    }
}

async fn explain(client: &Client, doc: DocId) -> Result<Box<evenkeel_node::api::types::Explanation>, String> {
    let name = DocumentName { batch: doc.batch.into(), number: doc.number };
    client.explain(&name).await.map(Box::new).map_err(|error| error.to_string())
}

/// The first documents of a batch that failed.
async fn failed(client: &Client, batch: BatchId) -> Result<Vec<ResultLine>, ClientError> {
    let mut results = client.results(&batch.into(), false, true).await?;
    let mut lines = Vec::new();
    let mut bytes = 0;
    while lines.len() < FAILED_SHOWN
        && bytes < FAILED_BYTES
        && let Some(received) = results.next().await?
    {
        bytes += received.line.len();
        // How it ended is what is listed; what it wrote is asked for again with its story.
        let (stdout, stderr, stdout_base64, stderr_base64) = (None, None, None, None);
        lines.push(ResultLine { stdout, stderr, stdout_base64, stderr_base64, ..*received.result });
    }
    lines.sort_by_key(|line| line.document);
    Ok(lines)
}

/// Does what was confirmed, and tells what came of it.
async fn carry_out(client: &Client, deed: Deed) -> Result<String, ClientError> {
    match deed {
        Deed::Cancel(batch) => client.cancel(&batch.into()).await.map(|status| cancel::sentence(&status)),
        Deed::Retry(batch) => client.retry(&batch.into()).await.map(|accepted| {
            format!("batch {} accepted: {}", accepted.batch, told::count(u64::from(accepted.documents)))
        }),
        Deed::Drain(node) => client.drain(&node.to_string()).await.map(|draining| {
            let name = crate::input::printable(draining.name.as_ref());
            format!("node {name} finishes what it runs, gives everything else away, and leaves")
        }),
    }
}
