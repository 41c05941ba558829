//! Takeover: the heir of a dead owner's document claims it.
//!
//! Rendezvous hashing over the live nodes names one heir, the same on every node whose view agrees, whatever it thinks
//! of loads. Averaging evens out the rest.

use std::collections::BTreeMap;

use super::Node;
use super::execute::Closing;
use super::membership::Missing;
use crate::balance::heir;
use crate::change::{Change, Outcome, Title};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, Epoch, NodeId};
use crate::message::Reason;
use crate::outbox::{Event, Outbox, Verdict};
use crate::state::NodeIndex;
use crate::units::Micros;

/// Time, beyond the delay, for which an heir waits for the answers of all live nodes.
const ASKING: Micros = Micros::from_secs(2);

impl Node {
    /// Claims what this node inherits of owners that have been missing long enough.
    pub(super) fn take_over(&mut self, out: &mut Outbox) {
        let now = self.now;
        let owners: Vec<NodeId> = self.state.owners().map(|(node, _)| node).collect();
        let absent = |node: &NodeId| *node != self.me.node && !self.view.live.contains_key(node);
        let absent: Vec<NodeId> = owners.into_iter().filter(absent).collect();
        self.membership.missing.retain(|node, _| absent.contains(node));
        for node in &absent {
            let unheard = || self.view.live.keys().copied().collect();
            self.membership.missing.entry(*node).or_insert_with(|| Missing { since: now, unheard: unheard() });
        }
        if !self.may_act() {
            return;
        }
        for node in absent {
            let missing = &self.membership.missing[&node];
            let waited = now.since(missing.since);
            let delay = self.takeover_delay(node);
            if waited >= delay && (missing.unheard.is_empty() || waited >= delay + ASKING) {
                self.inherit(node, out);
            }
        }
    }

    fn inherit(&mut self, dead: NodeId, out: &mut Outbox) {
        let electorate = self.electorate();
        let heired = self.state.documents_of(dead).filter(|(doc, _)| heir(*doc, &electorate) == Some(self.me.node));
        let mine: Vec<_> = heired.map(|(doc, epoch)| (doc, epoch, Title::Claimed)).collect();
        if mine.is_empty() {
            return;
        }
        let documents = mine.len() as u64;
        self.claim(mine, dead, out);
        self.counters.taken_over += documents;
        out.observe(Event::TookOver { documents, from: dead });
        self.flush(out);
        self.nudge(out);
        self.timers.arm_by(super::Timer::Average, self.now + self.settings.gossip_interval);
    }

    /// What an earlier run of this node owned is given a new epoch before any of it starts: processes of that run, and
    /// what they still report, are then told from those of this one.
    pub(super) fn reclaim(&mut self, out: &mut Outbox) {
        self.reclaimed = true;
        let found = std::mem::take(&mut self.found);
        self.claim_again(found, |_| Title::Claimed, out);
        self.flush(out);
        self.nudge(out);
    }

    /// The same for what a log has brought since: it may have been given to an earlier run all the same, by a node that
    /// was away when this one asked around.
    pub(super) fn reclaim_found(&mut self, out: &mut Outbox) {
        if self.settling.is_none() && !self.found.is_empty() {
            let found = std::mem::take(&mut self.found);
            self.claim_again(found, Title::given_away, out);
        }
    }

    fn claim_again(&mut self, found: Vec<DocId>, title: impl Fn(Title) -> Title, out: &mut Outbox) {
        let slots = found.into_iter().filter_map(|doc| Some((doc, self.state.slot(doc)?)));
        let own = slots.filter(|(_, slot)| slot.is_owned_by(NodeIndex::ME));
        let own = own.filter_map(|(doc, slot)| Some((doc, slot.epoch, title(slot.title()?)))).collect();
        self.claim(own, self.me.node, out);
    }

    /// Gives documents of an owner that is gone to this node, by these titles, and counts a crash for those that it was running.
    fn claim(&mut self, mine: Vec<(DocId, Epoch, Title)>, gone: NodeId, out: &mut Outbox) {
        let ran: Vec<DocId> =
            mine.iter().map(|(doc, ..)| *doc).filter(|doc| self.state.running(*doc) == Some(gone)).collect();
        let mut claims: BTreeMap<(BatchId, Epoch, Title), DocSet> = BTreeMap::new();
        for (doc, epoch, title) in mine {
            claims.entry((doc.batch, epoch.next(), title)).or_default().insert(doc.number);
        }
        let owner = self.me.node;
        let claim = |((batch, epoch, title), docs)| Change::Moved { batch, docs, epoch, owner, title };
        let mut told: Vec<Change> = claims.into_iter().map(claim).collect();
        told.iter().for_each(|change| self.decide(change.clone(), out));
        // With the count: whoever claims next would else begin to count anew.
        told.extend(ran.into_iter().map(|doc| self.count_crash(doc, out)).collect::<Vec<_>>());
        self.confide(told, out);
    }

    /// Tells other nodes at once, as many as keep copies, of what must not be forgotten should this one die before its log is
    /// pulled: under which epochs it starts, and what it starts that others may have died of. Each time it tells others:
    /// where documents take their nodes with them, no node lives for long.
    pub(super) fn confide(&mut self, changes: Vec<Change>, out: &mut Outbox) {
        if changes.is_empty() {
            return;
        }
        let staying = self.view.live.iter().filter(|(_, peer)| !peer.load.draining).map(|(node, _)| *node);
        let mut staying: Vec<NodeId> = staying.collect();
        for _ in 0..self.settings.copies.min(staying.len()) {
            let place = self.chance.below(staying.len() as u64) as usize;
            let confidant = staying.swap_remove(place);
            self.send_ahead(confidant, Reason::Claim, changes.clone(), out);
        }
    }

    /// One owner more has died while running the document. After too many, the document is held to be the cause. Returns the
    /// count.
    fn count_crash(&mut self, doc: DocId, out: &mut Outbox) -> Change {
        let tries = self.state.tries(doc);
        let crashes = tries.crashes + 1;
        let count = Change::Tried { doc, failures: tries.failures, crashes };
        self.decide(count.clone(), out);
        if crashes >= self.settings.crash_limit && self.backlog.remove(doc) {
            let epoch = self.state.slot(doc).expect("a claimed document has an entry").epoch;
            let outcome = Outcome::Failed;
            self.closing.insert(doc, Closing { epoch, outcome, holds_slot: false });
            let attempt = crate::ids::Attempt(tries.failures.0 + 1);
            out.keep(Verdict { doc, epoch, attempt, outcome, poison: true });
        }
        count
    }
}
