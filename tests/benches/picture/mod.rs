//! Lines over minutes, as SVG: panels below each other, a line for each node.

use std::fmt::Write;

/// Some figures over time.
pub(crate) struct Panel {
    /// What they are.
    pub(crate) title: &'static str,
    /// Minute and value, for each line.
    pub(crate) lines: Vec<Vec<(f64, f64)>>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 48.0;
const GAP: f64 = 44.0;
const COLOURS: [&str; 4] = ["#1f6f8b", "#c8553d", "#5b8c3a", "#7a4fa3"];

/// Draws panels that all last so many minutes.
pub(crate) fn draw(minutes: f64, panels: &[Panel]) -> String {
    let height = panels.len() as f64 * (HEIGHT + GAP) + 8.0;
    let (width, middle) = (LEFT + WIDTH + 16.0, LEFT + WIDTH / 2.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        let top = place as f64 * (HEIGHT + GAP) + 24.0;
        let bottom = top + HEIGHT;
        let most = panel.lines.iter().flatten().map(|(_, value)| *value).fold(1.0, f64::max) * 1.05;
        let at = |minute: f64, value: f64| (LEFT + minute / minutes * WIDTH, bottom - value / most * HEIGHT);
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{}</text>", top - 8.0, panel.title);
        let _ = writeln!(out, "<path d=\"M{LEFT} {top}V{bottom}H{}\" fill=\"none\" stroke=\"#888888\"/>", LEFT + WIDTH);
        for (value, y) in [(most, top), (most / 2.0, (top + bottom) / 2.0), (0.0, bottom)] {
            let _ = writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value:.0}</text>", LEFT - 6.0, y + 4.0);
        }
        let _ = writeln!(
            out,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{minutes:.0} minutes</text>",
            bottom + 14.0
        );
        for (line, points) in panel.lines.iter().enumerate() {
            let points: Vec<String> = points
                .iter()
                .map(|(minute, value)| {
                    let (x, y) = at(*minute, *value);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            let colour = COLOURS[line % COLOURS.len()];
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>",
                points.join(" ")
            );
        }
    }
    out.push_str("</svg>\n");
    out
}
