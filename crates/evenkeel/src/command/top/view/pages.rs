//! A node, a batch or a document, more closely.

use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_node::api::types::{BatchStatus, Explanation, NodeStatus};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::overview::{batch_styles, event_row, progress_bar};
use super::table::{Cell, Column, Table};
use super::text;
use crate::command::nodes::figure;
use crate::command::top::picture::Picture;
use crate::command::top::screen::{FAILED_SHOWN, Screen};
use crate::command::top::told;
use crate::command::{explain, status};
use crate::input::printable;

/// Columns of the names of figures.
const NAMES: usize = 15;

/// Lines of a document's output that are shown, and bytes that are looked at for them: its end, since errors are there.
const OUTPUT_LINES: usize = 200;
const OUTPUT_BYTES: usize = 32 << 10;

/// Draws a node: its figures, and what happened to it.
pub(super) fn node(picture: &Picture, id: NodeId, area: Rect, buffer: &mut Buffer) {
    let Some(node) = picture.node(id) else {
        heading(&format!("NODE {id}"), area, buffer);
        return lines(&["it has been forgotten: it has been dead for long".to_owned()], 0, below(area, 1), buffer);
    };
    heading(&format!("NODE {}", printable(node.name.as_ref())), area, buffer);
    let used = fields(&node_fields(node), below(area, 1), buffer);
    let about: Vec<_> =
        picture.events(false).into_iter().filter(|event| told::nodes(&event.event).contains(&id)).collect();
    let table = Table {
        columns: vec![Column::text("", 8, 0), Column::growing("WHAT HAPPENED TO IT", 8, 1)],
        title: "UTC".to_owned(),
        focused: false,
        chosen: 0,
        rows: about.iter().map(|event| event_row(picture, event)).collect(),
        empty: "nothing since this was started",
    };
    table.draw(below(area, used + 1), buffer);
}

fn node_fields(node: &NodeStatus) -> Vec<(&'static str, String)> {
    let at = i64::try_from(node.generation.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let http = node.http.map_or("not told".to_owned(), |address| format!("http://{address}"));
    let itself = if node.is_self { ", the one that is asked" } else { "" };
    vec![
        ("id", node.id.to_string()),
        ("state", format!("{}{itself}", node.state.as_str())),
        ("pending", told::count(node.pending)),
        ("running", format!("{} in {} slots", node.running, node.max_process)),
        (
            "speed, level",
            format!("{}, {} (work in hand: {})", figure(node.speed), figure(node.level), figure(node.work)),
        ),
        (
            "since start",
            format!(
                "{} started, {} given away, {} taken over, {} duplicates",
                text::count(node.started),
                text::count(node.moved),
                text::count(node.taken_over),
                text::count(node.duplicates)
            ),
        ),
        ("started", at.map_or("unknown".to_owned(), status::time)),
        ("peers, HTTP", format!("{}, {http}", node.address)),
        ("version", printable(node.version.as_ref())),
    ]
}

/// Draws a batch: its figures, and documents of it.
pub(super) fn batch(picture: &Picture, screen: &Screen, id: BatchId, area: Rect, buffer: &mut Buffer) {
    heading(&format!("BATCH {id}"), area, buffer);
    let Some(batch) = picture.batch(id) else {
        return lines(&["the node that is asked does not know it".to_owned()], 0, below(area, 1), buffer);
    };
    let bar = progress_bar(batch, usize::from(area.width).saturating_sub(2));
    buffer.set_string(area.x + 1, area.y + 1, text::cut(&bar, usize::from(area.width) - 1), Style::new());
    let used = 1 + fields(&batch_fields(picture, batch), below(area, 2), buffer);
    let documents = Screen::documents(picture, id);
    let keys: Vec<_> = documents.iter().map(|(number, _)| *number).collect();
    let what = match (&picture.failed, batch.failed as usize) {
        (Some((of, Err(why))), _) if *of == id => format!("its failed documents are not told: {why}"),
        (_, failed) if failed > FAILED_SHOWN => {
            format!("THE FIRST THAT FAILED (`evenkeel results {id} --failed` has all), AND THE LATEST")
        }
        _ => "THOSE THAT FAILED, AND THE LATEST".to_owned(),
    };
    let mut rows: Vec<Vec<Cell<'_>>> = Vec::new();
    for (number, words) in &documents {
        let style = if words.starts_with("failed") { batch_styles(batch).1 } else { Style::new() };
        rows.push(vec![Cell::new(number.to_string()), Cell::new(words.clone()).style(style)]);
    }
    let table = Table {
        columns: vec![Column::number("", 10, 0), Column::growing("", 8, 1)],
        title: "DOCUMENT".to_owned(),
        focused: true,
        chosen: screen.documents.place(&keys),
        rows,
        empty: "none has failed, and none has ended since this was started; g goes to one by its number",
    };
    let place = below(area, used + 1);
    table.draw(place, buffer);
    if place.height > 0 {
        let room = usize::from(place.width).saturating_sub(13);
        let style = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
        buffer.set_string(place.x + 12, place.y, text::cut(&what, room), style);
    }
}

fn batch_fields(picture: &Picture, batch: &BatchStatus) -> Vec<(&'static str, String)> {
    let pace = match (picture.rate(batch.id), picture.left(batch)) {
        (Some(rate), Some(left)) => format!("{} end, about {} left", text::rate(rate), text::duration(left)),
        (Some(rate), None) => format!("{} end", text::rate(rate)),
        (None, _) if batch.is_settled() => "all of it has ended".to_owned(),
        (None, _) => "not known yet".to_owned(),
    };
    let mut fields = vec![
        ("state", status::state(batch.state).to_owned()),
        ("command", printable(status::command(batch).as_ref())),
        ("submitted", status::time(batch.submitted_at)),
        (
            "documents",
            format!(
                "{}: {} done, {} failed, {} cancelled, {} pending",
                text::count(batch.documents),
                text::count(batch.done),
                text::count(batch.failed),
                text::count(batch.cancelled),
                text::count(batch.pending)
            ),
        ),
        ("pace", pace),
    ];
    fields.extend(batch.retry_of.map(|of| ("retry of", of.to_string())));
    fields
}

/// Draws the story of a document; returns how many lines of it are really scrolled away.
pub(super) fn document(picture: &Picture, doc: DocId, scrolled: usize, area: Rect, buffer: &mut Buffer) -> usize {
    heading(&format!("DOCUMENT {doc}"), area, buffer);
    let width = usize::from(area.width).saturating_sub(1);
    let told = match &picture.story {
        Some((of, Ok(story))) if *of == doc => story_lines(picture, story, width),
        Some((of, Err(why))) if *of == doc => text::wrap(&printable(why.as_ref()), width),
        _ => vec!["asking for it".to_owned()],
    };
    let room = below(area, 1);
    let scrolled = scrolled.min(told.len().saturating_sub(usize::from(room.height)));
    lines(&told, scrolled, room, buffer);
    if scrolled + usize::from(room.height) < told.len() {
        let more = format!(" Down: {} more ", told.len() - scrolled - usize::from(room.height));
        let place = area.right().saturating_sub(text::width(&more) as u16);
        buffer.set_string(place, area.y, more, Style::new().add_modifier(Modifier::REVERSED));
    }
    scrolled
}

fn story_lines(picture: &Picture, story: &Explanation, width: usize) -> Vec<String> {
    let mut told = Vec::new();
    for (name, value) in explain::fields(story) {
        told.extend(named(name, &printable(value.as_ref()), width));
    }
    if let Some(result) = &story.result {
        told.extend(named("ran on", &picture.name(result.node), width));
        told.extend(output("standard output", result.stdout_bytes(), result.stdout_dropped, width));
        told.extend(output("standard error", result.stderr_bytes(), result.stderr_dropped, width));
    }
    told
}

/// The end of what a document wrote.
fn output(name: &str, bytes: &[u8], dropped: u64, width: usize) -> Vec<String> {
    let mut told = vec![String::new()];
    if bytes.is_empty() {
        told.push(format!("{name}: nothing"));
        return told;
    }
    let end = &bytes[bytes.len().saturating_sub(OUTPUT_BYTES)..];
    let end = String::from_utf8_lossy(end);
    let all: Vec<&str> = end.lines().collect();
    let shown = &all[all.len().saturating_sub(OUTPUT_LINES)..];
    let cut = if shown.len() < all.len() || bytes.len() > OUTPUT_BYTES { ", the end of it" } else { "" };
    let lost = if dropped > 0 { format!(", {} bytes more were not kept", text::count(dropped)) } else { String::new() };
    told.push(format!("{name}: {} bytes{cut}{lost}", text::count(bytes.len() as u64)));
    for line in shown {
        let line = line.replace('\t', "    ");
        told.extend(
            text::wrap(&printable(line.as_ref()), width.saturating_sub(2)).into_iter().map(|line| format!("  {line}")),
        );
    }
    told
}

/// A figure with its name, in as many lines as it takes.
fn named(name: &str, value: &str, width: usize) -> Vec<String> {
    if width < NAMES + 20 {
        return text::wrap(&format!("{name}: {value}"), width);
    }
    // Few names are longer than the rest; they are told in full.
    let head = if text::width(name) > NAMES { format!("{name} ") } else { text::fit(name, NAMES, false) + " " };
    let rest = text::wrap(value, width - text::width(&head));
    let indent = " ".repeat(text::width(&head));
    let mut shown = Vec::new();
    for (place, line) in rest.into_iter().enumerate() {
        shown.push(if place == 0 { format!("{head}{line}") } else { format!("{indent}{line}") });
    }
    shown
}

/// Draws figures with their names; returns how many lines that took.
fn fields(fields: &[(&str, String)], area: Rect, buffer: &mut Buffer) -> u16 {
    let width = usize::from(area.width).saturating_sub(1);
    let told: Vec<String> = fields.iter().flat_map(|(name, value)| named(name, value, width)).collect();
    lines(&told, 0, area, buffer);
    (told.len() as u16).min(area.height)
}

fn lines(told: &[String], scrolled: usize, area: Rect, buffer: &mut Buffer) {
    for (line, y) in told.iter().skip(scrolled).zip(area.y..area.bottom()) {
        buffer.set_string(area.x + 1, y, text::cut(line, usize::from(area.width).saturating_sub(1)), Style::new());
    }
}

fn heading(words: &str, area: Rect, buffer: &mut Buffer) {
    let style = Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    let words = format!(" {words}");
    buffer.set_string(area.x, area.y, text::fit(&words, usize::from(area.width), false), style);
}

fn below(area: Rect, lines: u16) -> Rect {
    let lines = lines.min(area.height);
    Rect { y: area.y + lines, height: area.height - lines, ..area }
}
