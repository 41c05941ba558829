//! Leaving cleanly: everything that waits is given away, what runs is finished, and the log is known elsewhere.

use std::collections::BTreeMap;

use super::Node;
use crate::balance::{SlowRule, allocate};
use crate::batch::Allocate;
use crate::change::{Change, Title};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, Epoch, NodeId, Origin};
use crate::message::Reason;
use crate::outbox::{Event, Outbox};
use crate::units::Length;

/// Documents given away in one tick, so that no tick is long.
const DRAIN_STEP: usize = 32_768;

impl Node {
    /// Somebody asks that a node leave: this one, or another through the log.
    pub(super) fn ask_to_drain(&mut self, origin: Origin, out: &mut Outbox) {
        if !self.state.is_draining(origin) {
            self.decide(Change::Draining(origin), out);
            self.nudge(out);
            out.publish(self.load());
        }
    }

    /// Gives away what waits; once nothing is left that is not known elsewhere, leaves.
    pub(super) fn drain_step(&mut self, out: &mut Outbox) {
        if !self.gives_away() || self.left || self.settling.is_some() {
            return;
        }
        self.withdraw_all();
        // One whose disk fails may start again before anybody has taken what rests: it goes on resting here.
        if self.is_draining() {
            let resting: Vec<DocId> = self.resting.keys().copied().collect();
            for doc in resting {
                self.resting.remove(&doc);
                self.put_back(doc);
            }
        }
        self.give_all(out);
        if !self.is_draining() {
            return;
        }
        let idle = self.running.is_empty() && self.closing.is_empty() && self.dying.is_empty() && self.held.is_empty();
        if idle {
            // What others have told only here, and may die before their logs are pulled: it must not leave with this node.
            self.relog_where(|_| true, out);
        }
        let alone = self.view.live.values().all(|peer| peer.load.draining) && !self.misses_somebody();
        if idle && (alone || (self.backlog.is_empty() && self.is_known_elsewhere())) {
            self.left = true;
            out.leave(self.backlog.len());
        }
    }

    fn give_all(&mut self, out: &mut Outbox) {
        let (standings, _) = self.standings();
        if self.backlog.is_empty() || !standings[1..].iter().any(|standing| standing.takes()) {
            return;
        }
        let mut walk = self.backlog.descending(Length::MAX);
        let docs: Vec<(DocId, Length)> = std::iter::from_fn(|| walk.next(Length::MAX)).take(DRAIN_STEP).collect();
        let lengths: Vec<Length> = docs.iter().map(|(_, length)| *length).collect();
        let rule = SlowRule::from(&self.settings);
        let owners = allocate(Allocate::Lpt, self.settings.metric, rule, &lengths, &standings[1..]);
        let mut gifts: BTreeMap<NodeId, Vec<DocId>> = BTreeMap::new();
        for ((doc, _), owner) in docs.iter().zip(owners) {
            gifts.entry(standings[1 + usize::from(owner)].node()).or_default().push(*doc);
        }
        for (to, docs) in gifts {
            self.hand_over(to, &docs, Reason::Drain, out);
        }
    }

    /// Gives documents away: from here on they are the receiver's.
    pub(super) fn hand_over(&mut self, to: NodeId, docs: &[DocId], reason: Reason, out: &mut Outbox) {
        let mut moves: BTreeMap<(BatchId, Epoch, Title), DocSet> = BTreeMap::new();
        let mut changes = Vec::new();
        for doc in docs {
            let slot = self.state.slot(*doc).expect("a document of this node has an entry");
            let title = slot.title().expect("a document that is given away has not ended").given_away();
            moves.entry((doc.batch, slot.epoch.next(), title)).or_default().insert(doc.number);
            let tries = self.state.tries(*doc);
            if tries != Default::default() {
                changes.push(Change::Tried { doc: *doc, failures: tries.failures, crashes: tries.crashes });
            }
        }
        for ((batch, epoch, title), docs) in moves {
            let change = Change::Moved { batch, docs, epoch, owner: to, title };
            self.decide(change.clone(), out);
            changes.push(change);
        }
        self.counters.moved += docs.len() as u64;
        out.observe(Event::Gave { documents: docs.len() as u64, to, reason });
        self.send_ahead(to, reason, changes, out);
    }

    /// Whether some live node that stays has all of this node's log.
    fn is_known_elsewhere(&self) -> bool {
        let head = self.log.head(self.me);
        self.bundle.is_empty()
            && self.view.live.iter().any(|(node, peer)| {
                let known = self.pulled.get(node).filter(|known| known.generation == peer.generation);
                !peer.load.draining && known.is_some_and(|known| known.own >= head)
            })
    }
}
