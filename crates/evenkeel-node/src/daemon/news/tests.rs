use std::net::SocketAddr;

use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::change::{Change, Title};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{BatchId, DocNumber, Epoch, Origin};
use evenkeel_core::load::{Load, Peer, View};
use evenkeel_core::message::Message;
use evenkeel_core::settings::Settings;
use evenkeel_core::units::{Length, Micros};
use evenkeel_core::{Input, Outbox};
use evenkeel_net::Member;
use futures_util::{FutureExt, StreamExt};

use super::*;

#[test]
fn only_the_same_run_of_a_node_was_held_dead_wrongly() {
    let figures: Arc<Mutex<Figures>> = Arc::default();
    let mut news = News::new(EventLog::new(Generation(1)), figures.clone());
    let member = |generation| Member {
        generation: Generation(generation),
        name: "b".to_owned(),
        version: String::new(),
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        http: None,
        load: None,
        low: false,
        left: false,
    };
    let mut see = |generation, state: NodeState| {
        let mut members = Members::default();
        let side = if state.is_gone() { &mut members.dead } else { &mut members.live };
        side.insert(NodeId([2; 16]), Member { left: state == NodeState::Left, ..member(generation) });
        news.see(&members);
        figures.lock().unwrap().false_deaths
    };
    use NodeState::{Dead, Left, Live};
    assert_eq!((see(1, Live), see(1, Dead), see(1, Live)), (0, 0, 1));
    assert_eq!((see(1, Dead), see(2, Live), see(2, Dead), see(2, Live)), (1, 1, 1, 2));
    assert_eq!((see(2, Dead), see(2, Left), see(3, Live)), (2, 2, 2), "a goodbye that was late");
}

const ME: NodeId = NodeId([1; 16]);
const OTHER: NodeId = NodeId([2; 16]);
const BATCH: BatchId = BatchId(7);

/// A node with a hundred documents, four of which it has started.
fn busy() -> Node {
    let settings = Settings { max_process: 4, ..Settings::default() };
    let mut node = Node::new(Origin { node: ME, generation: Generation(1) }, settings, false, 1);
    let batch = Batch {
        id: BATCH,
        submitter: ME,
        submitted_unix_millis: 0,
        command: vec!["true".into()],
        options: BatchOptions::default(),
        documents: 100,
        retry_of: None,
    };
    node.step(Micros(1), Input::Submit { batch, lengths: vec![Length(1); 100] }, &mut Outbox::default());
    node
}

/// What has been told since this was asked last.
fn told(log: &Arc<EventLog>, after: &mut u64) -> Vec<Told> {
    let mut read = std::pin::pin!(log.read(Some(*after)));
    let mut told = Vec::new();
    while let Some(Some(event)) = read.next().now_or_never() {
        *after = event.id;
        told.push(event.event.clone());
    }
    told
}

#[test]
fn what_others_take_over_is_told_once() {
    let log = EventLog::new(Generation(1));
    let mut news = News::new(Arc::clone(&log), Arc::default());
    let (mut node, mut last, begun) = (busy(), 1_000, Instant::now());
    let claims = |node: &mut Node, numbers: std::ops::Range<u32>| {
        let docs: DocSet = numbers.map(DocNumber).collect();
        let change = Change::Moved { batch: BATCH, docs, epoch: Epoch(2), owner: OTHER, title: Title::Claimed };
        let message = Message::Ahead { generation: Generation(1), reason: Reason::Claim, changes: vec![change] };
        node.step(Micros(2), Input::Received { from: OTHER, message }, &mut Outbox::default());
    };
    claims(&mut node, 0..3);
    news.look(&node, begun);
    let early = told(&log, &mut last);
    assert!(!early.iter().any(|event| matches!(event, Told::DocumentsTakenOver { .. })), "{early:?}");
    claims(&mut node, 3..10);
    news.look(&node, begun + LOOK / 2);
    assert_eq!(told(&log, &mut last), []);
    for second in [1, 2] {
        news.look(&node, begun + LOOK * second);
    }
    assert_eq!(told(&log, &mut last), [Told::DocumentsTakenOver { from: ME, to: OTHER, documents: 7 }]);
}

#[test]
fn that_the_cluster_came_to_rest_is_told_although_nothing_else_happens() {
    let log = EventLog::new(Generation(1));
    let mut news = News::new(Arc::clone(&log), Arc::default());
    let (mut node, mut last, begun) = (busy(), 1_000, Instant::now());
    let mut beside = |news: &mut News, second, work| {
        let load = Load { work, pending: work as u64, shortest: None, longest: None, ..node.load() };
        let peer = Peer { generation: Generation(1), load };
        let view = View { live: [(OTHER, peer)].into() };
        node.step(Micros(2), Input::View(view), &mut Outbox::default());
        news.look(&node, begun + LOOK * second);
        let told = told(&log, &mut last);
        told.into_iter().map(|event| matches!(event, Told::EquilibriumChanged { in_equilibrium: true, .. })).collect()
    };
    let nothing: [bool; 0] = [];
    let seen: [Vec<bool>; 3] = [(0, 0.0), (1, 100.0), (2, 100.0)].map(|(second, work)| beside(&mut news, second, work));
    assert_eq!(seen, [vec![false], vec![true], nothing.to_vec()]);
}
