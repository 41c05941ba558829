//! What reading commands print: a table for people, JSON or JSON lines for programs.
//!
//! JSON is written row by row, so that a million results need no memory; only a table has to wait for its last row. Every
//! JSON document, and every line of JSON lines, carries `"schema": 1`.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// Version of the JSON that is printed. It changes when a field changes its meaning or goes; new fields may come.
pub const SCHEMA: u32 = 1;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// Something that can be listed. Its JSON is that of `Serialize`, which must give an object.
pub trait Row: Serialize {
    /// Whether that object has its `schema` already, as most of the HTTP API's have.
    const HAS_SCHEMA: bool = false;

    /// Name of the list in JSON, for example `nodes`.
    const LIST: &'static str;

    /// Headings of the table.
    const COLUMNS: &'static [Column];

    /// What stands in the table, a text for each column.
    fn cells(&self) -> Vec<String>;
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Text, to the left.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Text(heading) | Column::Number(heading) => heading,
        }
    }

    fn alignment(self) -> CellAlignment {
        match self {
            Column::Text(_) => CellAlignment::Left,
            Column::Number(_) => CellAlignment::Right,
        }
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: u32,
    #[serde(flatten)]
    row: &'a T,
}

/// What the stream that is printed to can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    terminal: bool,
    colour: bool,
}

impl Look {
    fn of_stdout() -> Look {
        Look { terminal: io::stdout().is_terminal(), colour: colour_is_welcome() }
    }
}

/// Prints rows as they come.
pub struct Listing<W, R> {
    out: W,
    format: Format,
    rows: u64,
    table: Table,
    row: std::marker::PhantomData<fn(R)>,
}

impl<W: Write, R: Row> Listing<W, R> {
    /// Begins a list.
    pub fn begin(out: W, format: Format) -> io::Result<Listing<W, R>> {
        Listing::with_look(out, format, Look::of_stdout())
    }

    fn with_look(mut out: W, format: Format, look: Look) -> io::Result<Listing<W, R>> {
        let mut table = table(look);
        match format {
            Format::Table => {
                table.set_header(R::COLUMNS.iter().map(|column| heading(column.heading(), look)));
                for (place, column) in R::COLUMNS.iter().enumerate() {
                    if let Some(column_of_table) = table.column_mut(place) {
                        column_of_table.set_cell_alignment(column.alignment());
                    }
                }
            }
            Format::Json => write!(out, "{{\"schema\":{SCHEMA},\"{}\":[", R::LIST)?,
            Format::Jsonl => {}
        }
        Ok(Listing { out, format, rows: 0, table, row: std::marker::PhantomData })
    }

    /// Prints a row.
    pub fn row(&mut self, row: &R) -> io::Result<()> {
        match self.format {
            Format::Table => {
                self.table.add_row(row.cells().into_iter().map(|text| plain(&text)));
            }
            Format::Json => {
                if self.rows > 0 {
                    self.out.write_all(b",")?;
                }
                serde_json::to_writer(&mut self.out, row)?;
            }
            Format::Jsonl => {
                match R::HAS_SCHEMA {
                    true => serde_json::to_writer(&mut self.out, row)?,
                    false => serde_json::to_writer(&mut self.out, &Versioned { schema: SCHEMA, row })?,
                }
                self.out.write_all(b"\n")?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends the list.
    pub fn end(mut self) -> io::Result<()> {
        match self.format {
            Format::Table => write_table(&mut self.out, &self.table)?,
            Format::Json => self.out.write_all(b"]}\n")?,
            Format::Jsonl => {}
        }
        self.out.flush()
    }
}

/// Prints a whole list.
pub fn list<R: Row>(out: impl Write, format: Format, rows: &[R]) -> io::Result<()> {
    let mut listing = Listing::begin(out, format)?;
    rows.iter().try_for_each(|row| listing.row(row))?;
    listing.end()
}

/// Prints one thing: as JSON all of it, which must hold its `schema`; for people these names and values below each other.
pub fn show<T: Serialize>(mut out: impl Write, format: Format, thing: &T, fields: &[(&str, String)]) -> io::Result<()> {
    match format {
        Format::Table => {
            let look = Look::of_stdout();
            let mut table = table(look);
            for (name, value) in fields {
                table.add_row([heading(name, look), plain(value)]);
            }
            write_table(&mut out, &table)?;
        }
        Format::Json | Format::Jsonl => {
            serde_json::to_writer(&mut out, thing)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()
}

fn table(look: Look) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if look.terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        // Not fitted to any width: what reads a pipe has none.
        table.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    }
    table
}

/// Whether standard output may have colours and bold text: it is a terminal, and nobody objects (<https://no-color.org>).
pub fn colour_is_welcome() -> bool {
    let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !objection && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

fn heading(text: &str, look: Look) -> Cell {
    let cell = Cell::new(text.to_uppercase());
    if look.colour { cell.add_attribute(Attribute::Bold) } else { cell }
}

/// Text without what would move a terminal's cursor.
fn plain(text: &str) -> Cell {
    Cell::new(crate::input::printable(text.as_ref()))
}

fn write_table(out: &mut impl Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        let line = line.trim_end();
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Node {
        name: &'static str,
        pending: u64,
    }

    impl Row for Node {
        const LIST: &'static str = "nodes";
        const COLUMNS: &'static [Column] = &[Column::Text("name"), Column::Number("pending")];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.pending.to_string()]
        }
    }

    fn printed(format: Format, nodes: &[Node]) -> String {
        let mut out = Vec::new();
        let mut listing = Listing::with_look(&mut out, format, Look { terminal: false, colour: false }).unwrap();
        nodes.iter().try_for_each(|node| listing.row(node)).unwrap();
        listing.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    const NODES: [Node; 2] = [Node { name: "one", pending: 5 }, Node { name: "long \x1b[2J", pending: 12_000 }];

    #[test]
    fn programs_get_json_with_its_version() {
        assert_eq!(
            printed(Format::Json, &NODES),
            "{\"schema\":1,\"nodes\":[{\"name\":\"one\",\"pending\":5},{\"name\":\"long \\u001b[2J\",\"pending\":12000}]}\n"
        );
        assert_eq!(printed(Format::Json, &[]), "{\"schema\":1,\"nodes\":[]}\n");
        assert_eq!(printed(Format::Jsonl, &NODES[..1]), "{\"schema\":1,\"name\":\"one\",\"pending\":5}\n");
        assert_eq!(printed(Format::Jsonl, &[]), "");
    }

    #[test]
    fn people_get_a_table() {
        assert_eq!(
            printed(Format::Table, &NODES),
            "NAME            PENDING\none                   5\nlong \\u{1b}[2J    12000\n"
        );
    }

    #[test]
    fn one_thing_is_shown_whole() {
        let mut out = Vec::new();
        let fields = [("name", "one".to_owned()), ("pending", "5 documents".to_owned())];
        let node = Versioned { schema: SCHEMA, row: &NODES[0] };
        show(&mut out, Format::Table, &node, &fields).unwrap();
        show(&mut out, Format::Json, &node, &fields).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("5 documents\n{\"schema\":1,\"name\":\"one\",\"pending\":5}\n"), "{text}");
    }
}
