//! Pending documents of each machine over time.

use super::axis::{Axis, TimeAxis};
use super::canvas::{Anchor, BLUE, Canvas, DASHES, INK, RED, SERIES, Stroke};
use super::{Heading, events, last_sight};
use crate::record::{Film, Sample};
use crate::world::MachineId;

/// Pale lines that can be seen through each other; of more machines only some are drawn.
const PALE: usize = 100;

const FIELD: (f64, f64, f64, f64) = (80.0, 850.0, 90.0, 440.0);

pub(super) fn draw(heading: Heading<'_>, film: &Film) -> String {
    let mut canvas = Canvas::new(1_000.0, 550.0);
    heading.write(&mut canvas, "pending documents of each machine", film);
    let (left, right, top, bottom) = FIELD;
    let samples = &film.curves.samples;
    let time = TimeAxis::up_to(last_sight(film), (left, right));
    let most = samples.iter().flat_map(|sample| &sample.pending).max().copied().unwrap_or(0);
    let counts = Axis::up_to(most as f64, (bottom, top));
    time.draw(&mut canvas, (top, bottom), true);
    counts.draw_upwards(&mut canvas, (left, right), "pending documents", "");
    let end = last_sight(film);
    let machines = samples.last().map_or(0, |sample| sample.pending.len());
    let few = machines <= SERIES.len();
    let every = if few { 1 } else { machines.div_ceil(PALE) };
    let away: Vec<_> = (0..machines).map(|machine| events::away(film, MachineId(machine))).collect();
    let is_there =
        |machine: usize, sample: &Sample| !away[machine].iter().any(|(from, to)| (*from..*to).contains(&sample.at));
    let mut entries: Vec<(String, Stroke<'_>)> = Vec::new();
    for machine in (0..machines).step_by(every) {
        let stroke = if few {
            Stroke::new(SERIES[machine], 2.0).dashed(DASHES[machine])
        } else {
            Stroke::new("#7f9fb5", 0.8).opacity(0.45)
        };
        let there = |sample: &&Sample| is_there(machine, sample);
        let seen = samples.iter().filter(|sample| sample.at <= end);
        let seen: Vec<&Sample> = seen.filter(|sample| machine < sample.pending.len()).collect();
        canvas.group("series", &[("machine", machine.to_string())], |canvas| {
            for part in seen.chunk_by(|a, b| there(a) == there(b)).filter(|part| there(&part[0])) {
                let point = |sample: &&Sample| (time.place(sample.at), counts.place(sample.pending[machine] as f64));
                canvas.curve(&part.iter().map(point).collect::<Vec<_>>(), stroke);
            }
        });
        if few {
            entries.push((format!("machine {machine}"), stroke));
        }
    }
    if !few {
        let line = |count: &dyn Fn(&[u64]) -> f64| -> Vec<(f64, f64)> {
            let seen = samples.iter().filter(|sample| sample.at <= end);
            let point = |sample: &Sample| {
                let there = sample.pending.iter().enumerate().filter(|(machine, _)| is_there(*machine, sample));
                let there: Vec<u64> = there.map(|(_, count)| *count).collect();
                (time.place(sample.at), counts.place(count(&there)))
            };
            seen.map(point).collect()
        };
        let mean = |pending: &[u64]| pending.iter().sum::<u64>() as f64 / pending.len().max(1) as f64;
        let most = |pending: &[u64]| pending.iter().max().map_or(0.0, |most| *most as f64);
        let least = |pending: &[u64]| pending.iter().min().map_or(0.0, |least| *least as f64);
        let thick = [
            ("most", line(&most), Stroke::new(RED, 1.8).dashed(DASHES[1])),
            ("mean", line(&mean), Stroke::new(INK, 2.0)),
            ("least", line(&least), Stroke::new(BLUE, 1.8).dashed(DASHES[2])),
        ];
        for (name, points, stroke) in thick {
            canvas.group("summary", &[("of", name.to_owned())], |canvas| canvas.curve(&points, stroke));
            entries.push((name.to_owned(), stroke));
        }
        entries.push(("each machine".to_owned(), Stroke::new("#7f9fb5", 1.2)));
    }
    for (row, (name, stroke)) in entries.iter().enumerate() {
        let y = top + 8.0 + 20.0 * row as f64;
        canvas.line((right + 14.0, y), (right + 46.0, y), *stroke);
        canvas.text(right + 52.0, y + 4.0, name, Anchor::Start);
    }
    events::draw_above(&mut canvas, &time, (top, bottom), film);
    events::explain(&mut canvas, (left, bottom + 58.0), film);
    if every > 1 {
        canvas.note(&format!(
            "Of {machines} machines one in {every} is drawn; most, mean and least are of all that were there."
        ));
    } else if !few {
        canvas.note(&format!("{machines} machines, each as long as it was there; most, mean and least are of those."));
    }
    canvas.into_svg()
}
