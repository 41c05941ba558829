//! Pending documents of each machine at moments worth looking at, as bars beside each other.

use evenkeel_core::settings::Metric;
use evenkeel_core::units::Micros;

use super::Heading;
use super::axis::{Axis, figure, moment};
use super::canvas::{Anchor, Canvas, INK, Stroke};
use crate::record::{Film, Passage, Seen};

/// Panels in one row of the picture.
const ROW: usize = 3;

/// Machines of which each bar has its number written at it.
const NUMBERED: usize = 12;

/// Letters in a line above a panel.
const LETTERS: usize = 40;

const PANEL: (f64, f64) = (320.0, 310.0);

struct Panel {
    at: Micros,
    what: String,
    pending: Vec<u64>,
    up: Vec<bool>,
}

/// The moments that a scenario expects, if it does; otherwise those that are worth looking at in any world.
fn panels(film: &Film, passage: Option<&Passage>) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (place, seen) in passage.iter().flat_map(|passage| passage.seen.iter().enumerate()) {
        if let (Seen::Met(state), Some(what)) = (seen, passage.and_then(|passage| passage.names.get(place))) {
            let up = vec![true; state.pending.len()];
            panels.push(Panel { at: state.at, what: what.clone(), pending: state.pending.clone(), up });
        }
    }
    if panels.is_empty() {
        let moments = film.moments.iter();
        panels.extend(moments.map(|moment| Panel {
            at: moment.at,
            what: moment.what.clone(),
            pending: moment.pending.clone(),
            up: moment.up.clone(),
        }));
    }
    panels.sort_by_key(|panel| panel.at);
    panels
}

pub(super) fn draw(heading: Heading<'_>, film: &Film, passage: Option<&Passage>) -> String {
    let panels = panels(film, passage);
    let rows = panels.len().div_ceil(ROW).max(1);
    let mut canvas = Canvas::new(1_000.0, 70.0 + PANEL.1 * rows as f64 + 30.0);
    heading.write(&mut canvas, "pending documents at chosen moments", film);
    if panels.is_empty() {
        canvas.text(500.0, 200.0, "Nothing was ever pending.", Anchor::Middle);
    }
    let most = panels.iter().flat_map(|panel| &panel.pending).max().copied().unwrap_or(0);
    for (place, panel) in panels.iter().enumerate() {
        let corner = (16.0 + PANEL.0 * (place % ROW) as f64, 70.0 + PANEL.1 * (place / ROW) as f64);
        let data = [("at", panel.at.to_string())];
        let first = place % ROW == 0;
        canvas.group("panel", &data, |canvas| draw_panel(canvas, corner, panel, most, first));
    }
    let mut note = "Dashed: the mean of the machines that are there. All panels have the same scale.".to_owned();
    if panels.iter().any(|panel| panel.up.contains(&false)) {
        note += " ×: not there.";
    }
    if film.options.cluster.metric == Metric::Length {
        note += " It is lengths that are levelled, not counts.";
    }
    canvas.note(&note);
    canvas.into_svg()
}

fn draw_panel(canvas: &mut Canvas, (x, y): (f64, f64), panel: &Panel, most: u64, first: bool) {
    let (left, right, top, bottom) = (x + 62.0, x + PANEL.0 - 12.0, y + 60.0, y + PANEL.1 - 48.0);
    let title: String = match panel.what.char_indices().nth(LETTERS) {
        Some((cut, _)) => format!("{}…", &panel.what[..cut]),
        None => panel.what.clone(),
    };
    canvas.text(left, y + 14.0, &title, Anchor::Start);
    canvas.words(left, y + 30.0, &format!("at {}", moment(panel.at)), Anchor::Start, "small faint");
    let counts = Axis::up_to(most as f64, (bottom, top));
    counts.draw_upwards(canvas, (left, right), if first { "pending documents" } else { "" }, "");
    let machines = panel.pending.len().max(1);
    let wide = (right - left) / machines as f64;
    let gap = if machines <= NUMBERED { wide * 0.2 } else { wide * 0.1 };
    for (machine, count) in panel.pending.iter().enumerate() {
        let x = left + wide * machine as f64;
        let y = counts.place(*count as f64);
        let data = [("machine", machine.to_string()), ("count", count.to_string())];
        canvas.group("bar", &data, |canvas| {
            canvas.rectangle((x + gap, y), (wide - 2.0 * gap, bottom - y), "#5b9bc8");
        });
    }
    let there = panel.up.iter().filter(|up| **up).count().max(1);
    let mean = counts.place(panel.pending.iter().sum::<u64>() as f64 / there as f64);
    canvas.line((left, mean), (right, mean), Stroke::new(INK, 1.0).dashed("5 3"));
    // Above the dashes, so that they do not strike numbers out.
    for (machine, count) in panel.pending.iter().enumerate().filter(|_| machines <= NUMBERED) {
        let x = left + wide * (machine as f64 + 0.5);
        let y = counts.place(*count as f64) - 5.0;
        let y = if (y - 11.0..=y + 3.0).contains(&mean) { mean - 4.0 } else { y };
        let there = panel.up.get(machine).copied().unwrap_or(true);
        let number = if there { figure(*count as f64) } else { "×".to_owned() };
        canvas.words(x, y, &number, Anchor::Middle, "halo");
    }
    let every = machines.div_ceil(NUMBERED);
    for machine in (0..panel.pending.len()).step_by(every) {
        let x = left + wide * (machine as f64 + 0.5);
        canvas.words(x, bottom + 15.0, &machine.to_string(), Anchor::Middle, "small");
    }
    canvas.line((left, bottom), (right, bottom), Stroke::new(INK, 1.0));
    canvas.words((left + right) / 2.0, bottom + 31.0, "machine", Anchor::Middle, "small");
}
