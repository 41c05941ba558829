//! What is said at the end of a job, on standard error: what was done and by whom, and if it was interrupted, what is left
//! and how to go on.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

use super::shell;

/// How a job went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Documents of the input.
    pub documents: u64,
    /// Those that an earlier run had done.
    pub skipped: u64,
    /// Those that ended well.
    pub done: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// From the first to the last.
    pub wall: Duration,
    /// Documents ended by each node, by name.
    pub nodes: Vec<(String, u64)>,
    /// Documents that were moved between nodes.
    pub moved: u64,
    /// Documents that ran more than once for reasons of the cluster.
    pub duplicates: u64,
    /// Bytes of output.
    pub output_bytes: u64,
}

/// Most nodes that a summary names one by one.
const NAMED_NODES: usize = 8;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.done + self.failed + self.cancelled;
        let count = |number: u64| HumanCount(number);
        let plural = if self.documents == 1 { "document" } else { "documents" };
        write!(f, "{} {plural}: {} done", count(self.documents), count(self.done))?;
        for (number, what) in [(self.failed, "failed"), (self.cancelled, "cancelled"), (self.skipped, "done before")] {
            if number > 0 {
                write!(f, ", {} {what}", count(number))?;
            }
        }
        let seconds = self.wall.as_secs_f64();
        write!(f, " in {}", wall(self.wall))?;
        if seconds > 0.0 && ended > 0 {
            write!(f, " ({} per second)", rate(ended as f64 / seconds))?;
        }
        write!(f, "; {} of output", HumanBytes(self.output_bytes))?;
        if self.nodes.len() > 1 {
            write!(f, "; by node: ")?;
            for (place, (name, number)) in self.nodes.iter().take(NAMED_NODES).enumerate() {
                write!(f, "{}{name} {}", if place > 0 { ", " } else { "" }, count(*number))?;
            }
            if let Some(rest) = self.nodes.get(NAMED_NODES..).filter(|rest| !rest.is_empty()) {
                let sum = rest.iter().map(|(_, number)| number).sum();
                write!(f, ", {} others {}", rest.len(), count(sum))?;
            }
            write!(f, "; {} moved, {} duplicates", count(self.moved), count(self.duplicates))?;
        } else if self.duplicates > 0 {
            write!(f, "; {} duplicates", count(self.duplicates))?;
        }
        f.write_str(".")
    }
}

fn wall(wall: Duration) -> String {
    if wall < Duration::from_secs(60) {
        return format!("{:.2} s", wall.as_secs_f64());
    }
    humantime::format_duration(Duration::from_secs(wall.as_secs())).to_string()
}

fn rate(rate: f64) -> String {
    if rate >= 100.0 { HumanCount(rate.round() as u64).to_string() } else { format!("{rate:.1}") }
}

/// What an interrupted job leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// Documents without an outcome, those that were running included.
    pub left: u64,
    /// Of these, the ones whose process was stopped.
    pub stopped: u64,
    /// How to go on.
    pub resume: ResumeHint,
}

/// How an interrupted job can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeHint {
    /// With this command.
    Command(String),
    /// Not at all, since nothing recorded what is done.
    NotRecorded,
    /// With this command, once it is given the same standard input.
    SameInput(String),
}

impl ResumeHint {
    /// The hint for a program that was called with these words, its own name first.
    ///
    /// `recorded` tells whether there is a job log or a results directory, `stdin` whether documents came from there.
    pub fn for_call(words: &[OsString], recorded: bool, stdin: bool) -> ResumeHint {
        if !recorded {
            return ResumeHint::NotRecorded;
        }
        let mut words = words.to_vec();
        let already = words.iter().take_while(|word| *word != "--" && *word != ":::").any(|word| word == "--resume");
        if !already {
            // Right behind the subcommand, where it cannot be taken for a word of the command to run.
            words.insert(words.len().min(2), "--resume".into());
        }
        let command = String::from_utf8_lossy(&shell::join(words)).into_owned();
        if stdin { ResumeHint::SameInput(command) } else { ResumeHint::Command(command) }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = HumanCount(self.left);
        let plural = if self.left == 1 { "document" } else { "documents" };
        write!(f, "interrupted: {left} {plural} left, {} of them stopped while running", HumanCount(self.stopped))?;
        match &self.resume {
            ResumeHint::Command(command) => write!(f, "\nto go on: {command}"),
            ResumeHint::SameInput(command) => write!(f, "\nto go on, with the same standard input: {command}"),
            ResumeHint::NotRecorded => write!(
                f,
                "\nnothing recorded which are done, so that the job can only be run again as a whole; \
                 --joblog FILE or --results DIR makes a job resumable"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            documents: 20_000,
            done: 19_990,
            failed: 10,
            wall: Duration::from_millis(41_520),
            nodes: vec![("n1".into(), 9_000), ("n2".into(), 11_000)],
            moved: 812,
            output_bytes: 3 << 20,
            ..Summary::default()
        }
    }

    #[test]
    fn a_summary_is_one_paragraph() {
        assert_eq!(
            summary().to_string(),
            "20,000 documents: 19,990 done, 10 failed in 41.52 s (482 per second); 3.00 MiB of output; \
             by node: n1 9,000, n2 11,000; 812 moved, 0 duplicates."
        );
        let alone = Summary { documents: 1, skipped: 1, nodes: vec![("n1".into(), 0)], ..Summary::default() };
        assert_eq!(alone.to_string(), "1 document: 0 done, 1 done before in 0.00 s; 0 B of output.");
        let long = Summary { wall: Duration::from_millis(3_725_900), nodes: vec![], ..summary() };
        assert!(long.to_string().contains(" in 1h 2m 5s (5.4 per second)"), "{long}");
        let many = Summary { nodes: (0..11).map(|node| (format!("n{node}"), 5)).collect(), ..summary() };
        assert!(many.to_string().contains("n7 5, 3 others 15;"), "{many}");
    }

    fn hint(words: &[&str], recorded: bool, stdin: bool) -> ResumeHint {
        ResumeHint::for_call(&words.iter().map(OsString::from).collect::<Vec<_>>(), recorded, stdin)
    }

    #[test]
    fn an_interrupted_job_says_how_to_go_on() {
        let words = ["evenkeel", "run", "--joblog", "a log", "--", "echo", "{}", ":::", "--resume"];
        let resume = hint(&words, true, false);
        assert_eq!(
            Interrupted { left: 12, stopped: 8, resume }.to_string(),
            "interrupted: 12 documents left, 8 of them stopped while running\n\
             to go on: evenkeel run --resume --joblog 'a log' -- echo '{}' ::: --resume"
        );
        let again = hint(&["evenkeel", "run", "--joblog=l", "--resume", "-a", "-", "wc"], true, true);
        assert_eq!(again, ResumeHint::SameInput("evenkeel run --joblog=l --resume -a - wc".into()));
        let resume = hint(&words, false, false);
        assert!(Interrupted { left: 1, stopped: 0, resume }.to_string().contains("--joblog FILE or --results DIR"));
    }
}
