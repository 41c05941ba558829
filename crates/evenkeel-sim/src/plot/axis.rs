//! Axes: which numbers stand at them, how numbers are written, and where they lie on the page.

use evenkeel_core::units::Micros;

use super::canvas::{Anchor, Canvas, GRID, INK, Stroke};

/// From 0 to somewhere, on the page from one place to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// The largest number.
    pub(super) end: f64,
    /// Where 0 lies, and where the largest number.
    pub(super) on_page: (f64, f64),
}

impl Axis {
    /// An axis that ends at a number worth writing, which is at least this.
    pub(super) fn up_to(most: f64, on_page: (f64, f64)) -> Axis {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let step = step(most, 5.0);
        Axis { end: (most / step - 1e-9).ceil() * step, on_page }
    }

    /// Where a number lies.
    pub(super) fn place(&self, number: f64) -> f64 {
        let (zero, end) = self.on_page;
        zero + (end - zero) * (number / self.end).clamp(0.0, 1.0)
    }

    fn ticks(&self, about: f64) -> impl Iterator<Item = f64> + use<> {
        let step = step(self.end, about);
        let count = (self.end / step + 1e-9).floor() as u32;
        (0..=count).map(move |tick| f64::from(tick) * step)
    }

    /// Draws it upwards at the left of a field, with lines across the field: what it measures, and in which unit.
    pub(super) fn draw_upwards(&self, canvas: &mut Canvas, (left, right): (f64, f64), what: &str, unit: &str) {
        let (times, large) = match self.end {
            end if end >= 1e12 => (1e12, "10¹²"),
            end if end >= 1e9 => (1e9, "10⁹"),
            end if end >= 1e6 => (1e6, "million"),
            end if end >= 1e5 => (1e3, "thousand"),
            _ => (1.0, ""),
        };
        for tick in self.ticks(5.0) {
            let y = self.place(tick);
            canvas.line((left, y), (right, y), Stroke::new(GRID, 1.0));
            canvas.text(left - 6.0, y + 4.0, &figure(tick / times), Anchor::End);
        }
        canvas.line((left, self.on_page.0), (left, self.on_page.1), Stroke::new(INK, 1.0));
        let unit = format!("{large} {unit}");
        let unit = unit.trim();
        let words = if unit.is_empty() { what.to_owned() } else { format!("{what} ({unit})") };
        if !what.is_empty() {
            canvas.upright(left - 56.0, (self.on_page.0 + self.on_page.1) / 2.0, &words);
        }
    }
}

/// The time, from the beginning of the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    axis: Axis,
    /// Seconds in what it is written in.
    unit: (f64, &'static str),
}

impl TimeAxis {
    pub(super) fn up_to(end: Micros, on_page: (f64, f64)) -> TimeAxis {
        let seconds = end.as_secs_f64();
        let unit = if seconds <= 180.0 {
            (1.0, "s")
        } else if seconds <= 3.0 * 3_600.0 {
            (60.0, "min")
        } else {
            (3_600.0, "h")
        };
        TimeAxis { axis: Axis { end: (seconds / unit.0).max(1e-6), on_page }, unit }
    }

    pub(super) fn place(&self, at: Micros) -> f64 {
        self.axis.place(at.as_secs_f64() / self.unit.0)
    }

    /// Draws it below a field, with lines up through the field.
    pub(super) fn draw(&self, canvas: &mut Canvas, (top, bottom): (f64, f64), labels: bool) {
        for tick in self.axis.ticks(10.0) {
            let x = self.axis.place(tick);
            canvas.line((x, top), (x, bottom), Stroke::new(GRID, 1.0));
            if labels {
                canvas.line((x, bottom), (x, bottom + 4.0), Stroke::new(INK, 1.0));
                canvas.text(x, bottom + 17.0, &figure(tick), Anchor::Middle);
            }
        }
        let (left, right) = self.axis.on_page;
        canvas.line((left, bottom), (right, bottom), Stroke::new(INK, 1.0));
        if labels {
            canvas.text(
                (left + right) / 2.0,
                bottom + 36.0,
                &format!("virtual time ({})", self.unit.1),
                Anchor::Middle,
            );
        }
    }
}

/// The distance of ticks, one of 1, 2 and 5 times a power of ten, so that there are about so many.
fn step(end: f64, about: f64) -> f64 {
    let rough = end / about;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= rough * 0.999).unwrap_or(10.0);
    times * power
}

/// A number as people read it: 0.25, 162, 40,000, 2.5 M, and 3e15 where even that is too long.
pub(super) fn figure(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        size if size >= 1e15 => return format!("{number:.1e}"),
        size if size >= 1e12 => (number / 1e12, " T"),
        size if size >= 1e9 => (number / 1e9, " G"),
        size if size >= 1e6 => (number / 1e6, " M"),
        _ => (number, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let written = format!("{scaled:.digits$}");
    let written = if written.contains('.') { written.trim_end_matches('0').trim_end_matches('.') } else { &written };
    let (whole, rest) = written.split_at(written.find('.').unwrap_or(written.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && digit != '-' && (whole.len() - place) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}{rest}{unit}")
}

/// A time as people read it.
pub(super) fn time(time: Micros) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 180.0 => format!("{} s", figure((seconds * 100.0).round() / 100.0)),
        _ if seconds < 3.0 * 3_600.0 => format!("{} min", figure((seconds / 6.0).round() / 10.0)),
        _ => format!("{} h", figure((seconds / 360.0).round() / 10.0)),
    }
}

/// A moment, finer than a length of time: `12 min 0.57 s`.
pub(super) fn moment(at: Micros) -> String {
    let minutes = at.0 / 60_000_000;
    let seconds = Micros(at.0 % 60_000_000).as_secs_f64();
    if minutes == 0 { format!("{seconds:.2} s") } else { format!("{minutes} min {seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let written: Vec<String> =
            [0.0, 0.25, 1.5, 162.0, 999.0, 1_000.0, 40_000.0, 2.5e6, -1_234.0, 3e9, 4e15].map(figure).to_vec();
        assert_eq!(written, ["0", "0.25", "1.5", "162", "999", "1,000", "40,000", "2.5 M", "-1,234", "3 G", "4.0e15"]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number_that_leaves_room() {
        for (most, end) in [(250.0, 250.0), (251.0, 300.0), (0.0, 1.0), (7.3, 8.0), (1e9, 1e9), (f64::NAN, 1.0)] {
            let axis = Axis::up_to(most, (100.0, 0.0));
            assert!((axis.end - end).abs() < 1e-6 * end, "{most} gives {}", axis.end);
            assert_eq!((axis.place(0.0), axis.place(end)), (100.0, 0.0));
        }
    }

    #[test]
    fn times_have_units() {
        let told = [1_500, 90_000, 1_200_000, 20_000_000].map(|millis| time(Micros::from_millis(millis)));
        assert_eq!(told, ["1.5 s", "90 s", "20 min", "5.6 h"]);
        assert_eq!([1_500, 720_574].map(|millis| moment(Micros::from_millis(millis))), ["1.50 s", "12 min 0.57 s"]);
    }
}
