//! A list on the screen: a line of headings, and rows, of which one may be chosen. Columns that there is no room for are
//! left out, the least important first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::text;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: usize,
    /// Numbers stand to the right.
    pub(super) right: bool,
    /// Columns with higher numbers are left out first.
    pub(super) rank: u8,
    /// It takes the room that is left, if that is at least its width.
    pub(super) grows: bool,
    /// Its heading has the mark of what is sorted by.
    pub(super) sorted: Option<Order>,
}

/// The order of a sorted column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
}

impl Column {
    pub(super) const fn text(heading: &'static str, width: usize, rank: u8) -> Column {
        Column { heading, width, right: false, rank, grows: false, sorted: None }
    }

    pub(super) const fn number(heading: &'static str, width: usize, rank: u8) -> Column {
        Column { heading, width, right: true, rank, grows: false, sorted: None }
    }

    pub(super) const fn growing(heading: &'static str, width: usize, rank: u8) -> Column {
        Column { heading, width, right: false, rank, grows: true, sorted: None }
    }

    pub(super) fn sorted(mut self, sorted: bool, order: Order) -> Column {
        self.sorted = sorted.then_some(order);
        self
    }
}

/// A cell of a row: made once its width is known.
pub(super) struct Cell<'a> {
    make: Box<dyn Fn(usize) -> String + 'a>,
    pub(super) style: Style,
}

impl<'a> Cell<'a> {
    pub(super) fn new(text: impl Into<String>) -> Cell<'a> {
        let text = text.into();
        Cell { make: Box::new(move |_| text.clone()), style: Style::new() }
    }

    pub(super) fn of_width(make: impl Fn(usize) -> String + 'a) -> Cell<'a> {
        Cell { make: Box::new(make), style: Style::new() }
    }

    pub(super) fn style(mut self, style: Style) -> Cell<'a> {
        self.style = style;
        self
    }
}

/// A list.
pub(super) struct Table<'a> {
    pub(super) columns: Vec<Column>,
    /// In place of the first heading.
    pub(super) title: String,
    /// Keys go to this list.
    pub(super) focused: bool,
    pub(super) chosen: usize,
    pub(super) rows: Vec<Vec<Cell<'a>>>,
    /// In place of rows, if there are none.
    pub(super) empty: &'a str,
}

/// Which columns there is room for, and how wide they are.
fn layout(columns: &[Column], width: usize) -> Vec<(usize, usize)> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    // A column before each is for the mark of the chosen row, or a space.
    let taken = |kept: &[usize]| kept.iter().map(|place| columns[*place].width + 1).sum::<usize>();
    while kept.len() > 1 && taken(&kept) > width {
        let least = kept.iter().copied().max_by_key(|place| columns[*place].rank).expect("there is more than one");
        kept.retain(|place| *place != least);
    }
    let mut left = width.saturating_sub(taken(&kept));
    let widths = kept.iter().map(|place| {
        let column = columns[*place];
        (*place, if column.grows { column.width + std::mem::take(&mut left) } else { column.width })
    });
    widths.collect()
}

impl Table<'_> {
    /// Draws it.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let layout = layout(&self.columns, usize::from(area.width));
        let mut heading = String::new();
        for (place, width) in &layout {
            let column = self.columns[*place];
            let mut words = if *place == 0 { self.title.clone() } else { column.heading.to_owned() };
            match column.sorted {
                Some(Order::Up) => words.push('▲'),
                Some(Order::Down) => words.push('▼'),
                None => {}
            }
            heading.push(' ');
            heading.push_str(&text::fit(&words, *width, column.right));
        }
        let style = Style::new().add_modifier(Modifier::BOLD);
        let style = if self.focused {
            style.add_modifier(Modifier::REVERSED)
        } else {
            style.add_modifier(Modifier::UNDERLINED)
        };
        let width = usize::from(area.width);
        buffer.set_string(area.x, area.y, text::fit(&heading, width, false), style);
        if self.rows.is_empty() && area.height > 1 {
            buffer.set_string(area.x, area.y + 1, text::cut(&format!("  {}", self.empty), width), Style::new());
        }
        let height = usize::from(area.height) - 1;
        // The chosen row is always seen.
        let first = (self.chosen + 1).saturating_sub(height);
        for (line, (place, row)) in self.rows.iter().enumerate().skip(first).take(height).enumerate() {
            let y = area.y + 1 + line as u16;
            let chosen = self.focused && place == self.chosen;
            let mut x = area.x;
            for (column, width) in &layout {
                let cell = &row[*column];
                let mark = if chosen && *column == layout[0].0 { ">" } else { " " };
                buffer.set_string(x, y, mark, Style::new().add_modifier(Modifier::BOLD));
                let words = text::fit(&(cell.make)(*width), *width, self.columns[*column].right);
                let style = if chosen { cell.style.add_modifier(Modifier::BOLD) } else { cell.style };
                buffer.set_string(x + 1, y, words, style);
                x += *width as u16 + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_go_first() {
        let columns = [
            Column::text("NAME", 8, 0),
            Column::number("SPEED", 6, 3),
            Column::number("LEVEL", 6, 1),
            Column::growing("", 5, 2),
        ];
        assert_eq!(layout(&columns, 80), [(0, 8), (1, 6), (2, 6), (3, 56)]);
        assert_eq!(layout(&columns, 24), [(0, 8), (2, 6), (3, 7)]);
        assert_eq!(layout(&columns, 17), [(0, 8), (2, 6)]);
        assert_eq!(layout(&columns, 3), [(0, 8)]);
    }
}
