//! Whom this node believes to live, whether it can believe itself, and whether it sees enough to act.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::sync::RETURN_DETECTIONS;
use super::timers::Timer;
use crate::ids::{NodeId, Origin};
use crate::load::View;
use crate::outbox::{Event, Outbox};
use crate::settings::{Partition, Settings};
use crate::units::Micros;

/// An owner that is not in view.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    /// Since when.
    pub(super) since: Micros,
    /// Live nodes that have not answered a pull since then: they may know of documents that it had given away or ended.
    pub(super) unheard: BTreeSet<NodeId>,
}

/// What this node remembers of who lived when.
#[derive(Debug, Clone, Default)]
pub(super) struct Membership {
    /// Owners that are not in view.
    pub(super) missing: BTreeMap<NodeId, Missing>,
    /// Nodes that have been in view during this run.
    met: BTreeSet<NodeId>,
    /// Nodes that have been in view during any run, as far as the journal tells.
    pub(super) company: BTreeSet<NodeId>,
    /// Runs of nodes that have gone out of view without a word that they leave, and may live all the same.
    silent: BTreeSet<Origin>,
    /// Members, this node aside, at the time when the view was last quiet for a while.
    stable: BTreeSet<NodeId>,
    changed: Micros,
    /// Since when less than half of `stable` is in view.
    minority_since: Option<Micros>,
}

/// Catching up before acting: a node that stood still, or came back, may have been declared dead meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Settling {
    /// Peers that lived when it began, or that others say live, and whose answer has not come.
    waiting: BTreeSet<NodeId>,
    heard: BTreeSet<NodeId>,
    /// When it goes on all the same, since nobody else seems to be left.
    until: Micros,
}

impl Settling {
    pub(super) fn new(now: Micros, settings: &Settings, waiting: BTreeSet<NodeId>) -> Settling {
        let until = now + settings.detection + settings.takeover_delay;
        Settling { waiting, heard: BTreeSet::new(), until }
    }
}

impl Node {
    /// A step that comes half a detection time after the last one means that this process stood still: the others
    /// may have given it up, and what it knows is old.
    pub(super) fn notice_pause(&mut self, before: Micros, out: &mut Outbox) {
        if before == Micros::ZERO || self.now.since(before) <= Micros(self.settings.detection.0 / 2) {
            return;
        }
        let waiting = self.view.live.keys().copied().collect();
        self.settling = Some(Settling::new(self.now, &self.settings, waiting));
        self.pulling.clear();
        self.membership.missing.clear();
        self.withdraw_all();
        out.observe(Event::Paused);
    }

    /// Takes in a new picture of the live nodes.
    pub(super) fn see(&mut self, mut view: View, out: &mut Outbox) {
        // More nodes than an allocation map can name are more than any cluster has: somebody makes them up.
        view.live.retain(|node, _| *node != self.me.node && self.state.can_name(*node));
        let before = std::mem::replace(&mut self.view, view);
        let mut changed = false;
        for (node, peer) in &before.live {
            let now = self.view.live.get(node).map(|now| now.generation);
            if now != Some(peer.generation) {
                changed = true;
                out.observe(Event::Silent(*node));
                if let Some(settling) = &mut self.settling {
                    settling.waiting.remove(node);
                }
                for missing in self.membership.missing.values_mut() {
                    missing.unheard.remove(node);
                }
                let origin = Origin { node: *node, generation: peer.generation };
                if now.is_none() && peer.load.draining {
                    self.membership.stable.remove(node);
                } else {
                    self.membership.silent.insert(origin);
                }
                self.forget_peer(origin, out);
            }
        }
        for node in self.view.live.keys().copied().collect::<Vec<_>>() {
            self.note_company(node, out);
        }
        let mut joined = false;
        let mut back = BTreeSet::new();
        for (node, peer) in &self.view.live {
            if before.live.get(node).is_none_or(|before| before.generation != peer.generation) {
                joined = true;
                out.observe(Event::Joined(*node));
                self.membership.met.insert(*node);
                if self.membership.silent.contains(&Origin { node: *node, generation: peer.generation }) {
                    back.insert(*node);
                }
                self.membership.silent.retain(|origin| origin.node != *node);
                // Of those that come later, the others know better whether they are to be waited for.
                if let Some(settling) = &mut self.settling
                    && settling.heard.is_empty()
                {
                    settling.waiting.insert(*node);
                }
            }
        }
        if changed || joined {
            self.membership.changed = self.now;
            self.timers.arm_by(Timer::Average, self.now + Micros(self.settings.gossip_interval.0 / 2));
        }
        // Where half of those who are left come back at once, it is rather this node that was away, and was given up.
        let away = !back.is_empty() && 2 * back.len() > self.view.live.len();
        if (away || (self.returning && !self.reclaimed && joined)) && self.settling.is_none() {
            let waiting = if away { back } else { self.view.live.keys().copied().collect() };
            self.settling = Some(Settling::new(self.now, &self.settings, waiting));
            self.withdraw_all();
            out.observe(Event::Settling);
        }
        self.measure_pace();
        self.pull(out);
    }

    fn forget_peer(&mut self, origin: Origin, out: &mut Outbox) {
        self.pulling.remove(&origin.node);
        self.relog_ahead(origin, out);
        if self.dry.as_ref().is_some_and(|dry| dry.asked == Some(origin.node)) {
            self.dry = None;
        }
        let gone: Vec<_> = self.offers.iter().filter(|(_, offer)| offer.to == origin.node).map(|(id, _)| *id).collect();
        for id in gone {
            self.withdraw(id);
        }
    }

    /// A peer has answered in full a pull of that time, and named the nodes that live: what they alone know is waited for
    /// too, whether they have been met already or not.
    pub(super) fn heard_from(&mut self, peer: NodeId, pulled: Micros, live: &[NodeId]) {
        for missing in self.membership.missing.values_mut().filter(|missing| missing.since <= pulled) {
            missing.unheard.remove(&peer);
        }
        if let Some(settling) = &mut self.settling {
            settling.waiting.remove(&peer);
            settling.heard.insert(peer);
            let unheard = live.iter().filter(|node| **node != self.me.node && !settling.heard.contains(node));
            settling.waiting.extend(unheard);
        }
    }

    /// Live nodes whose answer is waited for before this node acts, or before it inherits.
    pub(super) fn to_be_asked(&self) -> Vec<NodeId> {
        let settling = self.settling.iter().flat_map(|settling| &settling.waiting);
        let missing = self.membership.missing.values().flat_map(|missing| &missing.unheard);
        let asked: BTreeSet<NodeId> = settling.chain(missing).copied().collect();
        asked.into_iter().filter(|node| self.view.live.contains_key(node)).collect()
    }

    /// How long an owner must have been missing before it counts as dead. One that was never seen may only not have been
    /// met yet.
    pub(super) fn takeover_delay(&self, owner: NodeId) -> Micros {
        let delay = self.settings.takeover_delay;
        if self.membership.met.contains(&owner) { delay } else { delay + self.settings.detection }
    }

    /// Ends the catching up when it is complete, and keeps the memory of the membership.
    pub(super) fn settle(&mut self, out: &mut Outbox) {
        if let Some(settling) = &self.settling {
            let complete = !settling.heard.is_empty() && settling.waiting.is_empty();
            if complete || self.now >= settling.until {
                self.settling = None;
                if self.returning && !self.reclaimed {
                    self.reclaim(out);
                }
                out.observe(Event::Settled);
                self.release_held(out);
            }
        }
        self.notice_minority(out);
        // What a minority sees is never the measure of what is whole, however long it lasts.
        let quiet = self.now.since(self.membership.changed) >= self.settings.detection;
        if quiet && self.membership.minority_since.is_none() {
            self.membership.stable = self.view.live.keys().copied().collect();
        }
    }

    fn notice_minority(&mut self, out: &mut Outbox) {
        let stable = &self.membership.stable;
        let seen = stable.iter().filter(|node| self.view.live.contains_key(node)).count();
        let minority = 2 * (seen + 1) < stable.len() + 1;
        let was = self.membership.minority_since.is_some();
        if minority && !was {
            self.membership.minority_since = Some(self.now);
        } else if !minority {
            self.membership.minority_since = None;
        }
        if minority != was && self.settings.partition == Partition::Cautious {
            out.observe(Event::Minority(minority));
        }
    }

    /// Whether a cautious node sees too little of the cluster to start or claim anything.
    fn holds_back(&self) -> bool {
        if self.settings.partition == Partition::Available {
            return false;
        }
        self.membership
            .minority_since
            .is_some_and(|since| self.settings.minority_delay.is_none_or(|delay| self.now.since(since) < delay))
    }

    /// Whether nodes that were there a short while ago are out of view and had not said that they leave: rather than alone,
    /// this node may be cut off from them, with the only copy of something.
    pub(super) fn misses_somebody(&self) -> bool {
        let patience = self.settings.detection.times(RETURN_DETECTIONS);
        self.now.since(self.membership.changed) < patience && !self.membership.silent.is_empty()
    }

    /// Whether this node may start, give, take and claim documents.
    pub fn may_act(&self) -> bool {
        self.settling.is_none() && !self.holds_back() && !self.left
    }
}
