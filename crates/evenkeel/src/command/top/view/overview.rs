//! The cluster at a glance: nodes, batches, events, one list below the other.

use evenkeel_node::api::types::{BatchState, BatchStatus, NodeState, NodeStatus, Numbered};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::table::{Cell, Column, Order, Table};
use super::text;
use crate::command::nodes::figure;
use crate::command::status;
use crate::command::top::picture::Picture;
use crate::command::top::rows::{self, BatchSort, Choice, NodeSort, progress};
use crate::command::top::screen::{Pane, Screen};
use crate::command::top::told::{self, Weight};
use crate::input::printable;

/// Rows below which only the list that has the keys is shown.
const ROOM_FOR_ALL: u16 = 12;

/// Rows that events get at least, if there are any.
const EVENTS: u16 = 4;

/// Draws all three lists, or the one that has the keys where there is no room for more.
pub(super) fn draw(picture: &Picture, screen: &Screen, area: Rect, buffer: &mut Buffer) {
    let nodes = rows::nodes(picture, &screen.nodes);
    let batches = rows::batches(picture, &screen.batches);
    let events = rows::events(picture, &screen.events);
    if area.height < ROOM_FOR_ALL {
        match screen.focus {
            Pane::Nodes => nodes_table(picture, screen, &nodes, area.width).draw(area, buffer),
            Pane::Batches => batches_table(picture, screen, &batches).draw(area, buffer),
            Pane::Events => events_table(picture, screen, &events).draw(area, buffer),
        }
        return;
    }
    let wanted = [nodes.len(), batches.len(), events.len()].map(|rows| u16::try_from(rows.max(1)).unwrap_or(u16::MAX));
    let heights = share(area.height, wanted, screen.focus);
    let below = |y: u16, height: u16| Rect { y, height, ..area };
    nodes_table(picture, screen, &nodes, area.width).draw(below(area.y, heights[0]), buffer);
    batches_table(picture, screen, &batches).draw(below(area.y + heights[0], heights[1]), buffer);
    events_table(picture, screen, &events).draw(below(area.y + heights[0] + heights[1], heights[2]), buffer);
}

/// Heights of the three lists, their headings included: each gets what it wants up to its share, and what is left goes to the
/// one that has the keys, then to the others; the rest of the screen is the events'.
fn share(height: u16, wanted: [u16; 3], focus: Pane) -> [u16; 3] {
    let room = height.saturating_sub(3);
    let events = wanted[2].min(EVENTS).min(room / 3);
    let mut rows = [wanted[0].min((room - events) / 2), wanted[1].min((room - events) / 2), events];
    let focused = match focus {
        Pane::Nodes => 0,
        Pane::Batches => 1,
        Pane::Events => 2,
    };
    for place in [focused, 0, 1, 2] {
        let left = room - rows.iter().sum::<u16>();
        rows[place] += left.min(wanted[place] - rows[place]);
    }
    rows[2] += room - rows.iter().sum::<u16>();
    rows.map(|rows| rows + 1)
}

/// What stands above the first column: the name of the list, and how many of it a filter has left.
fn title(name: &str, shown: usize, all: usize, filter: &str) -> String {
    if filter.is_empty() { format!("{name} ({all})") } else { format!("{name} ({shown}/{all})") }
}

fn nothing(filter: &str, otherwise: &'static str) -> &'static str {
    if filter.is_empty() { otherwise } else { "nothing matches the filter: Esc takes it away" }
}

fn nodes_table<'a>(picture: &'a Picture, screen: &'a Screen, nodes: &[&'a NodeStatus], width: u16) -> Table<'a> {
    let Choice { sort, reverse, filter, .. } = &screen.nodes;
    let order = |down: bool| if down == *reverse { Order::Up } else { Order::Down };
    let longest = nodes.iter().map(|node| text::width(&printable(node.name.as_ref()))).max().unwrap_or(0);
    let live = |node: &&NodeStatus| !node.state.is_gone();
    let highest = picture.nodes().iter().filter(live).map(|node| node.level).fold(0.0, f64::max);
    let mean =
        picture.nodes.as_ref().and_then(|nodes| nodes.equilibrium.certificate).map(|certificate| certificate.mean);
    let keys: Vec<_> = nodes.iter().map(|node| node.id).collect();
    Table {
        columns: vec![
            Column::text("", longest.clamp(12, if width < 100 { 16 } else { 24 }), 0)
                .sorted(*sort == NodeSort::Name, order(false)),
            Column::text("STATE", 8, 1).sorted(*sort == NodeSort::State, order(true)),
            Column::number("PENDING", 10, 2).sorted(*sort == NodeSort::Pending, order(true)),
            Column::number("RUNNING", 9, 4).sorted(*sort == NodeSort::Running, order(true)),
            Column::number("SPEED", 6, 6).sorted(*sort == NodeSort::Speed, order(true)),
            Column::number("LEVEL", 8, 3).sorted(*sort == NodeSort::Level, order(true)),
            Column::growing("", 8, 5),
        ],
        title: title("NODES", nodes.len(), picture.nodes().len(), filter),
        focused: screen.focus == Pane::Nodes,
        chosen: screen.nodes.place(&keys),
        rows: nodes.iter().map(|node| node_row(node, highest, mean)).collect(),
        empty: nothing(filter, "no node has told of itself yet"),
    }
}

fn node_row<'a>(node: &'a NodeStatus, highest: f64, mean: Option<f64>) -> Vec<Cell<'a>> {
    let colour = match node.state {
        NodeState::Live => Style::new(),
        NodeState::Draining | NodeState::Suspect => Style::new().fg(Color::Yellow),
        NodeState::Dead => Style::new().fg(Color::Red),
        NodeState::Left => Style::new().add_modifier(Modifier::DIM),
    };
    let gone = node.state.is_gone();
    // Of a node that is gone everything is what it said last.
    let level = if gone { 0.0 } else { node.level };
    let said = if gone { Style::new().add_modifier(Modifier::DIM) } else { Style::new() };
    vec![
        Cell::new(printable(node.name.as_ref())),
        Cell::new(node.state.as_str()).style(colour),
        Cell::new(text::count(node.pending)).style(said),
        Cell::new(format!("{}/{}", node.running, node.max_process)).style(said),
        Cell::new(figure(node.speed)).style(said),
        Cell::new(figure(node.level)).style(said),
        Cell::of_width(move |width| level_bar(level, highest, mean.filter(|_| !gone), width))
            .style(Style::new().fg(Color::Cyan)),
    ]
}

/// A node's level beside the highest one, with a mark at the mean.
fn level_bar(level: f64, highest: f64, mean: Option<f64>, width: usize) -> String {
    let part = |level: f64| if highest > 0.0 { level / highest } else { 0.0 };
    let mut bar: Vec<char> = text::bar(part(level), width).chars().collect();
    if let Some(mean) = mean.filter(|mean| *mean > 0.0 && highest > 0.0) {
        let place = (part(mean).min(1.0) * width as f64) as usize;
        if let Some(column) = bar.get_mut(place.min(width.saturating_sub(1))) {
            *column = if *column == '█' { '┼' } else { '│' };
        }
    }
    bar.into_iter().collect()
}

fn batches_table<'a>(picture: &'a Picture, screen: &'a Screen, batches: &[&'a BatchStatus]) -> Table<'a> {
    let Choice { sort, reverse, filter, .. } = &screen.batches;
    let order = |down: bool| if down == *reverse { Order::Up } else { Order::Down };
    let keys: Vec<_> = batches.iter().map(|batch| batch.id).collect();
    Table {
        columns: vec![
            Column::text("", 13, 0).sorted(*sort == BatchSort::Submitted, order(true)),
            Column::text("STATE", 9, 2).sorted(*sort == BatchSort::State, order(false)),
            Column::text("PROGRESS", 10, 1).sorted(*sort == BatchSort::Progress, order(false)),
            Column::number("DOCS", 7, 6).sorted(*sort == BatchSort::Documents, order(true)),
            Column::number("FAILED", 7, 3).sorted(*sort == BatchSort::Failed, order(true)),
            Column::number("RATE", 7, 5).sorted(*sort == BatchSort::Rate, order(true)),
            Column::number("LEFT", 6, 4).sorted(*sort == BatchSort::Left, order(true)),
            Column::growing(" COMMAND", 9, 7),
        ],
        title: title("BATCHES", batches.len(), picture.batches().len(), filter),
        focused: screen.focus == Pane::Batches,
        chosen: screen.batches.place(&keys),
        rows: batches.iter().map(|batch| batch_row(picture, batch)).collect(),
        empty: nothing(filter, "there are no batches: `evenkeel submit` makes one"),
    }
}

fn batch_row<'a>(picture: &'a Picture, batch: &'a BatchStatus) -> Vec<Cell<'a>> {
    let (state, failed) = batch_styles(batch);
    let rate = picture.rate(batch.id).map_or(String::new(), text::rate);
    let left = picture.left(batch).map_or(String::new(), text::duration);
    vec![
        Cell::new(batch.id.to_string()),
        Cell::new(status::state(batch.state)).style(state),
        Cell::of_width(|width| progress_bar(batch, width)).style(Style::new().fg(Color::Cyan)),
        Cell::new(text::short(batch.documents)),
        Cell::new(text::short(batch.failed)).style(failed),
        Cell::new(rate),
        Cell::new(left),
        Cell::new(format!(" {}", printable(status::command(batch).as_ref()))),
    ]
}

/// Colours of a batch's state and of its failures.
pub(super) fn batch_styles(batch: &BatchStatus) -> (Style, Style) {
    let state = match batch.state {
        BatchState::Running => Style::new(),
        BatchState::Finished => Style::new().fg(Color::Green),
        BatchState::Cancelled => Style::new().fg(Color::Yellow),
    };
    (state, if batch.failed > 0 { Style::new().fg(Color::Red) } else { Style::new() })
}

/// What part of a batch has ended. It is full only when all of it has.
pub(super) fn progress_bar(batch: &BatchStatus, width: usize) -> String {
    let part = progress(batch);
    let percent = if batch.is_settled() { 100 } else { ((part * 100.0) as u64).min(99) };
    format!("{} {percent:>3}%", text::bar(part, width.saturating_sub(5)))
}

fn events_table<'a>(picture: &'a Picture, screen: &'a Screen, events: &[&'a Numbered]) -> Table<'a> {
    let Choice { sort: all, filter, .. } = &screen.events;
    let keys: Vec<_> = events.iter().map(|event| event.id).collect();
    let what = match (*all, filter.is_empty()) {
        (true, true) => "WHAT HAPPENED, DOCUMENTS TOO",
        (false, true) => "WHAT HAPPENED",
        (_, false) => "WHAT HAPPENED AND MATCHES",
    };
    Table {
        columns: vec![Column::text("", 8, 0), Column::growing(what, 8, 1)],
        title: "UTC".to_owned(),
        focused: screen.focus == Pane::Events,
        chosen: screen.events.place(&keys),
        rows: events.iter().map(|event| event_row(picture, event)).collect(),
        empty: nothing(filter, "nothing since this was started"),
    }
}

/// An event as a row.
pub(super) fn event_row<'a>(picture: &'a Picture, event: &'a Numbered) -> Vec<Cell<'a>> {
    let style = match told::weight(&event.event) {
        Weight::Bad => Style::new().fg(Color::Red),
        Weight::Plain | Weight::Minor => Style::new(),
    };
    vec![Cell::new(clock(event.at)), Cell::new(picture.words(&event.event)).style(style)]
}

/// The time of day, in UTC as everywhere else.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_keys_gets_the_room() {
        assert_eq!(share(20, [3, 2, 0], Pane::Nodes), [4, 3, 13]);
        assert_eq!(share(20, [100, 100, 500], Pane::Nodes), [8, 7, 5]);
        assert_eq!(share(20, [100, 2, 500], Pane::Batches), [12, 3, 5]);
        assert_eq!(share(20, [100, 2, 500], Pane::Events).iter().sum::<u16>(), 20);
    }

    #[test]
    fn the_mean_is_marked_in_every_bar() {
        assert_eq!(level_bar(10.0, 10.0, Some(5.0), 8), "████┼███");
        assert_eq!(level_bar(2.5, 10.0, Some(5.0), 8), "██  │   ");
        assert_eq!(level_bar(0.0, 0.0, Some(0.0), 4), "    ");
        assert_eq!(level_bar(10.0, 10.0, Some(10.0), 4), "███┼");
    }
}
