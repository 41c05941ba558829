//! What is said in the end: a row for each number, the answer, and one sentence of why.

use serde::Serialize;

use super::measure::Level;
use super::search::{Answer, NEAR, Reason, Search};
use crate::output::table::{Column, Row};

/// What is known of one number of documents at once: the measurement of middle throughput, and how many there were.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    max_process: u32,
    documents_per_second: f64,
    /// Where documents differ in length.
    length_per_second: Option<f64>,
    /// Processors that documents used.
    processors: f64,
    /// Largest memory of one document.
    memory_bytes: Option<u64>,
    /// Part of the time in which some task waited for a processor.
    processor_pressure: Option<f64>,
    memory_pressure: Option<f64>,
    measurements: usize,
    verdict: String,
}

impl Row for Line {
    const LIST: &'static str = "levels";
    const COLUMNS: &'static [Column] = &[
        Column::Number("max_process"),
        Column::Number("documents/s"),
        Column::Number("length/s"),
        Column::Number("cpus"),
        Column::Number("memory each"),
        Column::Number("cpu pressure"),
        Column::Number("memory pressure"),
        Column::Number("times"),
        Column::Text("verdict"),
    ];

    fn cells(&self) -> Vec<String> {
        let percent = |part: Option<f64>| part.map_or("-".to_owned(), |part| format!("{:.0} %", part * 100.0));
        vec![
            self.max_process.to_string(),
            significant(self.documents_per_second),
            self.length_per_second.map_or("-".to_owned(), significant),
            format!("{:.2}", self.processors),
            self.memory_bytes.map_or("-".to_owned(), megabytes),
            percent(self.processor_pressure),
            percent(self.memory_pressure),
            self.measurements.to_string(),
            self.verdict.clone(),
        ]
    }
}

/// Four digits are more than can be measured.
pub(super) fn significant(value: f64) -> String {
    match value {
        value if value >= 1_000.0 || value == 0.0 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// The whole answer, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    /// The number to use.
    pub(super) max_process: u32,
    /// In a word: `flat`, `falling`, `memory` or `growing`.
    reason: &'static str,
    /// In a sentence.
    pub(super) why: String,
    /// It was ended before all was measured.
    pub(super) incomplete: bool,
    /// Documents tried, of how many.
    sample: usize,
    documents: u64,
    /// Runs that failed, of how many.
    failed: u64,
    runs: u64,
    pub(super) levels: Vec<Line>,
}

/// What the report is made of.
pub(super) struct Findings<'a> {
    pub(super) search: &'a Search,
    pub(super) answer: Answer,
    pub(super) levels: &'a [Level],
    /// What is compared: throughput by length, or by documents.
    pub(super) by_length: bool,
    pub(super) lengths_differ: bool,
    /// Bytes that each document needs, and that all may have together.
    pub(super) need: Option<(u64, u64)>,
    pub(super) processors: u32,
    pub(super) incomplete: bool,
    pub(super) sample: (usize, u64),
}

impl Findings<'_> {
    pub(super) fn report(&self) -> Report {
        let mut numbers: Vec<u32> = self.levels.iter().map(|level| level.slots).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Report {
            schema: crate::output::table::SCHEMA,
            max_process: self.answer.number,
            reason: match self.answer.reason {
                Reason::Flat => "flat",
                Reason::Falling => "falling",
                Reason::Memory => "memory",
                Reason::Growing => "growing",
            },
            why: self.why(),
            incomplete: self.incomplete,
            sample: self.sample.0,
            documents: self.sample.1,
            failed: self.levels.iter().map(|level| level.failed).sum(),
            runs: self.levels.iter().map(|level| level.documents).sum(),
            levels: numbers.into_iter().filter_map(|number| self.line(number)).collect(),
        }
    }

    fn line(&self, number: u32) -> Option<Line> {
        let throughput = |level: &&Level| {
            if self.by_length { level.rate.length } else { level.rate.documents }
        };
        let mut levels: Vec<&Level> = self.levels.iter().filter(|level| level.slots == number).collect();
        levels.sort_by(|a, b| throughput(a).total_cmp(&throughput(b)));
        let level = *levels.get(levels.len() / 2)?;
        let short = levels.iter().any(|level| level.short);
        Some(Line {
            max_process: number,
            documents_per_second: level.rate.documents,
            length_per_second: self.lengths_differ.then_some(level.rate.length),
            processors: level.processors,
            memory_bytes: levels.iter().map(|level| level.peak).max().filter(|peak| *peak > 0),
            processor_pressure: level.processor_stall,
            memory_pressure: level.memory_stall,
            measurements: levels.len(),
            verdict: self.verdict(number, short),
        })
    }

    fn verdict(&self, number: u32, short: bool) -> String {
        let best = self.search.median(self.answer.best).unwrap_or(0.0);
        let part = self.search.median(number).map_or(0.0, |median| median / best.max(f64::MIN_POSITIVE));
        let percent = (part * 100.0).round();
        match number {
            _ if short => "memory ran short: stopped".to_owned(),
            number if number == self.answer.number => format!("recommended: {percent:.0} % of the best"),
            _ => format!("{percent:.0} % of the best"),
        }
    }

    /// Why it is this number.
    fn why(&self) -> String {
        let Answer { number, best, reason } = self.answer;
        let of_best = self.search.median(number).zip(self.search.median(best)).map_or(0.0, |(here, most)| here / most);
        let near = match best == number {
            true => "gets most done".to_owned(),
            false if of_best >= NEAR => format!("gets as much done, within 5 %, as {best}, which got most done"),
            false => {
                format!("gets about as much done as {best}, which got most done: measurements differ by more than that")
            }
        };
        match reason {
            Reason::Flat if self.processors_are_used(number) => {
                format!("{number} {near}; throughput no longer grows, since the processors are all in use")
            }
            Reason::Flat => {
                format!(
                    "{number} {near}; throughput no longer grows, though processors are idle: \
                     documents wait for something that they share"
                )
            }
            Reason::Falling => format!("{number} {near}; with more, less gets done"),
            Reason::Memory => match self.need {
                Some((each, all)) => format!(
                    "{number} {near}; throughput still grows, and with more, memory would run out: each document takes \
                     {}, and {} may be used by all",
                    megabytes(each),
                    megabytes(all)
                ),
                None => format!("{number} {near}; throughput still grows, and with more, memory would run out"),
            },
            Reason::Growing if self.incomplete => format!("{number} got most done of what was tried so far"),
            Reason::Growing => {
                format!("{number} {near}; throughput still grows at the most that was to be tried: give a larger --max")
            }
        }
    }

    /// Whether documents, with whatever else runs, keep the processors busy.
    fn processors_are_used(&self, number: u32) -> bool {
        let levels = || self.levels.iter().filter(|level| level.slots >= number);
        let used = levels().map(|level| level.processors).fold(0.0, f64::max);
        let waited = levels().filter_map(|level| level.processor_stall).fold(0.0, f64::max);
        used > f64::from(self.processors) * 0.8 || (waited > 0.5 && used > f64::from(self.processors) * 0.3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings<'a>(search: &'a Search, levels: &'a [Level]) -> Findings<'a> {
        Findings {
            search,
            answer: search.answer().unwrap(),
            levels,
            by_length: false,
            lengths_differ: false,
            need: Some((500_000_000, 4_000_000_000)),
            processors: 2,
            incomplete: false,
            sample: (64, 1_000),
        }
    }

    #[test]
    fn the_sentence_says_what_stands_in_the_way() {
        let mut search = Search::new(8);
        let mut levels = Vec::new();
        for number in [1, 2, 4, 8] {
            search.record(number, f64::from(number.min(2)));
            levels.push(Level { slots: number, processors: f64::from(number.min(2)), ..Level::default() });
        }
        let report = findings(&search, &levels).report();
        assert_eq!((report.max_process, report.reason), (2, "flat"));
        assert!(report.why.contains("processors are all in use"), "{}", report.why);
        levels.iter_mut().for_each(|level| level.processors = 0.1);
        assert!(findings(&search, &levels).report().why.contains("something that they share"));

        let mut search = Search::new(64);
        (1..=3).for_each(|power| search.record(1 << power, f64::from(1 << power)));
        search.record(1, 1.0);
        search.fits(8);
        let why = findings(&search, &levels).report().why;
        assert!(why.contains("each document takes 500 MB, and 4000 MB may be used by all"), "{why}");
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_are_worth() {
        let shown = [0.0, 0.01234, 1.5, 123.45, 12_345.6].map(significant);
        assert_eq!(shown, ["0", "0.0123", "1.50", "123.5", "12346"]);
    }
}
