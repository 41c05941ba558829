//! What came of many simulations, as a table or as JSON.

use std::io::{self, Write};
use std::time::Duration;

use evenkeel_core::units::Micros;
use evenkeel_sim::counts::Counts;
use evenkeel_sim::run::Outcome;
use indicatif::HumanCount;
use serde::Serialize;
use serde_json::json;

use crate::output::table::Format;

/// What came of one scenario with all its seeds.
pub(super) struct Summary {
    name: String,
    seeds: u64,
    /// Seeds that broke a promise, or did not meet an expectation.
    pub(super) failed: Vec<u64>,
    node_time: Micros,
    pub(super) counts: Counts,
    /// What all of them together should have brought, and did not.
    pub(super) missing: Vec<String>,
    /// Makespan over that of a central queue, of each seed in which the two can be compared.
    over_central: Vec<f64>,
    /// Makespan over its lower bound, of each seed that had work.
    makespans: Vec<f64>,
    /// Of all traces, whatever the order in which they came.
    hash: u64,
    /// Real time.
    pub(super) took: Duration,
}

impl Summary {
    pub(super) fn new(name: &str) -> Summary {
        Summary {
            name: name.to_owned(),
            seeds: 0,
            failed: Vec::new(),
            node_time: Micros::ZERO,
            counts: Counts::default(),
            missing: Vec::new(),
            over_central: Vec::new(),
            makespans: Vec::new(),
            hash: 0,
            took: Duration::ZERO,
        }
    }

    pub(super) fn add(&mut self, outcome: &Outcome, complaints: usize) {
        self.seeds += 1;
        self.node_time = self.node_time + outcome.node_time;
        self.counts += &outcome.counts;
        self.makespans.extend(outcome.makespan_ratio());
        self.over_central.extend(outcome.central_ratio());
        self.hash ^= outcome.hash;
        if complaints > 0 {
            self.failed.push(outcome.seed);
            self.failed.sort_unstable();
        }
    }

    /// Whether a promise was broken, or something expected did not come.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty() || !self.missing.is_empty()
    }

    fn node_hours(&self) -> f64 {
        self.node_time.as_secs_f64() / 3_600.0
    }

    fn events_per_second(&self) -> f64 {
        self.counts.events as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn per_document(&self, count: u64) -> f64 {
        count as f64 / self.counts.documents.max(1) as f64
    }

    /// How long it took to take over from a node that had died: so many hundredths of the heirs were quicker, in seconds.
    fn takeover(&mut self, hundredths: usize) -> Option<f64> {
        self.counts.takeovers.sort_unstable();
        let place = self.counts.takeovers.len() * hundredths / 100;
        self.counts.takeovers.get(place).map(|time| time.as_secs_f64())
    }

    fn value(&mut self) -> impl Serialize + use<> {
        let counts: serde_json::Map<String, serde_json::Value> =
            self.counts.plain().map(|(name, count)| (name.to_owned(), count.into())).collect();
        json!({
            "schema": 1,
            "scenario": self.name,
            "seeds": self.seeds,
            "failed": self.failed,
            "node_hours": self.node_hours(),
            "seconds": self.took.as_secs_f64(),
            "events_per_second": self.events_per_second(),
            "makespan_over_bound_median": median(&mut self.makespans),
            "makespan_over_central_median": median(&mut self.over_central),
            "takeover_seconds_p50": self.takeover(50),
            "takeover_seconds_p99": self.takeover(99),
            "missing": self.missing,
            "marks": self.counts.marks,
            "trace": format!("{:016x}", self.hash),
            "counts": counts,
            "faults": self.counts.faults,
        })
    }

    fn table(&mut self, out: &mut impl Write) -> io::Result<()> {
        let verdict = match self.failed.len() {
            0 if self.missing.is_empty() => "all promises kept".to_owned(),
            0 => format!("all promises kept, but {} marks MISSED", self.missing.len()),
            failed => format!("{failed} FAILED: {:?}", self.failed),
        };
        writeln!(out, "{}: {} seeds, {verdict}", self.name, HumanCount(self.seeds))?;
        writeln!(
            out,
            "  {:.1} node-hours in {:.1} s; {} events, {} per second; trace {:016x}",
            self.node_hours(),
            self.took.as_secs_f64(),
            HumanCount(self.counts.events),
            HumanCount(self.events_per_second() as u64),
            self.hash
        )?;
        let told = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let (makespan, central) = (told(median(&mut self.makespans)), told(median(&mut self.over_central)));
        writeln!(
            out,
            "  {} documents, {:.2} moves each, {:.0} duplicates in a million; median makespan over the bound \
             {makespan}, over a central queue {central}",
            HumanCount(self.counts.documents),
            self.per_document(self.counts.moved),
            1e6 * self.per_document(self.counts.duplicates),
        )?;
        let faults = self.counts.faults.iter().map(|(kind, count)| ((*kind).to_owned(), *count));
        let of_messages = ["messages_lost", "messages_doubled", "messages_clogged", "messages_cut", "messages_spoilt"];
        let others = ["unavailable", "copies_refused", "timed_out", "poisoned", "amnesia"];
        let plain = self.counts.plain().filter(|(name, _)| of_messages.contains(name) || others.contains(name));
        let plain = plain.map(|(name, count)| (name.replace('_', " "), count));
        let told: Vec<String> = faults
            .chain(plain)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {}", HumanCount(count)))
            .collect();
        if !told.is_empty() {
            writeln!(out, "  faults: {}", told.join(", "))?;
        }
        if let (Some(half), Some(most)) = (self.takeover(50), self.takeover(99)) {
            writeln!(out, "  takeover after a death: half within {half:.1} s, 99 in 100 within {most:.1} s")?;
        }
        let hit = self.counts.marks.iter().map(|(name, count)| format!("{name} {}", HumanCount(*count)));
        if !self.counts.marks.is_empty() {
            writeln!(out, "  marks: {}", hit.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

fn median(ratios: &mut [f64]) -> Option<f64> {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied()
}

/// Prints summaries.
pub(super) fn print(out: &mut impl Write, format: Format, summaries: &mut [Summary]) -> io::Result<()> {
    match format {
        Format::Table => summaries.iter_mut().try_for_each(|summary| summary.table(out)),
        Format::Json => {
            let values: Vec<_> = summaries.iter_mut().map(Summary::value).collect();
            serde_json::to_writer_pretty(&mut *out, &json!({ "schema": 1, "scenarios": values }))?;
            writeln!(out)
        }
        Format::Jsonl => summaries.iter_mut().try_for_each(|summary| {
            serde_json::to_writer(&mut *out, &summary.value())?;
            writeln!(out)
        }),
    }
}
