//! `evenkeel results`: what the documents of a batch wrote, or how they ended.

use std::collections::BTreeMap;
use std::io::{self, StderrLock, StdoutLock};

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::NodeId;
use evenkeel_net::records::Captured;
use evenkeel_node::api::types::ResultLine;
use indicatif::{HumanBytes, HumanCount};
use serde::{Serialize, Serializer};

use crate::cli::read::{ResultsArgs, Shown};
use crate::client::{self, Client, ClientError, Received};
use crate::output::ending::describe;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::named::{Named, add_name};
use crate::output::order::Output;
use crate::output::printer::Printer;
use crate::output::table::{Column, Format, Listing, Row};
use crate::output::tell;

/// Prints results.
pub(super) fn results(arguments: ResultsArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        let mut stream = client.results(&arguments.batch, arguments.follow, arguments.failed).await?;
        let mut sink = Sink::begin(&client, &arguments).await?;
        let (mut count, mut failed) = (0, 0);
        let broken = loop {
            match stream.next().await {
                Ok(Some(received)) => {
                    count += 1;
                    failed += u64::from(received.result.outcome == Outcome::Failed);
                    sink.add(received)?;
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        sink.end()?;
        match broken {
            Some(error) => Err(cut_short(&error, count)),
            None if arguments.follow && failed > 0 => Ok(ExitStatus::FailedDocuments),
            None => {
                if !arguments.follow {
                    tell_what_is_to_come(&client, &arguments).await;
                }
                Ok(ExitStatus::Ok)
            }
        }
    })
}

fn cut_short(error: &ClientError, count: u64) -> Failure {
    let results = if count == 1 { "result was" } else { "results were" };
    let message = format!("{error}. Only {} {results} received, and the rest is missing", HumanCount(count));
    Failure::says(error.status(), message)
}

/// Says how many documents have no result yet. Without an answer nothing is said: the results themselves are there.
async fn tell_what_is_to_come(client: &Client, arguments: &ResultsArgs) {
    if let Ok(status) = client.batch(&arguments.batch).await
        && status.pending > 0
    {
        tell(format_args!(
            "{} of {} documents have not ended yet; --follow waits for them",
            HumanCount(status.pending.into()),
            HumanCount(status.documents.into())
        ));
    }
}

/// Names of the nodes that the cluster knows.
type Names = BTreeMap<NodeId, String>;

/// Where results go.
enum Sink {
    Text(Printer<StdoutLock<'static>, StderrLock<'static>>),
    /// Lines as they are; to a printer they are output like any other, which can wait for its turn.
    Lines {
        printer: Printer<StdoutLock<'static>, StderrLock<'static>>,
        names: Names,
    },
    List {
        listing: Listing<StdoutLock<'static>, ResultRow>,
        names: Names,
        /// Rows that wait to be sorted.
        held: Option<Vec<ResultRow>>,
    },
}

impl Sink {
    async fn begin(client: &Client, arguments: &ResultsArgs) -> Result<Sink, Failure> {
        // A node that has gone is shown by its id.
        let names = async || -> Names {
            let nodes = client.nodes().await.map(|nodes| nodes.nodes).unwrap_or_default();
            nodes.into_iter().map(|node| (node.id, node.name)).collect()
        };
        let list = async |format| -> Result<Sink, Failure> {
            let names = names().await;
            let listing = Listing::begin(io::stdout().lock(), format)?;
            Ok(Sink::List { listing, names, held: arguments.keep_order.then(Vec::new) })
        };
        let printer = || match arguments.keep_order {
            true => Printer::in_order(io::stdout().lock(), io::stderr().lock()),
            false => Printer::as_finished(io::stdout().lock(), io::stderr().lock()),
        };
        match arguments.output {
            Shown::Text => Ok(Sink::Text(printer())),
            Shown::Jsonl => Ok(Sink::Lines { names: names().await, printer: printer() }),
            Shown::Table => list(Format::Table).await,
            Shown::Json => list(Format::Json).await,
        }
    }

    fn add(&mut self, received: Received) -> io::Result<()> {
        let Received { line, result } = received;
        match self {
            Sink::Text(printer) => {
                printer.print_output(result.document, output(&result))?;
                if result.outcome == Outcome::Failed {
                    printer.tell(format_args!("document {} failed: {}", result.document, describe(&result.exit)));
                }
                Ok(())
            }
            Sink::Lines { printer, names } => {
                let mut whole = add_name(&line, names.get(&result.node).map(String::as_str));
                whole.push(b'\n');
                let stdout = Captured { bytes: Bytes::from(whole), dropped: 0 };
                printer.print_output(result.document, Output { stdout, stderr: Captured::default() })
            }
            Sink::List { listing, names, held } => {
                let name = names.get(&result.node).cloned();
                let row = ResultRow { line: *result, name };
                match held {
                    Some(rows) => {
                        rows.push(row);
                        Ok(())
                    }
                    None => listing.row(&row),
                }
            }
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Sink::Text(mut printer) | Sink::Lines { mut printer, .. } => {
                printer.finish()?;
                printer.end_line();
                Ok(())
            }
            Sink::List { mut listing, held, .. } => {
                let mut rows = held.unwrap_or_default();
                rows.sort_by_key(|row| row.line.document);
                rows.iter().try_for_each(|row| listing.row(row))?;
                listing.end()
            }
        }
    }
}

fn output(result: &ResultLine) -> Output {
    let captured = |bytes: &[u8], dropped| Captured { bytes: Bytes::copy_from_slice(bytes), dropped };
    Output {
        stdout: captured(result.stdout_bytes(), result.stdout_dropped),
        stderr: captured(result.stderr_bytes(), result.stderr_dropped),
    }
}

/// A result in a list.
struct ResultRow {
    line: ResultLine,
    /// Name of the node that ran it.
    name: Option<String>,
}

impl Serialize for ResultRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Named { result: &self.line, node_name: self.name.as_deref() }.serialize(serializer)
    }
}

impl Row for ResultRow {
    const HAS_SCHEMA: bool = true;
    const LIST: &'static str = "results";
    const COLUMNS: &'static [Column] = &[
        Column::Number("document"),
        Column::Text("outcome"),
        Column::Text("exit"),
        Column::Number("attempt"),
        Column::Number("seconds"),
        Column::Number("output"),
        Column::Text("node"),
    ];

    fn cells(&self) -> Vec<String> {
        let ResultLine { document, outcome, exit, attempt, wall_seconds, stdout_dropped, stderr_dropped, .. } =
            &self.line;
        let kept = self.line.stdout_bytes().len() + self.line.stderr_bytes().len();
        vec![
            document.to_string(),
            outcome_name(*outcome).to_owned(),
            describe(exit),
            attempt.to_string(),
            format!("{wall_seconds:.3}"),
            HumanBytes((kept as u64).saturating_add(*stdout_dropped).saturating_add(*stderr_dropped)).to_string(),
            self.name.clone().unwrap_or_else(|| self.line.node.to_string()),
        ]
    }
}

/// As JSON has it.
fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}
