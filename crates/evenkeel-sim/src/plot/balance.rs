//! The potential and the regret over time: how uneven the cluster is, and what a document could gain by moving.

use evenkeel_core::balance::EPSILON;
use evenkeel_core::settings::Metric;

use super::axis::{Axis, TimeAxis};
use super::canvas::{Anchor, BLUE, Canvas, FAINT, RED, Stroke};
use super::{Heading, events, last_sight};
use crate::record::{Film, Sample};

const LEFT: f64 = 84.0;
const RIGHT: f64 = 810.0;
const UPPER: (f64, f64) = (90.0, 280.0);
const LOWER: (f64, f64) = (310.0, 500.0);

pub(super) fn draw(heading: Heading<'_>, film: &Film) -> String {
    let mut canvas = Canvas::new(1_000.0, 610.0);
    heading.write(&mut canvas, "potential and regret", film);
    // Lengths are milliseconds: levels are written in seconds, and the potential in their squares.
    let (unit, second, level) = match film.options.cluster.metric {
        Metric::Length => (1_000.0, "s²", "s"),
        Metric::Count => (1.0, "documents² a slot", "documents a slot"),
    };
    let end = last_sight(film);
    let samples: Vec<&Sample> = film.curves.samples.iter().filter(|sample| sample.at <= end).collect();
    let time = TimeAxis::up_to(end, (LEFT, RIGHT));
    let points = |of: &dyn Fn(&Sample) -> f64, axis: Axis| -> Vec<(f64, f64)> {
        samples.iter().map(|sample| (time.place(sample.at), axis.place(of(sample)))).collect()
    };
    let most = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(|sample| of(sample)).fold(0.0, f64::max);

    let psi = |sample: &Sample| sample.psi / (unit * unit);
    let axis = Axis::up_to(most(&psi), (UPPER.1, UPPER.0));
    time.draw(&mut canvas, UPPER, false);
    axis.draw_upwards(&mut canvas, (LEFT, RIGHT), "potential Ψ", second);
    canvas.group("series", &[("of", "psi".to_owned())], |canvas| {
        canvas.curve(&points(&psi, axis), Stroke::new(BLUE, 2.0));
    });
    canvas.text(RIGHT + 14.0, UPPER.0 + 10.0, "Ψ = Σ (W² + Σ l²) / 2c", Anchor::Start);
    for (row, words) in ["over the machines:", "W work, l lengths,", "c slots × speed"].into_iter().enumerate() {
        canvas.words(RIGHT + 14.0, UPPER.0 + 28.0 + 15.0 * row as f64, words, Anchor::Start, "small faint");
    }

    let regret = |sample: &Sample| sample.regret / unit;
    let enough = |sample: &Sample| EPSILON * sample.mean_level / unit;
    let axis = Axis::up_to(most(&regret).max(most(&enough)), (LOWER.1, LOWER.0));
    time.draw(&mut canvas, LOWER, true);
    axis.draw_upwards(&mut canvas, (LEFT, RIGHT), "regret", level);
    canvas.group("series", &[("of", "regret".to_owned())], |canvas| {
        canvas.curve(&points(&regret, axis), Stroke::new(RED, 1.6));
    });
    let threshold = Stroke::new(FAINT, 1.5).dashed("6 3");
    canvas.group("series", &[("of", "epsilon".to_owned())], |canvas| canvas.curve(&points(&enough, axis), threshold));
    let legend = [
        (Stroke::new(RED, 1.6), "regret", "the largest gain by a move"),
        (threshold, "5 % of the mean level", "below it: in equilibrium"),
    ];
    for (row, (stroke, name, words)) in legend.into_iter().enumerate() {
        let y = LOWER.0 + 8.0 + 38.0 * row as f64;
        canvas.line((RIGHT + 14.0, y), (RIGHT + 38.0, y), stroke);
        canvas.words(RIGHT + 44.0, y + 4.0, name, Anchor::Start, "small");
        canvas.words(RIGHT + 14.0, y + 19.0, words, Anchor::Start, "small faint");
    }
    events::draw_above(&mut canvas, &time, UPPER, film);
    events::explain(&mut canvas, (LEFT, LOWER.1 + 58.0), film);
    canvas.note(
        "Of what machines own that are up, by their own states and true speeds. It rises when work is submitted or taken over; \
         what two machines own counts twice.",
    );
    canvas.into_svg()
}
