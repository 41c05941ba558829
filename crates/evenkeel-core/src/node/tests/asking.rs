//! One node by itself, and peers that say what the test has them say: what it asks, whom it believes, and what it writes down.

use std::sync::Arc;

use super::*;
use crate::change::{Entries, Entry, Lengths, Status, Title};
use crate::ids::SegmentNumber;
use crate::load::View;

/// A node, its peers being `id(1)` and so on.
struct Alone {
    node: Node,
    now: Micros,
}

impl Alone {
    fn new(settings: Settings, returning: bool) -> Alone {
        let me = Origin { node: id(0), generation: Generation(1) };
        Alone { node: Node::new(me, settings, returning, 7), now: Micros::from_millis(1) }
    }

    /// Tells it something, and returns what it wants done.
    fn tell(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Outbox::new();
        self.node.step(self.now, input, &mut out);
        self.node.check();
        out.drain().collect()
    }

    fn sees(&mut self, peers: &[usize]) -> Vec<Effect> {
        let load = self.node.load();
        let live = peers.iter().map(|peer| (id(*peer), Peer { generation: Generation(1), load: load.clone() }));
        self.tell(Input::View(View { live: live.collect() }))
    }

    fn hears(&mut self, from: usize, message: Message) -> Vec<Effect> {
        self.tell(Input::Received { from: id(from), message })
    }

    /// An answer that has nothing new.
    fn answered(&mut self, from: usize, number: u64) -> Vec<Effect> {
        let live = Vec::new();
        self.hears(from, Message::Changes { number, records: Vec::new(), more: false, gap: false, live })
    }

    /// Lets time pass, in steps that are no pause.
    fn wait(&mut self, time: Micros) -> Vec<Effect> {
        let until = self.now + time;
        let mut effects = Vec::new();
        while self.now < until {
            self.now = until.min(self.now + Micros::from_millis(100));
            effects.extend(self.tell(Input::Wake));
        }
        effects
    }
}

/// Numbers of the pulls that are sent to a peer, and whether what has been seen is said to be on the disk.
fn pulls(effects: &[Effect], peer: usize) -> Vec<(u64, bool)> {
    let pull = |effect: &Effect| match effect {
        Effect::Send { to, message: Message::Pull { number, synced, .. } } if *to == id(peer) => {
            Some((*number, *synced))
        }
        _ => None,
    };
    effects.iter().filter_map(pull).collect()
}

fn takeovers(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Observe(Event::TookOver { .. }))).count()
}

/// A batch whose documents a node owns.
fn owned_by(owner: usize, documents: u32) -> (BatchId, Vec<Change>) {
    let batch = Batch {
        id: BatchId(5),
        submitter: id(owner),
        submitted_unix_millis: 0,
        command: vec!["true".into()],
        options: BatchOptions::default(),
        documents,
        retry_of: None,
    };
    let entry = Entry { epoch: Epoch(1), node: id(owner), status: Status::Owned(Title::Given) };
    let segment = Change::Segment {
        batch: batch.id,
        segment: SegmentNumber(0),
        lengths: Arc::new(Lengths::Same { length: Length(10), count: documents }),
        entries: Arc::new(Entries::pack(std::iter::repeat_n(entry, documents as usize))),
    };
    (batch.id, vec![Change::Batch(batch), segment])
}

fn ahead(changes: Vec<Change>) -> Message {
    Message::Ahead { generation: Generation(1), reason: Reason::Claim, changes }
}

#[test]
fn an_answer_to_an_earlier_question_is_none_to_this_one() {
    let mut alone = Alone::new(Settings { detection: Micros::from_secs(10), ..settings(1) }, true);
    let first = pulls(&alone.sees(&[1]), 1);
    let [(first, _)] = first[..] else { panic!("the peer is asked once, not {first:?}") };
    // It does not answer for so long that it is asked again.
    let again = pulls(&alone.wait(Micros::from_millis(2_300)), 1);
    let [(second, _)] = again[..] else { panic!("the peer is asked once more, not {again:?}") };
    assert!(!alone.node.may_act());
    alone.answered(1, first);
    alone.wait(Micros::from_millis(500));
    assert!(!alone.node.may_act(), "what was true when it asked first need not be so any more");
    alone.answered(1, second);
    alone.wait(Micros::from_millis(500));
    assert!(alone.node.may_act());
}

#[test]
fn an_heir_claims_when_all_who_live_have_answered_or_not_for_long() {
    for answers in [true, false] {
        let mut alone = Alone::new(settings(1), false);
        alone.sees(&[1, 2]);
        let (_, changes) = owned_by(2, 60);
        alone.hears(2, ahead(changes));
        let asked = alone.sees(&[1]);
        let asked = [asked, alone.wait(Micros::from_millis(300))].concat();
        // To be asked what the dead node told it, after that was missed.
        let (number, _) = *pulls(&asked, 1).last().expect("the other is asked");
        if answers {
            alone.answered(1, number);
        }
        let delay = alone.node.settings.takeover_delay;
        let within = takeovers(&alone.wait(delay + Micros::from_millis(300)));
        let later = takeovers(&alone.wait(Micros::from_secs(3)));
        assert_eq!((within, later), if answers { (1, 0) } else { (0, 1) }, "answers: {answers}");
    }
}

/// Where a document takes one node after the other with it, none lives for long enough that its log is pulled.
#[test]
fn an_heir_tells_at_once_how_many_owners_have_died() {
    let mut alone = Alone::new(settings(1), false);
    alone.sees(&[1, 2]);
    let (batch, mut changes) = owned_by(2, 60);
    let docs: DocSet = (0..60).map(DocNumber).collect();
    changes.push(Change::Running { batch, docs, epoch: Epoch(1), node: id(2) });
    alone.hears(2, ahead(changes));
    alone.sees(&[1]);
    let claims = alone.wait(Micros::from_secs(5));
    assert_eq!(takeovers(&claims), 1);
    let told = claims.iter().filter_map(|effect| match effect {
        Effect::Send { to, message: Message::Ahead { reason: Reason::Claim, changes, .. } } if *to == id(1) => {
            Some(changes)
        }
        _ => None,
    });
    let crashes = |change: &Change| match change {
        Change::Tried { doc, crashes, .. } => Some((*doc, *crashes)),
        _ => None,
    };
    let counts: BTreeMap<DocId, u32> = told.flatten().filter_map(crashes).collect();
    let owned = alone.node.state().documents_of(id(0)).map(|(doc, _)| (doc, 1));
    assert_eq!(counts, owned.collect(), "of each document that it has claimed");
    assert!(counts.len() > 10);
}

#[test]
fn a_node_to_which_half_of_the_cluster_comes_back_was_away_itself() {
    for (back, away) in [(vec![2, 3], true), (vec![3], false)] {
        let mut alone = Alone::new(settings(1), false);
        alone.sees(&[1, 2, 3]);
        alone.wait(Micros::from_millis(500));
        let stayed: Vec<usize> = (1..4).filter(|peer| !back.contains(peer)).collect();
        alone.sees(&stayed);
        alone.wait(Micros::from_millis(500));
        assert!(alone.node.may_act());
        alone.sees(&[1, 2, 3]);
        assert_eq!(alone.node.may_act(), !away, "{back:?} come back");
    }
}

#[test]
fn what_is_told_ahead_of_a_log_is_in_the_journal() {
    let settings = Settings { journal_bytes: Some(1 << 20), ..settings(1) };
    let mut alone = Alone::new(settings.clone(), false);
    alone.sees(&[1]);
    let (batch, changes) = owned_by(0, 9);
    let notes = alone.hears(1, ahead(changes)).into_iter().filter_map(|effect| match effect {
        Effect::Note { number, note } => Some((number, note)),
        _ => None,
    });
    let again = Node::recover(alone.node.me(), settings, 1, notes, &mut Outbox::new());
    assert_eq!(again.state().owned_by(id(0)), 9, "of batch {batch}");
}

#[test]
fn what_a_node_has_seen_counts_as_a_copy_only_when_its_disk_has_it() {
    let mut alone = Alone::new(Settings { journal_bytes: Some(1 << 20), ..settings(1) }, false);
    let said = |effects: &[Effect]| pulls(effects, 1).into_iter().map(|(_, synced)| synced).collect::<BTreeSet<bool>>();
    alone.sees(&[1]);
    let mut asks = |input: Option<Input>| {
        let told = input.map(|input| alone.tell(input)).unwrap_or_default();
        let news = alone.hears(1, Message::Head { head: 9 });
        said(&[told, news, alone.wait(Micros::from_millis(2_300))].concat())
    };
    assert_eq!(asks(None), [true].into());
    assert_eq!(asks(Some(Input::DiskFails)), [false].into());
    // The journal has a hole until all of it is written anew, which is so at once where there is little.
    assert_eq!(asks(Some(Input::DiskWorks)), [true].into());
}

#[test]
fn what_came_while_the_disk_failed_is_written_down_when_it_works() {
    let settings = Settings { journal_bytes: Some(1 << 20), ..settings(1) };
    let mut alone = Alone::new(settings.clone(), false);
    alone.sees(&[1]);
    alone.tell(Input::DiskFails);
    let (_, changes) = owned_by(1, 9);
    let noted = |effects: Vec<Effect>| {
        let note = |effect| match effect {
            Effect::Note { number, note } => Some((number, note)),
            _ => None,
        };
        effects.into_iter().filter_map(note).collect::<Vec<(u64, Note)>>()
    };
    assert_eq!(noted(alone.hears(1, ahead(changes))), []);
    let notes = noted(alone.tell(Input::DiskWorks));
    let again = Node::recover(alone.node.me(), settings, 1, notes, &mut Outbox::new());
    assert_eq!(again.state().owned_by(id(1)), 9);
}

/// It would start again before anybody has taken it, though it is to rest.
#[test]
fn what_rests_goes_on_resting_where_the_disk_fails() {
    let mut alone = Alone::new(Settings { journal_bytes: Some(1 << 20), ..settings(1) }, false);
    alone.sees(&[1]);
    let (_, mut changes) = owned_by(0, 1);
    if let Change::Batch(batch) = &mut changes[0] {
        batch.options = BatchOptions { retries: 3, backoff_millis: 60_000, ..BatchOptions::default() };
    }
    let starts = alone.hears(1, ahead(changes));
    let started = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Start(claim) => Some((claim.doc, claim.epoch)),
            _ => None,
        })
    };
    let (doc, epoch) = started(&starts).expect("it starts at once");
    alone.tell(Input::Exited(Exited { doc, epoch, success: false, took: Micros::from_millis(5) }));
    // Nobody is there to take it.
    alone.sees(&[]);
    let mut after = alone.tell(Input::DiskFails);
    after.extend(alone.wait(Micros::from_secs(2)));
    after.extend(alone.tell(Input::DiskWorks));
    after.extend(alone.wait(Micros::from_secs(2)));
    assert_eq!(started(&after), None, "it rests for a minute");
}
