//! `evenkeel status`: how far batches are.

use std::io;

use evenkeel_node::api::types::{BatchState, BatchStatus};
use indicatif::HumanCount;
use jiff::Timestamp;

use crate::cli::read::StatusArgs;
use crate::client::{self, Client};
use crate::output::exit::{CommandResult, ExitStatus};
use crate::output::table::{self, Column, Format, Row};
use crate::output::{shell, tell};

/// Letters of a command that a row has room for.
const COMMAND_LETTERS: usize = 40;

/// Shows one batch, or all.
pub(super) fn status(arguments: StatusArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    let format = arguments.format.output;
    client::run(async {
        let out = io::stdout().lock();
        match &arguments.batch {
            Some(batch) => {
                let status = client.batch(batch).await?;
                table::show(out, format, &status, &fields(&status))?;
            }
            None => {
                let batches = client.batches().await?.batches;
                if batches.is_empty() && format == Format::Table {
                    tell("there are no batches");
                } else {
                    table::list(out, format, &batches)?;
                }
            }
        }
        Ok(ExitStatus::Ok)
    })
}

impl Row for BatchStatus {
    const HAS_SCHEMA: bool = true;
    const LIST: &'static str = "batches";
    const COLUMNS: &'static [Column] = &[
        Column::Text("batch"),
        Column::Text("state"),
        Column::Number("documents"),
        Column::Number("done"),
        Column::Number("failed"),
        Column::Number("cancelled"),
        Column::Number("pending"),
        Column::Number("running"),
        Column::Text("submitted"),
        Column::Text("command"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut command = command(self);
        if let Some((cut, _)) = command.char_indices().nth(COMMAND_LETTERS) {
            command.truncate(cut);
            command.push('…');
        }
        let counts = [self.documents, self.done, self.failed, self.cancelled, self.pending, self.running];
        let mut cells = vec![self.id.to_string(), state(self.state).to_owned()];
        cells.extend(counts.iter().map(ToString::to_string));
        cells.extend([time(self.submitted_at), command]);
        cells
    }
}

fn fields(status: &BatchStatus) -> Vec<(&'static str, String)> {
    let count = |number: u32| HumanCount(number.into()).to_string();
    let mut fields = vec![
        ("batch", status.id.to_string()),
        ("state", state(status.state).to_owned()),
        ("command", command(status)),
        ("submitted", time(status.submitted_at)),
        ("documents", count(status.documents)),
        ("done", count(status.done)),
        ("failed", count(status.failed)),
        ("cancelled", count(status.cancelled)),
        ("pending", format!("{}, of these {} running", count(status.pending), count(status.running))),
        ("length pending", HumanCount(status.length_pending).to_string()),
    ];
    fields.extend(status.retry_of.map(|batch| ("retry of", batch.to_string())));
    fields
}

pub(super) fn state(state: BatchState) -> &'static str {
    match state {
        BatchState::Running => "running",
        BatchState::Finished => "finished",
        BatchState::Cancelled => "cancelled",
    }
}

pub(super) fn command(status: &BatchStatus) -> String {
    String::from_utf8_lossy(&shell::join(&status.command)).into_owned()
}

/// To the second, in UTC as in JSON, so that the two can be compared.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
