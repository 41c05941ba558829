//! `evenkeel submit`: sends a batch to a node while it is read, and waits for its end if asked to.

use std::io::{self, IsTerminal};
use std::time::Duration;

use evenkeel_node::api::types::{Accepted, ErrorCode, NewBatch, Problem, SubmitOptions};
use indicatif::HumanCount;

use super::feed::{self, Report, Taken};
use super::follow;
use super::fresh::{Fresh, Known};
use crate::cli::submit::SubmitArgs;
use crate::client::{self, Client, ClientError};
use crate::input::{Documents, Options, Place, Source};
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::tell;

/// The node may store for so long without taking more, or think so long over its answer; at most twice that.
const PATIENCE: Duration = Duration::from_secs(300);

/// Submits a batch.
pub(super) fn submit(arguments: SubmitArgs) -> CommandResult {
    let words = arguments.words()?;
    let source = arguments.input.source(&words, io::stdin().is_terminal())?;
    if reads_stdin(&source) && arguments.client.token_file.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        return Err(Failure::usage(
            "standard input cannot hold both the token and the documents: give the token in EVENKEEL_TOKEN, \
             or the documents with -a FILE",
        ));
    }
    let options = Options { absolute_names: true, ..arguments.input.options(&words) };
    let documents = Documents::open(source.clone(), options)?;
    let options = SubmitOptions { copies: arguments.copies, ..arguments.job.asked() };
    let header = NewBatch { options, ..NewBatch::new(words.command) };
    let client = Client::new(&arguments.client)?;
    client::run(async {
        // A refusal in the middle of an upload may be lost with the connection; here it is not.
        client.nodes().await?;
        let known = if arguments.resume { Known::ask(&client, &header.command).await? } else { Known::default() };
        let mut fresh = Fresh::new(documents, known);
        let (format, wait) = (arguments.format.output, arguments.wait);
        let (status, report) = if arguments.resume && fresh.is_exhausted() {
            let report = Report::of(&fresh);
            tell_of(&report, "nothing new to submit: left out");
            (ExitStatus::Ok, report)
        } else {
            let (accepted, report) = send(&client, &header, fresh, &source).await?;
            tell_of(&report, "left out");
            (follow::accepted(client.clone(), accepted, format, wait).await?, report)
        };
        let status = follow::worse(status, follow::earlier(&client, &report.known.0, format, wait).await?);
        if status == ExitStatus::Ok && report.unreadable > 0 {
            let files = if report.unreadable == 1 { "file was" } else { "files were" };
            let message = format!("{} {files} left out of the batch, not being readable", report.unreadable);
            return Err(Failure::says(ExitStatus::Failure, message));
        }
        Ok(status)
    })
}

/// Tells what of the input was left out, and why.
fn tell_of(report: &Report, left_out: &str) {
    report.remarks.iter().for_each(tell);
    let (batches, documents) = &report.known;
    if *documents == 0 {
        return;
    }
    let ids: Vec<String> = batches.iter().map(|earlier| earlier.batch.to_string()).collect();
    let what = if *documents == 1 { "document that is" } else { "documents that are" };
    let plural = if ids.len() == 1 { "" } else { "es" };
    tell(format_args!("{left_out} {} {what} already in batch{plural} {}", HumanCount(*documents), ids.join(", ")));
}

fn reads_stdin(source: &Source) -> bool {
    matches!(source, Source::Lines(Place::Stdin) | Source::JsonLines(Place::Stdin) | Source::Csv(Place::Stdin))
}

async fn send(
    client: &Client,
    header: &NewBatch,
    documents: Fresh,
    source: &Source,
) -> Result<(Accepted, Report), Failure> {
    let (body, taken, mut report) = feed::feed(header, documents)?;
    let answer = tokio::select! {
        answer = client.upload(body) => answer,
        () = taken.stalled(PATIENCE) => Err(ClientError::Silent { url: client.url().clone(), after: PATIENCE }),
    };
    let mut report = report.try_recv().unwrap_or_default();
    match answer {
        Ok(accepted) => Ok((accepted, report)),
        Err(error) => Err(match report.error.take() {
            // The upload broke off because we broke it off.
            Some(input) => {
                let failure = Failure::from(input);
                Failure::says(failure.status, format!("{:#}; nothing was submitted", failure.error))
            }
            None => refused(error, &taken, source),
        }),
    }
}

/// Says what was accepted and what was not.
fn refused(error: ClientError, taken: &Taken, source: &Source) -> Failure {
    let (documents, plural) = (taken.documents(), if taken.documents() == 1 { "document" } else { "documents" });
    let status = error.status();
    match error {
        ClientError::Refused(problem) => {
            let problem = located(problem, source);
            Failure::says(status, format!("{problem}; nothing was submitted"))
        }
        ClientError::Broken { url, reason } | ClientError::Unreachable { url, reason } if !taken.all() => {
            let message = format!(
                "the connection to {url} broke off after {documents} {plural} had been sent: {reason}; nothing was \
                 submitted, a batch being accepted as a whole or not at all; submit it again, perhaps to another node \
                 with --http"
            );
            Failure::says(status, message)
        }
        ClientError::Silent { url, after } if !taken.all() => {
            let message = format!(
                "the node at {url} took nothing for {} after {documents} {plural} had been sent; nothing was submitted; \
                 submit it again, perhaps to another node with --http",
                humantime::format_duration(after)
            );
            Failure::says(status, message)
        }
        error => {
            let message = format!(
                "{error}. All {documents} {plural} had been sent, and whether they were accepted is not known: look for the \
                 batch with `evenkeel status` when the node is back, and else submit it again with --resume, which leaves \
                 out what the node that is asked knows of"
            );
            Failure::says(status, message)
        }
    }
}

/// A problem with a line of the upload, as one with a document of the input: the user has not seen the upload.
fn located(problem: Problem, source: &Source) -> Problem {
    // The first line is the header.
    let Some(number) = problem.line.and_then(|line| line.checked_sub(2)) else {
        return Problem { line: None, ..problem };
    };
    let place = match source {
        Source::Lines(place) => format!("{place}, line {}", number + 1),
        _ => format!("document {number}, counted from 0"),
    };
    let hint = match problem.error {
        ErrorCode::TooLarge => Some("put the data into a file and give its name".to_owned()),
        _ => problem.hint,
    };
    Problem { message: format!("{place}: {}", problem.message), line: None, hint, ..problem }
}
