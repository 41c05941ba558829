//! The text format of Prometheus (0.0.4), written by hand: a dozen lines of grammar, and every family is then a line of our
//! own words. Knows nothing of what is told.

use std::fmt::{Display, Write};

use super::Histogram;

/// What is told, as it grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// The whole.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a string takes everything");
    }

    /// Declares a family, before its samples.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    /// A counter with one label, and its value for each of the label's.
    pub(super) fn counters<'a, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.family(name, "counter", help);
        for (text, value) in values {
            self.sample(name, &[(label, text)], value);
        }
    }

    /// A histogram without labels.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in histogram.buckets() {
            below += count;
            self.sample(&bucket, &[("le", &bound.to_string())], below);
        }
        self.sample(&bucket, &[("le", "+Inf")], histogram.count());
        self.sample(&format!("{name}_sum"), &[], histogram.sum_seconds());
        self.sample(&format!("{name}_count"), &[], histogram.count());
    }

    /// One sample of the family that was declared last.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.line(format_args!("{}{label}=\"", if place == 0 { '{' } else { ',' }));
            for letter in text.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    _ => self.0.push(letter),
                }
            }
            self.0.push('"');
        }
        self.line(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }
}
