//! Takeover: the heir of a dead owner's document claims it.
//!
//! Rendezvous hashing over the live nodes names one heir, the same on every node whose view agrees, whatever it thinks
//! of loads. Averaging evens out the rest.

use std::collections::BTreeMap;

use super::Node;
use super::execute::Closing;
use crate::balance::heir;
use crate::change::{Change, Outcome};
use crate::docset::DocSet;
use crate::ids::{BatchId, DocId, Epoch, NodeId};
use crate::outbox::{Event, Outbox, Verdict};

impl Node {
    /// Claims what this node inherits of owners that have been missing long enough.
    pub(super) fn take_over(&mut self, out: &mut Outbox) {
        let now = self.now;
        let owners: Vec<NodeId> = self.state.owners().filter(|(_, open)| *open > 0).map(|(node, _)| node).collect();
        let absent = |node: &NodeId| *node != self.me.node && !self.view.live.contains_key(node);
        let absent: Vec<NodeId> = owners.into_iter().filter(absent).collect();
        self.membership.missing.retain(|node, _| absent.contains(node));
        for node in &absent {
            self.membership.missing.entry(*node).or_insert(now);
        }
        if !self.may_act() {
            return;
        }
        for node in absent {
            if now.since(self.membership.missing[&node]) >= self.settings.takeover_delay {
                self.inherit(node, out);
            }
        }
    }

    fn inherit(&mut self, dead: NodeId, out: &mut Outbox) {
        let electorate = self.electorate();
        let mine: Vec<(DocId, Epoch)> =
            self.state.documents_of(dead).filter(|(doc, _)| heir(*doc, &electorate) == Some(self.me.node)).collect();
        if mine.is_empty() {
            return;
        }
        let documents = mine.len() as u64;
        self.claim(mine, dead, true, out);
        self.counters.taken_over += documents;
        out.observe(Event::TookOver { documents, from: dead });
        self.flush(out);
        self.nudge(out);
        self.timers.arm_by(super::Timer::Average, self.now + self.settings.gossip_interval);
    }

    /// What an earlier run of this node owned is given a new epoch before any of it starts: processes of that run, and
    /// what they still report, are then told from those of this one.
    pub(super) fn reclaim(&mut self, out: &mut Outbox) {
        let me = self.me.node;
        let mine = self.state.documents_of(me).collect();
        self.claim(mine, me, false, out);
        self.flush(out);
        self.nudge(out);
    }

    /// Gives documents of an owner that is gone to this node, and counts a crash for those that it was running.
    fn claim(&mut self, mine: Vec<(DocId, Epoch)>, gone: NodeId, claimed: bool, out: &mut Outbox) {
        let ran: Vec<DocId> =
            mine.iter().map(|(doc, _)| *doc).filter(|doc| self.state.running(*doc) == Some(gone)).collect();
        let mut claims: BTreeMap<(BatchId, Epoch), DocSet> = BTreeMap::new();
        for (doc, epoch) in mine {
            claims.entry((doc.batch, epoch.next())).or_default().insert(doc.number);
        }
        let owner = self.me.node;
        for ((batch, epoch), docs) in claims {
            self.decide(Change::Moved { batch, docs, epoch, owner, claimed }, out);
        }
        for doc in ran {
            self.count_crash(doc, out);
        }
    }

    /// One owner more has died while running the document. After too many, the document is held to be the cause.
    fn count_crash(&mut self, doc: DocId, out: &mut Outbox) {
        let tries = self.state.tries(doc);
        let crashes = tries.crashes + 1;
        self.decide(Change::Tried { doc, failures: tries.failures, crashes }, out);
        if crashes >= self.settings.crash_limit && self.backlog.remove(doc) {
            let epoch = self.state.slot(doc).expect("a claimed document has an entry").epoch;
            let outcome = Outcome::Failed;
            self.closing.insert(doc, Closing { epoch, outcome, holds_slot: false });
            let attempt = crate::ids::Attempt(tries.failures.0 + 1);
            out.keep(Verdict { doc, epoch, attempt, outcome, poison: true });
        }
    }
}
