//! A page to draw on, and the style that all pictures share.

use svg::node::element::{Definitions, Group, Line, Path, Pattern, Rectangle, Style, Text, Title};
use svg::{Document, Node};

/// Colours that are told apart by the colour-blind too (Okabe and Ito), darkest for ink first.
pub(super) const INK: &str = "#222222";
pub(super) const FAINT: &str = "#6b6b6b";
pub(super) const GRID: &str = "#e3e3e3";
pub(super) const BLUE: &str = "#0072b2";
pub(super) const RED: &str = "#d55e00";
pub(super) const SERIES: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#56b4e9", "#b58900", "#222222", "#8c6d46"];
/// Dashes that go with them, so that lines differ in print without colours.
pub(super) const DASHES: [&str; 8] = ["", "8 3", "2 3", "10 3 2 3", "5 2", "1 2", "12 3", "6 2 1 2 1 2"];

/// Ids of the patterns.
pub(super) const HATCHED: &str = "url(#hatched)";
pub(super) const STRIPED: &str = "url(#striped)";
pub(super) const DOTTED: &str = "url(#dotted)";

/// No font is needed beyond one without serifs, whichever there is.
const STYLE: &str = "text { font-family: Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; \
    font-size: 12px; fill: #222222 } .heading { font-size: 16px; font-weight: bold } .small { font-size: 11px } \
    .faint { fill: #6b6b6b } .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 3px }";

/// Where text stands, seen from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke<'a> {
    pub(super) colour: &'a str,
    pub(super) width: f64,
    pub(super) dashes: &'a str,
    pub(super) opacity: f64,
}

impl<'a> Stroke<'a> {
    pub(super) fn new(colour: &'a str, width: f64) -> Stroke<'a> {
        Stroke { colour, width, dashes: "", opacity: 1.0 }
    }

    pub(super) fn dashed(self, dashes: &'a str) -> Stroke<'a> {
        Stroke { dashes, ..self }
    }

    pub(super) fn opacity(self, opacity: f64) -> Stroke<'a> {
        Stroke { opacity, ..self }
    }
}

/// A page.
pub(super) struct Canvas {
    document: Document,
    /// The group that is drawn into.
    group: Option<Group>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Text as XML can hold it: there is no way to write the other letters, not even by their numbers.
fn writable(text: &str) -> String {
    text.replace(|letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}'), " ")
}

/// A tenth of a pixel is as fine as it need be.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Canvas {
        let pattern = |id: &str, width: f64, ground: &str, path: &str, ink: &str| {
            let ground = Rectangle::new().set("width", width).set("height", 6).set("fill", ground);
            let lines = Path::new().set("d", path).set("stroke", ink).set("stroke-width", 1.2).set("fill", "none");
            Pattern::new()
                .set("id", id)
                .set("width", width)
                .set("height", 6)
                .set("patternUnits", "userSpaceOnUse")
                .add(ground)
                .add(lines)
        };
        let patterns = Definitions::new()
            .add(pattern("hatched", 6.0, "#e9e9e9", "M-1 1 l2 -2 M0 6 l6 -6 M5 7 l2 -2", "#8a8a8a"))
            .add(pattern("striped", 4.0, "#fff3c4", "M1 0 v6", "#a07800"))
            .add(pattern("dotted", 6.0, "#f6d5c8", "M0 0 l6 6 M-1 5 l2 2 M5 -1 l2 2", "#b03a00"));
        let ground = Rectangle::new().set("width", width).set("height", height).set("fill", "#ffffff");
        let document = Document::new()
            .set("width", width)
            .set("height", height)
            .set("viewBox", (0.0, 0.0, width, height))
            .add(Style::new(STYLE))
            .add(patterns)
            .add(ground);
        Canvas { document, group: None, width, height }
    }

    fn add(&mut self, node: impl Into<Box<dyn Node>>) {
        match &mut self.group {
            Some(group) => group.append(node),
            None => self.document.append(node),
        }
    }

    /// Draws what belongs together, so that it can be found again.
    pub(super) fn group(&mut self, class: &str, data: &[(&str, String)], draw: impl FnOnce(&mut Canvas)) {
        let mut group = Group::new().set("class", class);
        for (name, value) in data {
            group = group.set(format!("data-{name}"), value.as_str());
        }
        let outer = self.group.replace(group);
        draw(self);
        let done = std::mem::replace(&mut self.group, outer).expect("it was put there above");
        self.add(done);
    }

    pub(super) fn heading(&mut self, heading: &str, below: &str) {
        self.document.append(Title::new(writable(heading)));
        self.words(16.0, 26.0, heading, Anchor::Start, "heading");
        self.words(16.0, 45.0, below, Anchor::Start, "faint");
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, anchor: Anchor) {
        self.words(x, y, text, anchor, "plain");
    }

    /// Text of a class of the style.
    pub(super) fn words(&mut self, x: f64, y: f64, text: &str, anchor: Anchor, class: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = Text::new(writable(text)).set("x", round(x)).set("y", round(y)).set("text-anchor", anchor);
        self.add(if class == "plain" { text } else { text.set("class", class) });
    }

    /// Text that runs upwards along an axis.
    pub(super) fn upright(&mut self, x: f64, y: f64, text: &str) {
        let turn = format!("rotate(-90 {} {})", round(x), round(y));
        let text = Text::new(text).set("x", round(x)).set("y", round(y));
        self.add(text.set("text-anchor", "middle").set("transform", turn));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        let line = Line::new().set("x1", round(from.0)).set("y1", round(from.1));
        let line = line.set("x2", round(to.0)).set("y2", round(to.1));
        let line = line.set("stroke", stroke.colour).set("stroke-width", stroke.width);
        let line = if stroke.dashes.is_empty() { line } else { line.set("stroke-dasharray", stroke.dashes) };
        self.add(if stroke.opacity < 1.0 { line.set("stroke-opacity", stroke.opacity) } else { line });
    }

    /// A line through points; those that lie on the way between their neighbours at one height are left out.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        let mut path = String::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let level = |other: Option<&(f64, f64)>| other.is_some_and(|(_, height)| round(*height) == round(*y));
            let between = place > 0 && level(points.get(place - 1)) && level(points.get(place + 1));
            if !between {
                path.push_str(&format!("{}{} {}", if path.is_empty() { "M" } else { "L" }, round(*x), round(*y)));
            }
        }
        let path = Path::new().set("d", path).set("fill", "none").set("stroke-linejoin", "round");
        let path = path.set("stroke", stroke.colour).set("stroke-width", stroke.width);
        let path = if stroke.dashes.is_empty() { path } else { path.set("stroke-dasharray", stroke.dashes) };
        self.add(if stroke.opacity < 1.0 { path.set("stroke-opacity", stroke.opacity) } else { path });
    }

    pub(super) fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let rectangle = Rectangle::new().set("x", round(x)).set("y", round(y));
        let rectangle = rectangle.set("width", round(width).max(0.1)).set("height", round(height).max(0.1));
        self.add(rectangle.set("fill", fill));
    }

    /// A shape around a place: the path begins there.
    pub(super) fn shape(&mut self, (x, y): (f64, f64), path: &str, fill: &str, ink: &str) {
        let path = Path::new().set("d", format!("M{} {}{path}", round(x), round(y)));
        self.add(path.set("fill", fill).set("stroke", ink).set("stroke-width", 1.5));
    }

    /// What was left out, below everything.
    pub(super) fn note(&mut self, note: &str) {
        let y = self.height - 10.0;
        self.words(16.0, y, note, Anchor::Start, "small faint");
    }

    pub(super) fn into_svg(self) -> String {
        self.document.to_string()
    }
}
