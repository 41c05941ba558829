//! A cluster for tests: four nodes, one of them dead, and three batches.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId};
use evenkeel_core::units::Length;
use evenkeel_net::records::{Captured, Exit, ResultRecord};
use evenkeel_node::api::types::{
    BatchState, BatchStatus, Certificate, DocumentState, Equilibrium, Event, Explanation, NodeName, NodeState,
    NodeStatus, Nodes, Numbered, ResultLine, Schema,
};

use super::picture::{Heard, Picture};
use super::screen::{Action, Screen};

pub(super) const RUNNING: BatchId = BatchId(0x1234_5678_9abc_def1);
pub(super) const FINISHED: BatchId = BatchId(0x0234_5678_9abc_def0);
pub(super) const CANCELLED: BatchId = BatchId(0x0134_5678_9abc_def0);

pub(super) fn id(number: u8) -> NodeId {
    NodeId([number; 16])
}

pub(super) fn node(number: u8, name: &str, state: NodeState, pending: u64, level: f64) -> NodeStatus {
    NodeStatus {
        id: id(number),
        name: name.to_owned(),
        generation: Generation(1_767_322_000_000),
        state,
        is_self: number == 1,
        pending,
        running: if state == NodeState::Dead { 4 } else { 3 },
        max_process: 4,
        speed: 1.0 + f64::from(number) / 16.0,
        level,
        work: level * 4.0,
        started: 1_234,
        duplicates: 0,
        taken_over: 2,
        moved: 40,
        version: "0.1.0".to_owned(),
        address: format!("10.0.0.{number}:7116").parse().unwrap(),
        http: (number != 3).then(|| format!("10.0.0.{number}:7117").parse().unwrap()),
    }
}

pub(super) fn nodes() -> Nodes {
    let nodes = vec![
        node(1, "node1", NodeState::Live, 3_650, 50.32),
        node(2, "node2", NodeState::Dead, 3_660, 0.0),
        node(3, "node3-with-a-name-that-is-long", NodeState::Draining, 12, 1.5),
        node(4, "node4", NodeState::Live, 2_012, 27.5),
    ];
    let certificate = Some(Certificate { highest: 50.32, mean: 26.44, bound: 28.0, holds: false });
    Nodes {
        schema: Schema,
        nodes,
        equilibrium: Equilibrium { in_equilibrium: false, regret: 11.25, epsilon: 1.32, certificate },
    }
}

pub(super) fn batch(id: BatchId, state: BatchState, documents: u32, pending: u32, failed: u32) -> BatchStatus {
    BatchStatus {
        schema: Schema,
        id,
        state,
        submitted_at: format!("2026-01-02T03:04:{:02}Z", (id.0 >> 56) % 60).parse().unwrap(),
        command: ["sh", "-c", "sleep 0.3; factor {} > /srv/factors/{n}"].map(str::to_owned).to_vec(),
        documents,
        pending,
        running: pending.min(8),
        done: documents - pending - failed,
        failed,
        cancelled: 0,
        length_pending: u64::from(pending) * 10,
        retry_of: None,
    }
}

pub(super) fn batches(done: u32) -> Vec<BatchStatus> {
    vec![
        batch(RUNNING, BatchState::Running, 20_000, 20_000 - done, 3),
        BatchStatus { retry_of: Some(CANCELLED), ..batch(FINISHED, BatchState::Finished, 12, 0, 0) },
        batch(CANCELLED, BatchState::Cancelled, 1_000_000, 0, 0),
    ]
}

pub(super) fn event(number: u64, event: Event) -> Heard {
    let at = "2026-01-02T03:05:00Z".parse::<jiff::Timestamp>().unwrap() + Duration::from_secs(number);
    Heard::Event(Numbered { schema: Schema, id: number, at, event })
}

pub(super) fn failed_line(number: u32, stdout: &'static [u8], stderr: &'static [u8]) -> ResultLine {
    let captured = |bytes| Captured { bytes: bytes::Bytes::from_static(bytes), dropped: 0 };
    ResultLine::from(&ResultRecord {
        doc: DocId { batch: RUNNING, number: DocNumber(number) },
        epoch: Epoch(3),
        attempt: Attempt(2),
        node: id(4),
        outcome: Outcome::Failed,
        exit: Exit::Status(7),
        started_unix_micros: 1_767_322_245_000_001,
        wall_micros: 1_500_000,
        user_micros: 250_000,
        system_micros: 1_000,
        max_rss_bytes: 4 << 20,
        stdout: captured(stdout),
        stderr: captured(stderr),
    })
}

pub(super) fn explanation(number: u32) -> Explanation {
    Explanation {
        schema: Schema,
        batch: RUNNING,
        document: DocNumber(number),
        length: Some(Length(17)),
        state: DocumentState::Failed,
        node: id(4),
        node_name: Some("node4".to_owned()),
        epoch: Epoch(3),
        claimed: true,
        failures: Attempt(2),
        crashes: 0,
        copies: vec![id(1), id(4)],
        unanswered: Vec::new(),
        names: vec![NodeName { id: id(1), name: "node1".to_owned() }, NodeName { id: id(4), name: "node4".to_owned() }],
        reason: "both of its attempts failed".to_owned(),
        next_attempt_at: None,
        result: Some(failed_line(number, b"half of\n\tit\n", b"factor: '\x1b[2Jx' is not a valid positive integer\n")),
    }
}

/// The cluster after four seconds of looking on, with a few events.
pub(super) fn picture() -> Picture {
    let mut picture = Picture::new("http://10.0.0.1:7117/".to_owned());
    let heard = [
        Heard::Nodes(nodes()),
        Heard::Batches(batches(8_000)),
        event(1, Event::BatchAccepted { batch: RUNNING, documents: 20_000 }),
        event(2, Event::DocumentsMoved { from: id(1), to: id(4), documents: 40 }),
        event(3, Event::DocumentStarted { batch: RUNNING, document: DocNumber(17), attempt: Attempt(2) }),
        event(
            4,
            Event::DocumentEnded { batch: RUNNING, document: DocNumber(17), outcome: Outcome::Failed, node: id(4) },
        ),
        event(5, Event::NodeChanged { node: id(2), name: "node2".to_owned(), state: NodeState::Dead }),
        event(6, Event::DocumentsTakenOver { from: id(2), to: id(4), documents: 1_800 }),
        event(7, Event::DocumentEnded { batch: RUNNING, document: DocNumber(18), outcome: Outcome::Done, node: id(1) }),
    ];
    for one in heard {
        picture.hear(one, Duration::from_secs(1));
    }
    picture.hear(Heard::Batches(batches(8_130)), Duration::from_secs(5));
    picture
}

pub(super) fn press(screen: &mut Screen, picture: &Picture, code: KeyCode) -> Action {
    screen.key(KeyEvent::new(code, KeyModifiers::NONE), picture)
}

/// Types these letters; `\n` is Enter, `\t` Tab, `\x1b` Esc.
pub(super) fn keys(screen: &mut Screen, picture: &Picture, letters: &str) -> Action {
    let mut last = Action::Look;
    for letter in letters.chars() {
        last = press(
            screen,
            picture,
            match letter {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\x1b' => KeyCode::Esc,
                letter => KeyCode::Char(letter),
            },
        );
    }
    last
}
