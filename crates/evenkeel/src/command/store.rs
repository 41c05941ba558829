//! `evenkeel store`: what is in a data directory, and whether it is as it was written.

use std::io::{self, Write};
use std::path::Path;

use evenkeel_node::store::{self, BatchUse, Contents, OpenError};
use serde::Serialize;

use crate::cli::store::{StoreArgs, StoreCommand};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::table::{self, Column, Format, Row};
use crate::output::tell;

/// Does what is asked of a store.
pub(super) fn store(arguments: StoreArgs) -> CommandResult {
    match arguments.command {
        StoreCommand::Check { directory } => check(&directory),
        StoreCommand::Stats { directory, format } => stats(&directory, format.output),
    }
}

fn inspect(directory: &Path) -> Result<Contents, Failure> {
    if let Some(process) = evenkeel_node::daemon::user_of(directory) {
        let shown = printable(directory.as_os_str());
        let message = format!("{shown} is in use by process {process}: stop the node first");
        return Err(Failure::says(ExitStatus::Failure, message));
    }
    store::inspect(directory).map_err(|error| match error {
        OpenError::Unusable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            let shown = printable(directory.as_os_str());
            Failure::usage(format!(
                "there is no store in {shown}: name the data directory of a node, which has a {}",
                store::FILE
            ))
        }
        error => Failure::new(ExitStatus::Failure, error),
    })
}

fn check(directory: &Path) -> CommandResult {
    let contents = inspect(directory)?;
    let shown = printable(directory.as_os_str());
    let results: u64 = contents.batches.values().map(|used| used.results).sum();
    let segments: u64 = contents.batches.values().map(|used| used.segments).sum();
    let all = format!("{} notes, {segments} segments of payloads, {results} results", contents.notes);
    if contents.damaged == 0 {
        tell(format_args!("{shown} is good: {all}"));
        return Ok(ExitStatus::Ok);
    }
    for damage in &contents.damage {
        tell(format_args!("damaged: {damage}"));
    }
    let unnamed = contents.damaged - contents.damage.len() as u64;
    let more = if unnamed > 0 { format!(", {unnamed} of them not named here") } else { String::new() };
    let message = format!(
        "{shown}: {} of its values are damaged{more}; the rest is good ({all}). The node sets aside what it cannot use when it \
         is started, and gets copies from others",
        contents.damaged
    );
    Err(Failure::says(ExitStatus::Failure, message))
}

/// A line of the table.
#[derive(Serialize)]
struct Line<'a> {
    batch: String,
    #[serde(flatten)]
    used: &'a BatchUse,
}

/// All of it as JSON.
#[derive(Serialize)]
struct Stats<'a> {
    file_bytes: u64,
    notes: u64,
    note_bytes: u64,
    damaged: u64,
    batches: &'a [Line<'a>],
}

impl Row for Line<'_> {
    const LIST: &'static str = "batches";
    const COLUMNS: &'static [Column] = &[
        Column::Text("batch"),
        Column::Number("segments"),
        Column::Number("payload bytes"),
        Column::Number("results"),
        Column::Number("result bytes"),
    ];

    fn cells(&self) -> Vec<String> {
        let BatchUse { segments, payload_bytes, results, result_bytes } = self.used;
        let numbers = [segments, payload_bytes, results, result_bytes].map(u64::to_string);
        std::iter::once(self.batch.clone()).chain(numbers).collect()
    }
}

fn stats(directory: &Path, format: Format) -> CommandResult {
    let contents = inspect(directory)?;
    let mut out = io::stdout().lock();
    let lines: Vec<Line<'_>> =
        contents.batches.iter().map(|(batch, used)| Line { batch: batch.to_string(), used }).collect();
    match format {
        Format::Table => {
            table::list(&mut out, Format::Table, &lines)?;
            writeln!(
                out,
                "file {} bytes; journal {} bytes in {} notes",
                contents.file_bytes, contents.note_bytes, contents.notes
            )?;
        }
        Format::Json => {
            let Contents { file_bytes, notes, note_bytes, damaged, .. } = contents;
            table::show(
                &mut out,
                Format::Json,
                &Stats { file_bytes, notes, note_bytes, damaged, batches: &lines },
                &[],
            )?;
        }
        Format::Jsonl => table::list(&mut out, Format::Jsonl, &lines)?,
    }
    Ok(ExitStatus::Ok)
}
