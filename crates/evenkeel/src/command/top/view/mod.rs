//! The picture as a terminal shows it: a pure function from what is known, and where a person is in it, to cells.

mod overview;
mod pages;
mod plain;
mod table;
#[cfg(test)]
mod tests;
mod text;

use evenkeel_node::api::types::NodeState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

pub(super) use plain::Look;

use super::picture::{Link, Picture};
use super::screen::{Page, Pane, Prompt, Screen};
use crate::command::nodes::figure;

/// The smallest screen on which anything can be read.
const SMALLEST: (u16, u16) = (20, 6);

/// Draws everything; returns how many lines of the page are really scrolled away.
pub(super) fn draw(picture: &Picture, screen: &Screen, look: Look, area: Rect, buffer: &mut Buffer) -> usize {
    buffer.reset();
    let scrolled = if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let words = format!("too small: {} x {}", SMALLEST.0, SMALLEST.1);
        buffer.set_string(area.x, area.y, text::cut(&words, usize::from(area.width)), Style::new());
        screen.scrolled
    } else {
        draw_parts(picture, screen, area, buffer)
    };
    plain::limit(buffer, look);
    scrolled
}

fn draw_parts(picture: &Picture, screen: &Screen, area: Rect, buffer: &mut Buffer) -> usize {
    let width = usize::from(area.width);
    let foot = footer(picture, screen, width);
    let foot_height = (foot.0.len() as u16).min(area.height / 2);
    let head = header(picture, width, area.height);
    let mut y = area.y;
    for (line, style) in &head {
        buffer.set_string(area.x, y, text::fit(line, width, false), *style);
        y += 1;
    }
    let body = Rect { y, height: (area.bottom() - foot_height).saturating_sub(y), ..area };
    let scrolled = match screen.page() {
        _ if screen.help => {
            help(body, buffer);
            screen.scrolled
        }
        None => {
            overview::draw(picture, screen, body, buffer);
            0
        }
        Some(Page::Node(node)) => {
            pages::node(picture, node, body, buffer);
            0
        }
        Some(Page::Batch(batch)) => {
            pages::batch(picture, screen, batch, body, buffer);
            0
        }
        Some(Page::Document(doc)) => pages::document(picture, doc, screen.scrolled, body, buffer),
    };
    for (line, y) in foot.0.iter().zip(area.bottom() - foot_height..area.bottom()) {
        buffer.set_string(area.x, y, text::fit(line, width, false), foot.1);
    }
    scrolled
}

/// Whom we ask, how many nodes there are, and how well the work is spread; or that nobody answers.
fn header(picture: &Picture, width: usize, height: u16) -> Vec<(String, Style)> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    let of = |states: &[NodeState]| picture.nodes().iter().filter(|node| states.contains(&node.state)).count();
    let there = picture.nodes().iter().filter(|node| !node.state.is_gone());
    let (running, slots) = there.clone().fold((0u64, 0u64), |(running, slots), node| {
        (running + u64::from(node.running), slots + u64::from(node.max_process))
    });
    let pending: u64 = picture.batches().iter().map(|batch| u64::from(batch.pending)).sum();
    let mut counts = format!("{} live", of(&[NodeState::Live]));
    let others = [NodeState::Draining, NodeState::Suspect, NodeState::Dead, NodeState::Left];
    for (state, count) in others.map(|state| (state, of(&[state]))) {
        if count > 0 {
            counts.push_str(&format!(", {count} {}", state.as_str()));
        }
    }
    let work = format!("{} pending, {running}/{slots} running", text::count(pending));
    match &picture.link {
        Link::Live { url } => {
            let itself = picture.nodes().iter().find(|node| node.is_self).map(|node| picture.name(node.id));
            let asked = format!("{} at {}", itself.unwrap_or_else(|| "evenkeel".to_owned()), url.trim_end_matches('/'));
            lines.push((apart(&asked, &counts, width), bold));
            if let Some(nodes) = picture.nodes.as_ref().filter(|_| height >= 10) {
                let even = match nodes.equilibrium {
                    equilibrium if equilibrium.in_equilibrium => "in equilibrium".to_owned(),
                    equilibrium => format!(
                        "not in equilibrium: regret {} (above {})",
                        figure(equilibrium.regret),
                        figure(equilibrium.epsilon)
                    ),
                };
                lines.push((apart(&even, &work, width), Style::new()));
            }
        }
        Link::Lost { since, reason, trying } => {
            let lost = bold.fg(Color::Red);
            let seconds = picture.now.saturating_sub(*since).as_secs();
            lines.push((
                apart(&format!("RECONNECTING for {seconds} s; what is below is from before"), &counts, width),
                lost,
            ));
            if height >= 10 {
                lines.push((text::cut(&format!("{reason}; trying {}", trying.trim_end_matches('/')), width), lost));
            }
        }
    }
    lines
}

/// Two texts at both ends of a line; the second is left out where there is no room.
fn apart(left: &str, right: &str, width: usize) -> String {
    let room = width.saturating_sub(text::width(right) + 2);
    if text::width(left) > room { text::cut(left, width) } else { text::fit(left, room + 2, false) + right }
}

/// What a person is asked or told, or which keys there are.
fn footer(picture: &Picture, screen: &Screen, width: usize) -> (Vec<String>, Style) {
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    if let Some(prompt) = &screen.prompt {
        let words = match prompt {
            Prompt::Confirm(deed) => format!("{} (y/n)", deed.question(picture)),
            Prompt::Filter(pane) => {
                let filter = match pane {
                    Pane::Nodes => &screen.nodes.filter,
                    Pane::Batches => &screen.batches.filter,
                    Pane::Events => &screen.events.filter,
                };
                format!("show only what contains: {filter}_  (Enter: done, Esc: show all)")
            }
            Prompt::Number(batch, digits) => {
                format!("number of a document of {batch}: {digits}_  (Enter: show it, Esc: back)")
            }
        };
        return (text::wrap(&words, width), reversed.add_modifier(Modifier::BOLD));
    }
    match &screen.note {
        Some(Ok(words)) => return (text::wrap(words, width), reversed),
        Some(Err(words)) => return (text::wrap(words, width), reversed.fg(Color::Red)),
        None => {}
    }
    let keys: &[&str] = match screen.page() {
        _ if screen.help => &["any key: back", "q quit"],
        None => match screen.focus {
            Pane::Nodes => {
                &["? help", "q quit", "Tab next list", "Enter open", "d drain", "s sort", "S turn", "/ filter"]
            }
            Pane::Batches => {
                &["? help", "q quit", "Tab next list", "Enter open", "c cancel", "r retry", "s sort", "/ filter"]
            }
            Pane::Events => &["? help", "q quit", "Tab next list", "Enter open", "v documents too", "/ filter"],
        },
        Some(Page::Node(_)) => &["? help", "q quit", "Esc back", "d drain"],
        Some(Page::Batch(_)) => {
            &["? help", "q quit", "Esc back", "Enter its story", "g go to a number", "c cancel", "r retry"]
        }
        Some(Page::Document(_)) => &["? help", "q quit", "Esc back", "Up Down scroll"],
    };
    let mut line = String::new();
    for key in keys {
        // Whole hints only.
        if text::width(&line) + 2 + text::width(key) <= width {
            line.push_str(if line.is_empty() { " " } else { "  " });
            line.push_str(key);
        }
    }
    (vec![line], Style::new())
}

/// What the keys do, and what the figures mean.
fn help(area: Rect, buffer: &mut Buffer) {
    const HELP: [&str; 21] = [
        "Tab 1 2 3      go to the next list; to nodes, batches, what happened",
        "Up Down j k    choose a row; PgUp PgDn Home End go further",
        "Enter Esc      open what is chosen: a node, a batch, a document; back",
        "s S            sort the list by its next column; turn the order round",
        "/              show only rows that contain a text; Esc shows all again",
        "g              the story of a document of this batch, by its number",
        "v              what happened to single documents too, or not",
        "c r            cancel a batch; submit what failed of it again; asks first",
        "d              drain a node: it gives its documents away and leaves; asks first",
        "q Ctrl-C       quit; the cluster goes on",
        "",
        "PENDING        documents without an end, running ones included",
        "RUNNING        slots in use, and slots; of a dead node what it said last",
        "SPEED          of one slot by measurement; the mean is 1",
        "LEVEL          about the time to drain: work over slots times speed. Its bar is",
        "               beside the highest; its mark is the mean. Work is levelled until",
        "               no document would gain by moving: then it is in equilibrium",
        "REGRET         the most that any document could gain by moving, and from how",
        "               much on moving is worth it",
        "RATE LEFT      documents that end in a second, over the last 15 s; the time",
        "               until all have ended at that pace",
    ];
    for (line, y) in HELP.iter().zip(area.y..area.bottom()) {
        buffer.set_string(area.x + 1, y, text::cut(line, usize::from(area.width).saturating_sub(1)), Style::new());
    }
}
