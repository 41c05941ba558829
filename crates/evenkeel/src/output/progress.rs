//! How far a job has got, on standard error: a bar on a terminal, now and then a line where one is asked for without a
//! terminal, and nothing otherwise.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How often a bar is drawn, per second.
const DRAWS: u8 = 8;

/// What the user said about progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// Nothing: a bar if standard error is a terminal.
    #[default]
    Auto,
    /// `--progress`: a bar, or lines where there is no terminal.
    Always,
    /// `--no-progress`.
    Never,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Documents known so far.
    pub documents: u64,
    /// Of them those that ended, however they did.
    pub ended: u64,
    /// Of those the ones that failed.
    pub failed: u64,
    /// Documents that run now.
    pub running: u64,
    /// Live nodes.
    pub nodes: u64,
}

/// Shows how far a job has got.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    begun: Instant,
}

#[derive(Debug)]
enum Shown {
    /// While the input is read the bar has no length, and is a line.
    Bar {
        bar: ProgressBar,
        measured: bool,
    },
    Lines {
        next: Instant,
    },
    Nothing,
}

impl Progress {
    /// Begins to show progress as the user wishes.
    pub fn begin(wish: Wish) -> Progress {
        let begun = Instant::now();
        let shown = match (wish, io::stderr().is_terminal()) {
            (Wish::Never, _) | (Wish::Auto, false) => Shown::Nothing,
            (Wish::Always, false) => Shown::Lines { next: begun + LINE_INTERVAL },
            (_, true) => {
                let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(DRAWS));
                bar.set_style(line_style());
                // The time left and the rate move on even while nothing finishes.
                bar.enable_steady_tick(Duration::from_millis(250));
                Shown::Bar { bar, measured: false }
            }
        };
        Progress { shown, begun }
    }

    /// Shows that the input is still being read, and how many documents there were.
    pub fn reading(&mut self, documents: u64) {
        match &mut self.shown {
            Shown::Bar { bar, measured } => {
                if std::mem::take(measured) {
                    bar.set_style(line_style());
                }
                bar.set_message(reading(documents));
            }
            Shown::Lines { next } => say_at(next, || reading(documents)),
            Shown::Nothing => {}
        }
    }

    /// Shows where the job stands now.
    pub fn update(&mut self, standing: Standing) {
        match &mut self.shown {
            Shown::Bar { bar, measured } => {
                bar.set_length(standing.documents);
                bar.set_position(standing.ended);
                bar.set_message(counts(standing));
                if !std::mem::replace(measured, true) {
                    bar.set_style(style());
                }
            }
            Shown::Lines { next } => say_at(next, || line(standing, self.begun.elapsed())),
            Shown::Nothing => {}
        }
    }

    /// Does something that prints, with the bar out of the way.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.shown {
            Shown::Bar { bar, .. } => bar.suspend(print),
            Shown::Lines { .. } | Shown::Nothing => print(),
        }
    }

    /// Takes the bar away, to make room for the summary.
    pub fn end(self) {
        if let Shown::Bar { bar, .. } = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Says a line if it is time for one.
fn say_at(next: &mut Instant, line: impl FnOnce() -> String) {
    let now = Instant::now();
    if now >= *next {
        *next = now + LINE_INTERVAL;
        // Progress is a courtesy: that nobody reads it is no reason to stop.
        let _ = writeln!(io::stderr(), "evenkeel: {}", line());
    }
}

fn line_style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").expect("the template is a constant")
}

fn reading(documents: u64) -> String {
    format!("reading input: {} {}", HumanCount(documents), if documents == 1 { "document" } else { "documents" })
}

fn style() -> ProgressStyle {
    let template = "{wide_bar} {human_pos}/{human_len} {percent}%  {per_sec}  {eta} left  {msg}";
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("━╸ ")
}

fn counts(standing: Standing) -> String {
    let mut text = String::new();
    if standing.failed > 0 {
        text.push_str(&format!("{} failed, ", HumanCount(standing.failed)));
    }
    let nodes = if standing.nodes == 1 { "node" } else { "nodes" };
    text + &format!("{} running on {} {nodes}", HumanCount(standing.running), standing.nodes)
}

fn line(standing: Standing, elapsed: Duration) -> String {
    let Standing { documents, ended, .. } = standing;
    let rate = ended as f64 / elapsed.as_secs_f64().max(1e-3);
    let mut text = format!("{} of {} documents ended", HumanCount(ended), HumanCount(documents));
    if let Some(percent) = (ended * 100).checked_div(documents) {
        text.push_str(&format!(" ({percent} %)"));
    }
    text.push_str(&format!(", {rate:.1}/s"));
    if ended > 0 && ended < documents {
        let left = Duration::try_from_secs_f64((documents - ended) as f64 / rate).unwrap_or(Duration::MAX);
        text.push_str(&format!(", {} left", HumanDuration(left)));
    }
    text + ", " + &counts(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let standing = Standing { documents: 20_000, ended: 5_000, failed: 3, running: 8, nodes: 4 };
        assert_eq!(
            line(standing, Duration::from_secs(10)),
            "5,000 of 20,000 documents ended (25 %), 500.0/s, 30 seconds left, 3 failed, 8 running on 4 nodes"
        );
        let nothing = Standing { nodes: 1, ..Standing::default() };
        assert_eq!(line(nothing, Duration::ZERO), "0 of 0 documents ended, 0.0/s, 0 running on 1 node");
    }

    #[test]
    fn nothing_is_shown_without_a_terminal() {
        let mut progress = Progress::begin(Wish::Never);
        progress.reading(3);
        progress.update(Standing::default());
        assert_eq!(progress.suspend(|| 7), 7);
        progress.end();
        style();
        line_style();
        assert_eq!(
            (reading(1).as_str(), reading(1_200).as_str()),
            ("reading input: 1 document", "reading input: 1,200 documents")
        );
    }
}
