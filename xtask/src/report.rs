//! What came of all defects, for people.

use crate::defects::Defect;
use crate::trial::{Found, Trial, Verdict};

/// One defect and what came of it.
pub(crate) struct Row<'a> {
    pub(crate) defect: &'a Defect,
    pub(crate) trial: Trial,
}

impl Row<'_> {
    /// Whether a simulation or a test failed. What cannot be built, hangs or dies was not caught: nothing says why.
    pub(crate) fn is_caught(&self) -> bool {
        matches!(self.trial.verdict, Verdict::Caught { .. } | Verdict::Tested { failed: Some(_) })
    }
}

/// What came of a trial, in one line.
pub(crate) fn line(trial: &Trial) -> String {
    let took = format!("{:.0} s to build, {:.0} s to run", trial.building.as_secs_f64(), trial.running.as_secs_f64());
    match &trial.verdict {
        Verdict::Caught { found, simulations } => {
            let Found { scenario, seed, what, .. } = found;
            format!("caught by {scenario}, seed {seed}, the {simulations}. simulation ({took}): {}", in_one_line(what))
        }
        Verdict::Tested { failed: Some(test) } => format!("caught by the test {test} ({took})"),
        Verdict::Tested { failed: None } => format!("no test fails ({took})"),
        Verdict::Survived { simulations } => format!("nothing fails in {simulations} simulations ({took})"),
        Verdict::Unbuildable(why) => format!("CANNOT BE BUILT:\n{why}"),
        Verdict::Hung { at } => format!("HANGS in {at} ({took})"),
        Verdict::Died(how) => format!("DIES: {how} ({took})"),
    }
}

/// The table.
pub(crate) fn table(rows: &[Row<'_>]) {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let titles = ["defect", "breaks", "caught by", "simulations", "seconds"].map(str::to_owned);
    let lines = || std::iter::once(&titles).chain(&cells);
    let widths: [usize; 5] =
        std::array::from_fn(|column| lines().map(|line| line[column].chars().count()).max().unwrap_or(0));
    for line in lines() {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// The table as it is in the documents.
pub(crate) fn markdown(rows: &[Row<'_>]) {
    println!("| defect | should break | caught by | simulations |\n| --- | --- | --- | --- |");
    for row in rows {
        let [_, breaks, caught, simulations, _] = cells(row);
        let Defect { name, why, .. } = row.defect;
        println!("| {name}: {} | {breaks} | {caught} | {simulations} |", in_one_line(why).trim_end_matches('.'));
    }
}

fn cells(row: &Row<'_>) -> [String; 5] {
    let (caught, simulations) = match &row.trial.verdict {
        Verdict::Caught { found: Found { scenario, seed, kind, .. }, simulations } => {
            (format!("{kind}, in {scenario} seed {seed}"), simulations.to_string())
        }
        Verdict::Tested { failed: Some(test) } => (format!("the test `{test}`"), String::new()),
        Verdict::Tested { failed: None } => ("SURVIVES".to_owned(), String::new()),
        Verdict::Survived { simulations } => ("SURVIVES".to_owned(), simulations.to_string()),
        Verdict::Unbuildable(_) => ("CANNOT BE BUILT".to_owned(), String::new()),
        Verdict::Hung { at } => (format!("HANGS in {at}"), String::new()),
        Verdict::Died(_) => ("DIES".to_owned(), String::new()),
    };
    let seconds = format!("{:.0}", row.trial.running.as_secs_f64());
    [row.defect.name.clone(), row.defect.breaks.clone(), caught, simulations, seconds]
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
