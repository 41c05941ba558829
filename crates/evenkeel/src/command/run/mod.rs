//! `run`: a whole job here and now, on an embedded cluster.

mod cluster;
mod reading;
mod report;
mod stop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_node::api::{Document, Upload};
use evenkeel_node::config::MaxProcess;
use evenkeel_node::daemon::Submission;
use evenkeel_node::process::{Template, raise_file_limit};
use tokio::sync::mpsc;
use tokio::time::Interval;

use crate::cli::run::RunArgs;
use crate::input::{self, Documents, Source};
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::progress::{Progress, Standing};
use crate::output::summary::{Interrupted, ResumeHint, Summary};
use crate::output::tell;
use cluster::Cluster;
use reading::Read;
use report::Report;
pub(super) use stop::Stop;

/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(200);

/// Runs a job.
pub(super) fn run(arguments: RunArgs) -> CommandResult {
    arguments.output.check()?;
    let words = arguments.words()?;
    let slots = arguments.slots()?;
    let template = Arc::new(Template::parse(&words.command).map_err(Failure::usage)?);
    // All of it runs here: what is not here now would fail every document.
    template.look_for_program().map_err(|why| Failure::usage(format!("{why}; nothing has run")))?;
    let stdin = matches!(
        arguments.input.source(&words, rustix::termios::isatty(std::io::stdin()))?,
        Source::Lines(input::Place::Stdin) | Source::JsonLines(input::Place::Stdin) | Source::Csv(input::Place::Stdin)
    );
    let documents = arguments.input.open(&words)?;
    let report = Report::open(&arguments.output, &words.command, template)?;
    super::log("error", evenkeel_node::config::LogFormat::Text);
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::says(ExitStatus::Failure, error))?;
    runtime.block_on(Job { arguments, words: words.command, slots, stdin, report, submitted: false }.run(documents))
}

struct Job {
    arguments: RunArgs,
    words: Vec<String>,
    slots: Vec<MaxProcess>,
    stdin: bool,
    report: Report,
    /// Whether all input was read and handed over, so that documents may have run.
    submitted: bool,
}

impl Job {
    async fn run(mut self, documents: Documents) -> CommandResult {
        let mut stop = Stop::listen()?;
        let begun = Instant::now();
        let mut cluster = Cluster::start(&self.slots, self.arguments.input.document_limit).await?;
        stop.will_remove(cluster.directory().to_owned());
        let worked = tokio::select! {
            worked = self.work(&mut cluster, documents) => Some(worked),
            () = stop.asked() => None,
        };
        let stopped = if worked.is_none() { cluster.running().await } else { 0 };
        let (moved, duplicates) = cluster.counters().await;
        let nodes = self.report.by_node().map(|(node, ended)| (cluster.name(node).to_owned(), ended)).collect();
        cluster.stop().await;
        let Some(worked) = worked else {
            self.report.finish()?;
            if !self.submitted {
                tell("interrupted while the input was read: nothing has run");
                return Ok(ExitStatus::Interrupted);
            }
            let resume = ResumeHint::for_call(
                &std::env::args_os().collect::<Vec<_>>(),
                self.arguments.output.joblog.is_some() || self.arguments.output.results.is_some(),
                self.stdin,
            );
            eprintln!("{}", Interrupted { left: self.report.left(), stopped, resume });
            return Ok(ExitStatus::Interrupted);
        };
        let problems = worked?;
        self.report.finish()?;
        let summary = Summary {
            documents: self.report.documents(),
            skipped: self.report.skipped(),
            done: self.report.done(),
            failed: self.report.failed(),
            cancelled: 0,
            wall: begun.elapsed(),
            nodes,
            moved,
            duplicates,
            output_bytes: self.report.output_bytes(),
        };
        eprintln!("{summary}");
        Ok(match (self.report.failed(), problems) {
            (1.., _) => ExitStatus::FailedDocuments,
            (0, true) => ExitStatus::Failure,
            (0, false) => ExitStatus::Ok,
        })
    }

    /// Submits all documents and collects their results. Returns whether some of the input could not be used.
    async fn work(&mut self, cluster: &mut Cluster, documents: Documents) -> Result<bool, Failure> {
        let mut progress = Progress::begin(self.arguments.output.progress());
        let mut show = tokio::time::interval(SHOW);
        let mut upload = cluster.nodes[0].submission(self.words.clone(), self.arguments.job.options());
        let documents = self.read(reading::begin(documents)?, &mut upload, &mut progress, &mut show).await?;
        let problems = self.tell_skipped(&documents, &progress);
        self.report.settle()?;
        self.submitted = true;
        if self.report.submitted() > 0 {
            upload.finish().await.map_err(refused)?;
        }
        while self.report.left() > 0 {
            tokio::select! {
                Some(record) = cluster.outcomes.recv() => {
                    let host = cluster.name(record.node);
                    progress.suspend(|| self.report.take(&record, host))?;
                    while let Ok(record) = cluster.outcomes.try_recv() {
                        let host = cluster.name(record.node);
                        progress.suspend(|| self.report.take(&record, host))?;
                    }
                }
                _ = show.tick() => {
                    let running = cluster.running().await;
                    progress.update(self.standing(running));
                }
            }
        }
        progress.end();
        Ok(problems)
    }

    /// Hands over all documents while they are read.
    async fn read(
        &mut self,
        mut reads: mpsc::Receiver<Read>,
        upload: &mut Submission,
        progress: &mut Progress,
        show: &mut Interval,
    ) -> Result<Documents, Failure> {
        loop {
            tokio::select! {
                read = reads.recv() => match read {
                    Some(Read::Group(group)) => self.submit(upload, group).await?,
                    Some(Read::End(documents)) => return Ok(documents),
                    Some(Read::Failed(error)) => return Err(error.into()),
                    None => return Err(Failure::says(ExitStatus::Failure, "the input broke off")),
                },
                _ = show.tick() => progress.reading(self.report.documents()),
            }
        }
    }

    async fn submit(&mut self, upload: &mut Submission, group: Vec<input::Document>) -> Result<(), Failure> {
        let mut wanted = Vec::with_capacity(group.len());
        for document in group {
            if self.report.accept(&document.payload)? {
                wanted.push(Document { payload: document.payload.into(), length: document.length });
            }
        }
        if wanted.is_empty() { Ok(()) } else { upload.push(wanted).await.map_err(refused) }
    }

    fn tell_skipped(&self, documents: &Documents, progress: &Progress) -> bool {
        let Some(skipped) = documents.skipped() else { return false };
        progress.suspend(|| {
            for problem in &skipped.problems {
                eprintln!("evenkeel: {problem}");
            }
            if let Some(summary) = skipped.summary() {
                eprintln!("evenkeel: {summary}");
            }
        });
        !skipped.problems.is_empty()
    }

    fn standing(&self, running: u64) -> Standing {
        let ended = self.report.done() + self.report.failed();
        Standing {
            documents: self.report.submitted(),
            ended,
            failed: self.report.failed(),
            running,
            nodes: self.slots.len() as u64,
        }
    }
}

fn refused(problem: evenkeel_node::api::types::Problem) -> Failure {
    Failure::says(ExitStatus::Failure, problem)
}
