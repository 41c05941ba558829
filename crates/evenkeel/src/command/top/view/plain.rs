//! What a terminal cannot show, or its owner does not want: letters beyond ASCII, and colours. Everything is drawn with
//! both; here they are taken away again.

use ratatui::buffer::Buffer;
use ratatui::style::Color;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command::top) struct Look {
    /// Its owner wants colours.
    pub(in crate::command::top) colour: bool,
    /// It shows UTF-8.
    pub(in crate::command::top) utf8: bool,
}

impl Look {
    /// What the environment tells: `NO_COLOR`, and the locale.
    pub(in crate::command::top) fn of_environment() -> Look {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
        // The first that is set decides, as for every program.
        let locale = locale.into_iter().find(|value| !value.is_empty());
        let utf8 = locale.is_some_and(|locale| is_utf8(&locale.to_string_lossy()));
        Look { colour: crate::output::table::colour_is_welcome(), utf8 }
    }
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Takes from the whole buffer what may not be shown.
pub(super) fn limit(buffer: &mut Buffer, look: Look) {
    for cell in &mut buffer.content {
        if !look.colour {
            cell.set_fg(Color::Reset).set_bg(Color::Reset);
        }
        if !look.utf8 && !cell.symbol().is_ascii() {
            let ascii = match cell.symbol() {
                "█" | "▉" | "▊" | "▋" | "▌" => "#",
                "▍" | "▎" | "▏" | "·" => ".",
                "│" => "|",
                "┼" => "+",
                "─" => "-",
                "▲" => "^",
                "▼" => "v",
                "…" => "~",
                _ => "?",
            };
            cell.set_symbol(ascii);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_whether_letters_beyond_ascii_can_be_shown() {
        for (locale, utf8) in
            [("en_US.UTF-8", true), ("C.utf8", true), ("C", false), ("POSIX", false), ("de_DE.ISO-8859-1", false)]
        {
            assert_eq!(is_utf8(locale), utf8, "{locale}");
        }
    }
}
