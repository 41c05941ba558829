//! What happened to machines and between them, as signs, each of a shape of its own.

use evenkeel_core::units::Micros;

use super::axis::TimeAxis;
use super::canvas::{Anchor, BLUE, Canvas, DOTTED, FAINT, INK, RED, STRIPED, Stroke};
use crate::record::{Film, Mark, What};
use crate::world::MachineId;

/// Signs of one kind that are nearer than this to each other on one line are one: they could not be told apart.
const NEAR: f64 = 5.0;

/// Width of a sign: of two that would cover each other the later one is moved aside.
const WIDE: f64 = 9.0;

/// How far a sign may be moved: beyond, it would tell of another time.
const ASIDE: f64 = 14.0;

/// Height of the line of signs above a field.
pub(super) const LINE: f64 = 16.0;

/// Draws the sign of what happened at a place.
fn sign(canvas: &mut Canvas, (x, y): (f64, f64), what: What) {
    match what {
        What::Killed => canvas.shape((x - 4.0, y - 4.0), "l8 8m-8 0l8 -8", "none", RED),
        What::Returned => canvas.shape((x - 4.0, y + 4.0), "h8l-4 -8z", "#ffffff", RED),
        What::Joined => canvas.shape((x, y - 4.5), "v9m-4.5 -4.5h9", "none", BLUE),
        What::Draining => canvas.shape((x - 4.0, y - 4.0), "h8l-4 8z", "#ffffff", BLUE),
        What::Left => canvas.shape((x - 4.0, y - 4.0), "h8l-4 8z", BLUE, BLUE),
        What::Paused => canvas.shape((x - 2.0, y - 4.0), "v8m4 -8v8", "none", "#a07800"),
        What::Suspected => canvas.shape((x, y - 4.5), "l4.5 4.5l-4.5 4.5l-4.5 -4.5z", "#ffffff", FAINT),
        What::Cut => canvas.shape((x - 4.0, y), "h3m2 0h3m-5 -4l2 8", "none", INK),
        What::Submitted => canvas.shape((x - 3.5, y - 3.5), "h7v7h-7z", INK, INK),
        What::Cancelled => canvas.shape((x - 3.5, y - 3.5), "h7v7h-7z", "#ffffff", INK),
        What::Healed => canvas.line((x, y - 5.0), (x, y + 5.0), Stroke::new(INK, 1.5).dashed("3 2")),
        What::Levelling => canvas.line((x, y - 5.0), (x, y + 5.0), Stroke::new(BLUE, 1.5)),
    }
}

fn name(what: What) -> &'static str {
    match what {
        What::Killed => "machine killed",
        What::Returned => "started again",
        What::Joined => "joined",
        What::Draining => "asked to leave",
        What::Left => "left",
        What::Paused => "stands still",
        What::Suspected => "taken for dead",
        What::Cut => "network cut",
        What::Submitted => "batch taken",
        What::Cancelled => "batch cancelled",
        What::Healed => "faults end",
        What::Levelling => "levelling begins",
    }
}

/// The marks worth a sign: not the machines that there were at the beginning, nor the end of faults that never were.
pub(super) fn worth<'a>(film: &'a Film) -> impl Iterator<Item = &'a Mark> + 'a {
    let faulty = film.options.phases.faults.0.0 > 0;
    film.marks.iter().filter(move |mark| mark.what != What::Healed || faulty)
}

/// Draws signs beside each other on one line, as far as they can be told apart and there is room.
pub(super) fn draw_line<'a>(canvas: &mut Canvas, time: &TimeAxis, y: f64, marks: impl Iterator<Item = &'a Mark>) {
    let mut last: std::collections::BTreeMap<What, f64> = Default::default();
    let mut free = f64::NEG_INFINITY;
    for mark in marks {
        let x = time.place(mark.at);
        if last.get(&mark.what).is_none_or(|before| x - before >= NEAR) {
            last.insert(mark.what, x);
            let aside = if free - x <= ASIDE { x.max(free) } else { x };
            free = free.max(aside + WIDE);
            sign(canvas, (aside, y), mark.what);
        }
    }
}

/// Draws what concerns everything that comes after it, as a line through the field.
pub(super) fn draw_through(canvas: &mut Canvas, what: What, x: f64, (top, bottom): (f64, f64)) {
    match what {
        What::Healed => canvas.line((x, top), (x, bottom), Stroke::new(INK, 1.2).dashed("4 3")),
        What::Levelling => canvas.line((x, top), (x, bottom), Stroke::new(BLUE, 1.2)),
        _ => {}
    }
}

/// When a machine was not there: before it joined, while it was down, once it had left.
pub(super) fn away(film: &Film, machine: MachineId) -> Vec<(Micros, Micros)> {
    let mut away = Vec::new();
    let mut since = (machine.0 >= film.options.cluster.nodes).then_some(Micros::ZERO);
    for mark in film.marks.iter().filter(|mark| mark.machine == Some(machine)) {
        match mark.what {
            What::Killed | What::Left => since = since.or(Some(mark.at)),
            What::Joined | What::Returned => away.extend(since.take().map(|since| (since, mark.at))),
            _ => {}
        }
    }
    away.extend(since.map(|since| (since, film.end)));
    away
}

/// Draws the line above a field, and the cuts and the end of the faults through the field.
pub(super) fn draw_above(canvas: &mut Canvas, time: &TimeAxis, (top, bottom): (f64, f64), film: &Film) {
    canvas.group("events", &[], |canvas| {
        for mark in worth(film) {
            let (from, to) = (time.place(mark.at), time.place(mark.until));
            match mark.what {
                What::Cut => canvas.rectangle((from, top - LINE + 4.0), ((to - from).max(1.0), 8.0), DOTTED),
                what => draw_through(canvas, what, from, (top - LINE + 2.0, bottom)),
            }
        }
        let marks = worth(film).filter(|mark| !matches!(mark.what, What::Healed | What::Levelling | What::Cut));
        draw_line(canvas, time, top - LINE / 2.0, marks);
    });
}

/// Explains the signs that occur, from left to right. Returns where the next line would be.
pub(super) fn explain(canvas: &mut Canvas, (left, y): (f64, f64), film: &Film) -> f64 {
    let mut kinds: Vec<What> = worth(film).map(|mark| mark.what).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (mut x, mut y) = (left, y);
    for what in kinds {
        let wide = 26.0 + 6.6 * name(what).len() as f64;
        if x + wide > canvas.width - 10.0 {
            (x, y) = (left, y + 18.0);
        }
        match what {
            What::Cut => canvas.rectangle((x - 6.0, y - 4.0), (12.0, 8.0), DOTTED),
            What::Paused => canvas.rectangle((x - 6.0, y - 4.0), (12.0, 8.0), STRIPED),
            _ => {}
        }
        if what != What::Cut {
            sign(canvas, (x, y), what);
        }
        canvas.words(x + 10.0, y + 4.0, name(what), Anchor::Start, "small");
        x += wide;
    }
    y + 18.0
}
