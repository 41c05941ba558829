//! What becomes of a job's documents on this side: numbered, skipped if they are done, printed, filed, logged, counted.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Stderr, Stdout};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{DocNumber, NodeId};
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use evenkeel_node::api::types::ResultLine;
use evenkeel_node::process::Template;
use evenkeel_node::store::{Extent, Spool};
use roaring::RoaringBitmap;

use crate::cli::run::{OutputArgs, Printed};
use crate::input::printable;
use crate::output::ending::describe;
use crate::output::exit::Failure;
use crate::output::joblog::JobLog;
use crate::output::named::Named;
use crate::output::numbering::Numbering;
use crate::output::order::Output;
use crate::output::printer::Printer;
use crate::output::results_dir::ResultsDir;
use crate::output::resume::{self, Key, Keys, Resume};
use crate::output::shell;
use crate::output::{Finished, tell};

/// Most documents of which it is said one by one why they failed.
const NAMED_FAILURES: u64 = 10;

/// Bytes of a payload that are read to name its document.
const NAME_BYTES: usize = 256;

/// Letters of a name: with the number and the reason it is to fit into a line.
const NAME_LETTERS: usize = 60;

/// All outputs of a job.
pub(super) struct Report {
    template: Arc<Template>,
    printer: Printer<BufWriter<Stdout>, Stderr>,
    printed: Printed,
    joblog: Option<JobLog>,
    results: Option<ResultsDir>,
    record: Option<Record>,
    texts: Texts,
    numbering: Numbering,
    documents: u64,
    ended: RoaringBitmap,
    done: u64,
    failed: u64,
    output_bytes: u64,
    by_node: BTreeMap<NodeId, u64>,
}

/// What is recorded for `--resume`.
struct Record {
    keys: Keys,
    resume: Resume,
    /// Keys of the documents submitted, in order.
    submitted: Vec<Key>,
}

/// Payloads of the documents submitted: all of each for the job log's last column, or as much as names one that fails.
struct Texts {
    spool: Spool,
    extents: Vec<Extent>,
    whole: bool,
}

impl Texts {
    fn add(&mut self, payload: &[u8]) -> io::Result<()> {
        let kept = if self.whole { payload } else { &payload[..payload.len().min(NAME_BYTES)] };
        self.extents.push(self.spool.append(kept)?);
        Ok(())
    }

    fn read(&self, in_batch: DocNumber) -> io::Result<Bytes> {
        self.spool.read(self.extents[in_batch.0 as usize])
    }
}

impl Report {
    pub(super) fn open(output: &OutputArgs, command: &[String], template: Arc<Template>) -> Result<Report, Failure> {
        // Whatever may fail comes before what would remain of it, and all of it before the old log is overwritten.
        let joblog = output.joblog.as_deref().map(JobLog::open).transpose()?;
        let results = match &output.results {
            Some(path) if output.resume => Some(ResultsDir::resume(path)?),
            Some(path) => Some(ResultsDir::create(path)?),
            None => None,
        };
        let record = match resume::location(output.results.as_deref(), output.joblog.as_deref()) {
            None => None,
            Some(path) => {
                let resume = if output.resume { Resume::read(&path)? } else { Resume::create(&path)? };
                Some(Record { keys: Keys::of_command(command), resume, submitted: Vec::new() })
            }
        };
        let joblog = match joblog {
            Some(opened) if output.resume => Some(opened.go_on()?),
            Some(opened) => Some(opened.begin()?),
            None => None,
        };
        let spool = Spool::create(&std::env::temp_dir())?;
        let texts = Texts { spool, extents: Vec::new(), whole: joblog.is_some() };
        let out = BufWriter::with_capacity(64 << 10, io::stdout());
        let printer = match output.keep_order {
            true => Printer::in_order(out, io::stderr()),
            false => Printer::as_finished(out, io::stderr()),
        };
        Ok(Report {
            template,
            printer,
            printed: output.output,
            joblog,
            results,
            record,
            texts,
            numbering: Numbering::default(),
            documents: 0,
            ended: RoaringBitmap::new(),
            done: 0,
            failed: 0,
            output_bytes: 0,
            by_node: BTreeMap::new(),
        })
    }

    /// Takes note of the next document of the input. False if an earlier run has done it.
    pub(super) fn accept(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        let number = DocNumber(self.documents as u32);
        self.documents += 1;
        if let Some(record) = &mut self.record {
            let key = record.keys.key(payload);
            if record.resume.is_done(key, number) {
                self.printer.pass(number)?;
                return Ok(false);
            }
            record.submitted.push(key);
        }
        self.texts.add(payload)?;
        self.numbering.submit(number);
        Ok(true)
    }

    /// To be called once all documents of the input have been accepted.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        if let Some(record) = &mut self.record {
            let put_aside = record.resume.settle(self.documents, self.results.as_ref())?;
            if let Some(results) = self.results.as_ref().filter(|_| put_aside > 0) {
                let documents = if put_aside == 1 { "document that is" } else { "documents that are" };
                let place = printable(results.put_aside().as_os_str());
                tell(format_args!("the results of {put_aside} {documents} not in this input were put into {place}"));
            }
        }
        Ok(())
    }

    /// Takes a result. A second one of the same document is ignored.
    pub(super) fn take(&mut self, record: &ResultRecord, host: &str) -> Result<(), Failure> {
        let in_batch = record.doc.number;
        let Some(number) = self.numbering.in_input(in_batch) else { return Ok(()) };
        if !self.ended.insert(in_batch.0) {
            return Ok(());
        }
        let command = self.command(in_batch)?;
        let finished = Finished { number, record, host, command: &command };
        if let Some(results) = &self.results {
            results.add(finished)?;
        }
        match self.printed {
            Printed::Text => self.printer.print(finished)?,
            Printed::Jsonl => self.printer.print_output(number, line(finished)?)?,
        }
        if let Some(joblog) = &mut self.joblog {
            joblog.add(finished)?;
        }
        match record.outcome {
            Outcome::Done => self.done += 1,
            Outcome::Failed | Outcome::Cancelled => {
                self.failed += 1;
                self.tell_failure(number, in_batch, &record.exit)?;
            }
        }
        if record.outcome == Outcome::Done
            && let Some(kept) = &mut self.record
        {
            kept.resume.record(kept.submitted[in_batch.0 as usize], number)?;
        }
        self.output_bytes += (record.stdout.bytes.len() + record.stderr.bytes.len()) as u64;
        *self.by_node.entry(record.node).or_default() += 1;
        Ok(())
    }

    /// Says why a document failed, unless that is in the lines that are printed.
    fn tell_failure(&mut self, number: DocNumber, in_batch: DocNumber, exit: &Exit) -> io::Result<()> {
        match (self.printed, self.failed) {
            (Printed::Jsonl, _) => {}
            (Printed::Text, ..=NAMED_FAILURES) => {
                let name = shortened(&self.texts.read(in_batch)?);
                self.printer.tell(format_args!("document {number} ({name}) failed: {}", describe(exit)));
            }
            (Printed::Text, more) if more == NAMED_FAILURES + 1 => match &self.joblog {
                Some(log) => self.printer.tell(format_args!("further failures are only counted; {log} lists them all")),
                None => self.printer.tell("further failures are only counted; --joblog FILE lists them all"),
            },
            _ => {}
        }
        Ok(())
    }

    /// The command that ran, as the job log shows it.
    fn command(&self, in_batch: DocNumber) -> Result<Vec<u8>, Failure> {
        if !self.texts.whole {
            return Ok(Vec::new());
        }
        let payload = self.texts.read(in_batch)?;
        Ok(match self.template.render(in_batch, &payload) {
            Ok(rendered) => shell::join(std::iter::once(&rendered.program).chain(&rendered.arguments)),
            // It never ran; the log still names it by what it was made from.
            Err(_) => payload.to_vec(),
        })
    }

    /// Prints what was held back; what is said next has a line of its own.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.printer.finish()?;
        self.printer.end_line();
        Ok(())
    }

    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    pub(super) fn submitted(&self) -> u64 {
        self.numbering.submitted()
    }

    pub(super) fn skipped(&self) -> u64 {
        self.documents - self.submitted()
    }

    pub(super) fn left(&self) -> u64 {
        self.submitted() - self.ended.len()
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn output_bytes(&self) -> u64 {
        self.output_bytes
    }

    /// Documents ended by each node.
    pub(super) fn by_node(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.by_node.iter().map(|(node, ended)| (*node, *ended))
    }
}

/// A payload as the name of its document, in one line.
fn shortened(payload: &[u8]) -> String {
    let shown = printable(OsStr::from_bytes(&payload[..payload.len().min(NAME_BYTES)]));
    match shown.char_indices().nth(NAME_LETTERS) {
        None => shown,
        Some((end, _)) => format!("{}...", &shown[..end]),
    }
}

/// A result as a line of JSON: to the printer it is output like any other, which can wait for its turn.
fn line(finished: Finished<'_>) -> io::Result<Output> {
    let line = ResultLine { document: finished.number, ..ResultLine::from(finished.record) };
    let mut bytes = serde_json::to_vec(&Named { result: &line, node_name: Some(finished.host) })?;
    bytes.push(b'\n');
    Ok(Output { stdout: Captured { bytes: bytes.into(), dropped: 0 }, stderr: Captured::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_in_one_short_line() {
        assert_eq!(shortened(b"pages/broken.html"), "pages/broken.html");
        assert_eq!(shortened(b"two\nlines"), "two\\nlines");
        let long = shortened("\u{e9}".repeat(10_000).as_bytes());
        assert_eq!(long, format!("{}...", "\u{e9}".repeat(NAME_LETTERS)));
    }
}
