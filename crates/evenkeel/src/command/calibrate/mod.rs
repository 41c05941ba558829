//! `calibrate`: how many documents this host should run at once, by experiment.
//!
//! `sample` says which documents are tried, `search` which number is tried next, `measure` tries it, `steady` reckons what was
//! done in a second, `report` tells what came of it. Here they are put together.

mod measure;
mod report;
mod sample;
mod search;
mod steady;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_node::config::Config;
use evenkeel_node::machine::{ThisHost, usable_processors};
use evenkeel_node::process::{Template, raise_file_limit};

use self::measure::{Failed, Laboratory, Level, PATIENCE};
use self::report::{Findings, significant};
use self::search::{Next, Search};
use super::run::Stop;
use crate::cli::calibrate::CalibrateArgs;
use crate::input::printable;
use crate::output::ending::describe;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::table::{self, Format};
use crate::output::tell;

/// Most documents at once, for each processor, where nobody says.
const MOST_FOR_EACH: u32 = 32;

/// Time of all levels together, in times of one.
const ALL_LEVELS: u32 = 48;

/// Part of the memory that documents must leave.
const RESERVE: f64 = 0.1;

/// Part of the processors that others may take without a word.
const OTHERS: f64 = 0.25;

/// Lines shown of what a failed document wrote.
const SHOWN_LINES: usize = 5;

/// Finds a number.
pub(super) fn calibrate(arguments: CalibrateArgs) -> CommandResult {
    let words = arguments.words()?;
    let template = Arc::new(Template::parse(&words.command).map_err(Failure::usage)?);
    let mut documents = arguments.input.open(&words)?;
    super::log("error", evenkeel_node::config::LogFormat::Text);
    let sample = sample::draw(&mut documents, arguments.sample as usize)?;
    if let Some(skipped) = documents.skipped().and_then(|skipped| skipped.summary()) {
        tell(skipped);
    }
    raise_file_limit();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::says(ExitStatus::Failure, error))?;
    runtime.block_on(async {
        let mut stop = Stop::listen()?;
        let nice = Config::default().processes.nice;
        let laboratory = Laboratory::open(sample, template, nice, Arc::new(ThisHost::find()), arguments.seconds)?;
        let mut experiment = Experiment::new(laboratory, &arguments);
        experiment.announce();
        let end = tokio::select! {
            end = experiment.run() => end,
            () = stop.asked() => Ok(End::Interrupted),
        };
        let concluded = end.and_then(|end| experiment.conclude(end, arguments.format.output));
        experiment.laboratory.close().await;
        concluded
    })
}

/// How the measuring ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Enough is known.
    Complete,
    /// The time is over.
    OutOfTime,
    /// Ctrl-C.
    Interrupted,
}

struct Experiment {
    laboratory: Laboratory,
    search: Search,
    levels: Vec<Level>,
    seconds: Duration,
    most: u32,
    begun: Instant,
    /// Throughput is compared by length, once it is known whether lengths predict anything.
    by_length: bool,
    /// Memory that each document needs, and that all may have.
    need: Option<(u64, u64)>,
}

impl Experiment {
    fn new(laboratory: Laboratory, arguments: &CalibrateArgs) -> Experiment {
        let most = arguments.max.unwrap_or_else(|| usable_processors().saturating_mul(MOST_FOR_EACH));
        Experiment {
            laboratory,
            search: Search::new(most),
            levels: Vec::new(),
            seconds: arguments.seconds,
            most,
            begun: Instant::now(),
            by_length: false,
            need: None,
        }
    }

    /// Most time that it all takes; the last level may take its own beyond that.
    fn limit(&self) -> Duration {
        self.seconds * ALL_LEVELS
    }

    fn announce(&self) {
        let sample = self.laboratory.sample();
        let (most, each) = (self.most, self.seconds.as_secs_f64());
        let whole = Duration::from_secs((self.limit() + self.seconds * PATIENCE).as_secs_f64().ceil() as u64);
        tell(format_args!(
            "trying up to {most} at once of {} of {} documents, for {each} s or somewhat longer each time; \
             at most {} in all, and Ctrl-C ends it with what is known by then",
            sample.documents.len(),
            sample.among,
            humantime::format_duration(whole)
        ));
        tell("documents run more than once: this is for commands that may be repeated");
    }

    async fn run(&mut self) -> Result<End, Failure> {
        // Programs and files are read from the disk the first time: what that takes is not measured. What fails shows, too.
        let first = self.laboratory.level(1).await;
        self.look_at(&first)?;
        warn_of_others(&first);
        self.by_length = self.laboratory.sample().lengths_differ() && lengths_predict(&first.each);
        self.learn(&first);
        while let Next::Measure(number) = self.search.next() {
            if self.begun.elapsed() >= self.limit() {
                return Ok(End::OutOfTime);
            }
            let level = self.laboratory.level(number).await;
            self.take(level)?;
        }
        Ok(End::Complete)
    }

    /// Whether there is any sense in going on.
    fn look_at(&self, first: &Level) -> Result<(), Failure> {
        if first.short {
            return Err(Failure::says(ExitStatus::Failure, "memory ran short with one document: not even one fits"));
        }
        if let Some(failed) = first.first_failed.as_ref().filter(|_| first.failed == first.documents) {
            return Err(Failure::says(ExitStatus::Failure, format!("every document failed; {}", told(failed))));
        }
        if first.documents == 0 {
            let longest = self.seconds * PATIENCE;
            return Err(Failure::usage(format!(
                "no document ended within {} s: give a --seconds of several times what one takes",
                longest.as_secs_f64()
            )));
        }
        Ok(())
    }

    fn take(&mut self, level: Level) -> Result<(), Failure> {
        let number = level.slots;
        self.learn(&level);
        if level.short {
            tell(format_args!("{number} at once: memory ran short, and they were stopped"));
            self.search.fits((number - 1).min(self.fitting()));
        } else {
            let done = if self.by_length { level.rate.length } else { level.rate.documents };
            self.search.record(number, done);
            let late = match level.late {
                0 => String::new(),
                late => format!("; {late} took too long and were stopped: a larger --seconds says more"),
            };
            let documents = significant(level.rate.documents);
            tell(format_args!("{number} at once: {documents} documents/s{late}"));
        }
        self.levels.push(level);
        Ok(())
    }

    /// Reckons anew how many fit into memory.
    fn learn(&mut self, level: &Level) {
        let Some(memory) = self.laboratory.reading().memory else { return };
        // What the documents themselves have told is a least; what was taken from the machine may have been others' doing, so
        // that of several levels the least counts.
        let peak = self.levels.iter().chain([level]).map(|level| level.peak).max().unwrap_or(0);
        let taken = self.levels.iter().chain([level]).filter_map(Level::taken_by_each).min().unwrap_or(0);
        let each = peak.max(taken).max(1);
        let all = memory.available.saturating_sub((memory.limit as f64 * RESERVE) as u64);
        self.need = Some((each, all));
        let short = self.levels.iter().chain([level]).filter(|level| level.short).map(|level| level.slots - 1).min();
        self.search.fits(self.fitting().min(short.unwrap_or(u32::MAX)).max(1));
    }

    fn fitting(&self) -> u32 {
        self.need.map_or(u32::MAX, |(each, all)| u32::try_from(all / each).unwrap_or(u32::MAX))
    }

    fn conclude(&self, end: End, format: Format) -> CommandResult {
        let Some(answer) = self.search.answer() else {
            if end == End::Interrupted {
                tell("interrupted before anything was measured");
                return Ok(ExitStatus::Interrupted);
            }
            return Err(Failure::says(ExitStatus::Failure, "nothing could be measured"));
        };
        let sample = self.laboratory.sample();
        let report = Findings {
            search: &self.search,
            answer,
            levels: &self.levels,
            by_length: self.by_length,
            lengths_differ: sample.lengths_differ(),
            need: self.need,
            processors: usable_processors(),
            incomplete: end != End::Complete,
            sample: (sample.documents.len(), sample.among),
        }
        .report();
        let mut out = io::stdout().lock();
        match format {
            Format::Table => {
                table::list(&mut out, Format::Table, &report.levels)?;
                writeln!(out, "max_process = {}: {}", report.max_process, report.why)?;
                out.flush()?;
            }
            Format::Json | Format::Jsonl => table::show(&mut out, format, &report, &[])?,
        }
        match end {
            End::Complete => {}
            End::OutOfTime => tell("the time is over: more measurements might say something else"),
            End::Interrupted => tell("interrupted: this is what was known by then"),
        }
        let failed = self.levels.iter().find_map(|level| level.first_failed.as_ref());
        if let Some(failed) = failed {
            tell(format_args!("documents failed, and what fails may take less than what does not; {}", told(failed)));
        }
        Ok(match (end, failed) {
            (End::Interrupted, _) => ExitStatus::Interrupted,
            (_, Some(_)) => ExitStatus::FailedDocuments,
            (_, None) => ExitStatus::Ok,
        })
    }
}

/// Says so where something else is at work on this host.
fn warn_of_others(level: &Level) {
    let processors = f64::from(usable_processors());
    let others = level.busy.map_or(0.0, |busy| busy - level.processors / processors);
    if others > OTHERS {
        tell(format_args!(
            "other work keeps {:.0} % of the processors busy: what is found holds while it does, and a quiet host tells more",
            others * 100.0
        ));
    }
}

/// The first document that failed, and what it wrote.
fn told(failed: &Failed) -> String {
    let text = String::from_utf8_lossy(&failed.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].iter();
    let shown: Vec<String> = shown.map(|line| printable(line.as_ref())).collect();
    let wrote = if shown.is_empty() { "it wrote nothing to standard error".to_owned() } else { shown.join("\n  ") };
    format!("the first was document {}: {}:\n  {wrote}", failed.number, describe(&failed.exit))
}

/// Whether the lengths of these documents, given with the seconds that each took, say more of those than that all take the same.
fn lengths_predict(each: &[(f64, f64)]) -> bool {
    let (length, seconds) = each.iter().fold((0.0, 0.0), |sums, one| (sums.0 + one.0, sums.1 + one.1));
    if length <= 0.0 || each.len() < 2 {
        return false;
    }
    let (rate, mean) = (seconds / length, seconds / each.len() as f64);
    let by_length: f64 = each.iter().map(|(length, seconds)| (seconds - rate * length).powi(2)).sum();
    let equal: f64 = each.iter().map(|(_, seconds)| (seconds - mean).powi(2)).sum();
    by_length < equal
}

#[cfg(test)]
mod tests {
    use evenkeel_core::ids::DocNumber;
    use evenkeel_net::records::Exit;

    use super::*;

    #[test]
    fn lengths_count_where_they_predict() {
        assert!(lengths_predict(&[(1.0, 0.1), (5.0, 0.5), (2.0, 0.21)]));
        assert!(!lengths_predict(&[(1.0, 0.5), (5.0, 0.5), (2.0, 0.51)]));
        assert!(!lengths_predict(&[(0.0, 0.5), (0.0, 0.1)]));
        assert!(!lengths_predict(&[]));
    }

    #[test]
    fn what_failed_is_told_without_what_moves_a_cursor() {
        let failed = Failed { number: DocNumber(3), exit: Exit::Status(2), stderr: b"one\n\n\x1b[2Jtwo\n".to_vec() };
        assert_eq!(told(&failed), "the first was document 3: exit status 2:\n  one\n  \\u{1b}[2Jtwo");
    }
}
