//! Who ran what: a lane for each slot of each machine, with the documents that held it one after the other.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::units::Micros;

use super::axis::{TimeAxis, figure};
use super::canvas::{Anchor, Canvas, DOTTED, FAINT, HATCHED, RED, STRIPED, Stroke};
use super::{Heading, events, last_sight};
use crate::record::{End, Film, Mark, Run, What};
use crate::world::MachineId;

/// Two shades for each batch, so that documents that follow each other are told apart; with the fifth they begin anew.
const BATCHES: [(&str, &str); 4] =
    [("#8fc1e3", "#5b9bc8"), ("#a6d8a8", "#6fb573"), ("#cdb9e2", "#a58bc9"), ("#e0d3a0", "#c2ae63")];
const BADLY: &str = "#e69f00";
const KILLED: &str = "#aa4499";
const LOST: &str = "#222222";

/// Documents that are thinner than this, and follow each other, are drawn as one.
const THIN: f64 = 1.5;

const LEFT: f64 = 100.0;
const RIGHT: f64 = 980.0;
const TOP: f64 = 96.0;

/// The lanes of a machine, on the page.
struct Block {
    machine: MachineId,
    slots: u32,
    top: f64,
    bottom: f64,
}

pub(super) fn draw(heading: Heading<'_>, film: &Film) -> String {
    let machines = machines(film);
    let lanes: u32 = machines.iter().map(|(_, slots)| *slots).sum();
    let lane = (640.0 / f64::from(lanes.max(1))).clamp(4.0, 14.0);
    let gap = if machines.len() > 30 { 2.0 } else { 5.0 };
    let height = f64::from(lanes) * lane + machines.len() as f64 * gap;
    let mut canvas = Canvas::new(1_000.0, TOP + height + 140.0);
    heading.write(&mut canvas, "who ran what", film);
    let bottom = TOP + height;
    let time = TimeAxis::up_to(last_sight(film), (LEFT, RIGHT));
    time.draw(&mut canvas, (TOP, bottom), true);
    let mut blocks: Vec<Block> = Vec::new();
    let mut y = TOP;
    for (machine, slots) in machines {
        let top = y;
        y += f64::from(slots) * lane + gap;
        blocks.push(Block { machine, slots, top, bottom: y - gap });
    }
    let mut of_lane: BTreeMap<(MachineId, u32), Vec<&Run>> = BTreeMap::new();
    for run in film.lanes.runs.iter().filter(|run| run.end != End::Unstarted) {
        of_lane.entry((run.machine, run.slot)).or_default().push(run);
    }
    let mut merged = 0;
    for (row, block) in blocks.iter().enumerate() {
        let middle = (block.top + block.bottom) / 2.0;
        let name = format!("machine {}", block.machine.0);
        // Where blocks are lower than letters, not each has its name.
        if block.bottom - block.top + gap >= 12.0 || row % 2 == 0 {
            canvas.words(LEFT - 8.0, middle + 4.0, &name, Anchor::End, "small");
        }
        draw_states(&mut canvas, &time, block, film);
        for slot in 0..block.slots {
            let top = block.top + f64::from(slot) * lane;
            let data = [("machine", block.machine.0.to_string()), ("slot", slot.to_string())];
            let runs = of_lane.get(&(block.machine, slot)).map_or(&[][..], Vec::as_slice);
            canvas.group("lane", &data, |canvas| merged += draw_lane(canvas, &time, film, runs, top, lane));
        }
        let own = events::worth(film).filter(|mark| mark.machine == Some(block.machine));
        let own = own.filter(|mark| mark.what != What::Paused);
        events::draw_line(&mut canvas, &time, middle, own);
        canvas.line((LEFT, block.bottom + gap / 2.0), (RIGHT, block.bottom + gap / 2.0), Stroke::new("#c8c8c8", 0.6));
    }
    draw_above(&mut canvas, &time, bottom, film);
    let y = explain_runs(&mut canvas, bottom + 62.0, film);
    events::explain(&mut canvas, (LEFT, y), film);
    canvas.note(&note(film, blocks.len(), merged));
    canvas.into_svg()
}

/// The machines that are shown, with their slots.
fn machines(film: &Film) -> Vec<(MachineId, u32)> {
    let cluster = &film.options.cluster;
    let first = (0..cluster.nodes).map(MachineId);
    let later = film.marks.iter().filter(|mark| mark.what == What::Joined).filter_map(|mark| mark.machine);
    let all: BTreeSet<MachineId> = first.chain(later).filter(|machine| film.lanes.shows(*machine)).collect();
    let slots = |machine: &MachineId| {
        let used = film.lanes.runs.iter().filter(|run| run.machine == *machine).map(|run| run.slot + 1).max();
        let own = cluster.settings(machine.0).max_process.min(crate::record::SLOTS);
        own.max(used.unwrap_or(0))
    };
    all.iter().map(|machine| (*machine, slots(machine))).collect()
}

/// Shades the times when a machine was not there, and when it stood still.
fn draw_states(canvas: &mut Canvas, time: &TimeAxis, block: &Block, film: &Film) {
    let mut shade = |from: Micros, to: Micros, fill: &str| {
        let (x, end) = (time.place(from), time.place(to));
        canvas.rectangle((x, block.top), ((end - x).max(0.5), block.bottom - block.top), fill);
    };
    let own: Vec<&Mark> = film.marks.iter().filter(|mark| mark.machine == Some(block.machine)).collect();
    for (place, pause) in own.iter().enumerate().filter(|(_, mark)| mark.what == What::Paused) {
        let ended = own[place..].iter().find(|mark| matches!(mark.what, What::Killed | What::Left));
        shade(pause.at, ended.map_or(pause.until, |ended| ended.at.min(pause.until)), STRIPED);
    }
    for (from, to) in events::away(film, block.machine) {
        shade(from, to, HATCHED);
    }
}

/// Draws the documents of one lane. Returns how many were drawn together with the one before.
fn draw_lane(canvas: &mut Canvas, time: &TimeAxis, film: &Film, runs: &[&Run], top: f64, height: f64) -> usize {
    let tall = (height - 1.0).max(2.0);
    let mut merged = 0;
    let mut waiting: Option<(f64, f64, &str, bool)> = None;
    let put = |canvas: &mut Canvas, (from, to, fill, cross): (f64, f64, &str, bool)| {
        canvas.rectangle((from, top), ((to - from - 0.3).max(0.4), tall), fill);
        if cross {
            canvas.line((to - 2.5, top), (to, top + tall), Stroke::new(RED, 1.2));
            canvas.line((to - 2.5, top + tall), (to, top), Stroke::new(RED, 1.2));
        }
    };
    for (number, run) in runs.iter().enumerate() {
        let to = if run.end == End::Open { film.end } else { run.to };
        let (from, to) = (time.place(run.from), time.place(to));
        let shades = BATCHES[run.batch % BATCHES.len()];
        let fill = match run.end {
            End::Badly => BADLY,
            End::Killed => KILLED,
            End::Lost => LOST,
            _ if number % 2 == 0 => shades.0,
            _ => shades.1,
        };
        let well = matches!(run.end, End::Well | End::Open);
        match &mut waiting {
            Some((_, end, shade, _))
                if to - from < THIN && from - *end < 1.0 && well && shades_of(run).contains(shade) =>
            {
                *end = end.max(to);
                merged += 1;
            }
            _ => {
                if let Some(waiting) = waiting.take() {
                    put(canvas, waiting);
                }
                waiting = Some((from, to, fill, run.end == End::Lost));
            }
        }
    }
    if let Some(waiting) = waiting {
        put(canvas, waiting);
    }
    merged
}

fn shades_of(run: &Run) -> [&'static str; 2] {
    let (light, dark) = BATCHES[run.batch % BATCHES.len()];
    [light, dark]
}

/// The line above the lanes: what happened to the network and to batches.
fn draw_above(canvas: &mut Canvas, time: &TimeAxis, bottom: f64, film: &Film) {
    canvas.group("events", &[], |canvas| {
        let y = TOP - events::LINE / 2.0;
        canvas.words(LEFT - 8.0, y + 2.0, "all", Anchor::End, "small faint");
        for mark in events::worth(film).filter(|mark| mark.machine.is_none()) {
            let (from, to) = (time.place(mark.at), time.place(mark.until));
            match mark.what {
                What::Cut => canvas.rectangle((from, y - 5.0), ((to - from).max(1.0), 8.0), DOTTED),
                what => events::draw_through(canvas, what, from, (TOP - 14.0, bottom)),
            }
        }
        let signs = events::worth(film).filter(|mark| matches!(mark.what, What::Submitted | What::Cancelled));
        events::draw_line(canvas, time, y - 1.0, signs);
        canvas.line((LEFT, TOP - 1.0), (RIGHT, TOP - 1.0), Stroke::new(FAINT, 0.6));
    });
}

/// Explains the colours that occur. Returns where the next line would be.
fn explain_runs(canvas: &mut Canvas, y: f64, film: &Film) -> f64 {
    let occurs = |end: End| film.lanes.runs.iter().any(|run| run.end == end);
    let batches = film.lanes.batches().min(BATCHES.len());
    let mut entries: Vec<(Vec<&str>, String)> = Vec::new();
    for (batch, (light, dark)) in BATCHES.iter().enumerate().take(batches) {
        let more = (batch..film.lanes.batches()).step_by(BATCHES.len()).count() > 1;
        let name = if batches == 1 { "ended well, each a document".to_owned() } else { format!("batch {batch}") };
        entries.push((vec![light, dark], if more { format!("{name}, {} …", batch + BATCHES.len()) } else { name }));
    }
    let others =
        [(End::Badly, BADLY, "failed"), (End::Killed, KILLED, "killed: another owner or outcome, or cancelled")];
    entries.extend(
        others.into_iter().filter(|(end, ..)| occurs(*end)).map(|(_, fill, name)| (vec![fill], name.to_owned())),
    );
    if occurs(End::Lost) {
        entries.push((vec![LOST], "lost with its machine".to_owned()));
    }
    if film.marks.iter().any(|mark| matches!(mark.what, What::Killed | What::Left | What::Joined)) {
        entries.push((vec![HATCHED], "not there".to_owned()));
    }
    let (mut x, mut y) = (LEFT, y);
    for (fills, name) in entries {
        let wide = 34.0 + 6.4 * name.len() as f64;
        if x + wide > canvas.width - 10.0 {
            (x, y) = (LEFT, y + 18.0);
        }
        let part = 16.0 / fills.len() as f64;
        for (place, fill) in fills.iter().enumerate() {
            canvas.rectangle((x - 6.0 + part * place as f64, y - 5.0), (part, 10.0), fill);
        }
        canvas.words(x + 15.0, y + 4.0, &name, Anchor::Start, "small");
        x += wide;
    }
    y + 20.0
}

fn note(film: &Film, shown: usize, merged: usize) -> String {
    let mut notes = vec!["A document holds its lane from its start until its node hears of its end.".to_owned()];
    if film.lanes.every > 1 {
        notes.push(format!("One machine in {} is shown: {shown}.", film.lanes.every));
    }
    if film.lanes.hidden_slots > 0 {
        notes.push(format!("Of each machine the first {} slots are shown.", crate::record::SLOTS));
    }
    if merged > 0 {
        let merged = figure(merged as f64);
        notes.push(format!("{merged} documents too short to be seen are drawn together with the one before."));
    }
    notes.join(" ")
}
