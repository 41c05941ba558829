//! Texts as a row has room for them: cut, padded, wrapped, and numbers in few letters.

use std::time::Duration;

use indicatif::HumanCount;
use ratatui::text::Span;

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// No more of a text than so many columns; that it was cut is marked.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let wide = width(letter.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > columns {
            break;
        }
        kept.push(letter);
        used += wide;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text of exactly so many columns, to the left or to the right.
pub(super) fn fit(text: &str, columns: usize, right: bool) -> String {
    let text = cut(text, columns);
    let space = " ".repeat(columns.saturating_sub(width(&text)));
    if right { space + &text } else { text + &space }
}

/// A text in lines of at most so many columns, broken between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        loop {
            let line = lines.last_mut().expect("there is a first line");
            let gap = usize::from(!line.is_empty());
            if width(line) + gap + width(&word) <= columns {
                if gap > 0 {
                    line.push(' ');
                }
                line.push_str(&word);
                break;
            }
            if !line.is_empty() {
                lines.push(String::new());
                continue;
            }
            // A word that is longer than a line is broken anywhere.
            let mut used = 0;
            let end = word.char_indices().find(|(_, letter)| {
                used += width(letter.encode_utf8(&mut [0; 4]));
                used > columns
            });
            let end = end.map_or(word.len(), |(place, letter)| if place == 0 { letter.len_utf8() } else { place });
            let rest = word.split_off(end);
            line.push_str(&word);
            if rest.is_empty() {
                break;
            }
            lines.push(String::new());
            word = rest;
        }
    }
    lines
}

/// A number with its thousands set apart.
pub(super) fn count(number: impl Into<u64>) -> String {
    HumanCount(number.into()).to_string()
}

/// A number in at most six letters: large ones are rounded down.
pub(super) fn short(number: u32) -> String {
    match number {
        0..100_000 => HumanCount(u64::from(number)).to_string(),
        100_000..1_000_000 => format!("{}k", number / 1_000),
        1_000_000..100_000_000 => format!("{}.{}M", number / 1_000_000, number / 100_000 % 10),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// How many a second.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 10_000.0 => format!("{:.0}k/s", rate / 1_000.0),
        rate if rate >= 1_000.0 => format!("{:.0}/s", rate),
        rate if rate >= 100.0 => format!("{rate:.0}/s"),
        rate if rate >= 0.1 || rate == 0.0 => format!("{rate:.1}/s"),
        rate => format!("{:.1}/h", rate * 3_600.0),
    }
}

/// A time in its two largest units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400..31_536_000 => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
        _ => "years".to_owned(),
    }
}

/// What part of a bar is filled, in eighths of a column. A little is always seen.
pub(super) fn bar(part: f64, columns: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let mut eighths = (part * columns as f64 * 8.0).round() as usize;
    if part > 0.0 {
        eighths = eighths.max(1);
    }
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    fit(&bar, columns, false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_by_columns_and_not_by_letters() {
        assert_eq!((cut("node", 4), cut("node1", 4), cut("node1", 0)), ("node".into(), "nod…".into(), String::new()));
        assert_eq!(fit("日本語", 5, false), "日本…");
        assert_eq!(fit("日本語", 4, true), " 日…");
        assert_eq!((fit("7", 3, true), fit("7", 3, false)), ("  7".into(), "7  ".into()));
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(wrap("no node answers", 8), ["no node", "answers"]);
        assert_eq!(wrap("a 0123456789 b", 4), ["a", "0123", "4567", "89 b"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn numbers_are_short() {
        let rates = [0.0, 0.01, 1.25, 123.4, 12_345.6].map(rate);
        assert_eq!(rates, ["0.0/s", "36.0/h", "1.2/s", "123/s", "12k/s"]);
        assert_eq!([0, 99_999, 123_456, 1_950_000, 4_000_000_000].map(short), ["0", "99,999", "123k", "1.9M", "4000M"]);
        let times = [0, 59, 61, 3_661, 90_000, u64::MAX].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(times, ["0s", "59s", "1m01s", "1h01m", "1d01h", "years"]);
        assert_eq!(
            [bar(0.0, 3), bar(0.001, 3), bar(0.5, 3), bar(1.0, 3), bar(f64::NAN, 1)],
            ["   ", "▏  ", "█▌ ", "███", " "]
        );
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_room_is_kept(text in "\\PC{0,30}", columns in 0usize..20) {
            prop_assert_eq!(width(&fit(&text, columns, true)), columns);
            prop_assert!(wrap(&text, columns.max(2)).iter().all(|line| width(line) <= columns.max(2)));
        }
    }
}
