//! Pictures of one run, as SVG: what was recorded, and no more; nothing here knows of nodes or of a world.
//!
//! They are for reading and for print: a light ground, units at the axes, and series that differ in more than their
//! colour where there are few. What is left out, so that a picture of a large world can be read, is said in it.

mod axis;
mod balance;
mod bars;
mod canvas;
mod events;
mod pending;
#[cfg(test)]
mod tests;
mod timeline;

use evenkeel_core::units::Micros;

use crate::record::{Film, Recording};
use canvas::Canvas;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What it shows, in a word that can be part of a file's name.
    pub name: &'static str,
    /// The picture itself.
    pub svg: String,
}

/// What stands above a picture.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// The name of the scenario.
    pub scenario: &'a str,
    /// The seed of the run.
    pub seed: u64,
}

/// All pictures of a run; none if nothing was recorded for them.
pub fn pictures(heading: Heading<'_>, recording: &Recording) -> Vec<Picture> {
    let Some(film) = &recording.film else { return Vec::new() };
    vec![
        Picture { name: "pending", svg: pending::draw(heading, film) },
        Picture { name: "levels", svg: bars::draw(heading, film, recording.passage.as_ref()) },
        Picture { name: "balance", svg: balance::draw(heading, film) },
        Picture { name: "timeline", svg: timeline::draw(heading, film) },
    ]
}

impl Heading<'_> {
    /// Writes it: what the picture shows, and of which world.
    fn write(&self, canvas: &mut Canvas, shows: &str, film: &Film) {
        let Heading { scenario, seed } = self;
        let documents: u64 =
            film.options.work.iter().map(|work| u64::from(work.documents) * u64::from(work.times)).sum();
        let world = format!(
            "{} machines at the beginning, {} documents; {} of virtual time",
            axis::figure(film.options.cluster.nodes as f64),
            axis::figure(documents as f64),
            axis::time(film.end)
        );
        canvas.heading(&format!("{scenario}, seed {seed}: {shows}"), &world);
    }
}

/// When there is nothing to see any more: nothing is pending, runs or happens.
fn last_sight(film: &Film) -> Micros {
    let pending = film.curves.samples.iter().rev().find(|sample| sample.pending.iter().any(|count| *count > 0));
    let runs = film.lanes.runs.iter().map(|run| run.to);
    let marks = film.marks.iter().map(|mark| mark.at);
    let last = runs.chain(marks).chain(pending.map(|sample| sample.at)).max().unwrap_or(film.end);
    let little = Micros((last.0 / 50).max(1));
    (last + little).min(film.end.max(Micros(1)))
}
