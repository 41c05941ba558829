//! What happens, told to whoever watches: the event stream, the log, and a few counters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{DocId, Generation, NodeId};
use evenkeel_core::message::Reason;
use evenkeel_core::outbox::Event;
use evenkeel_core::state::Passage;
use evenkeel_net::Members;
use tokio::time::Instant;

use super::status;
use crate::api::EventLog;
use crate::api::types::{Event as Told, NodeState};
use crate::histogram::{Histogram, OF_DOCUMENTS};
use crate::process::Ended;

/// Time between two looks: a round of gossip, before which there is nothing new of others.
const LOOK: Duration = Duration::from_secs(1);

/// Figures that are kept beside the core's own.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) durations: Histogram,
    pub(super) moved: BTreeMap<&'static str, u64>,
    pub(super) false_deaths: u64,
    /// By outcome, in the order of [`Documents::ended`].
    pub(super) ended: [u64; 3],
    pub(super) retried: u64,
    pub(super) pauses: u64,
    pub(super) ignored: u64,
    pub(super) turns: Histogram,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            durations: Histogram::new(OF_DOCUMENTS),
            // All of them from the start: a rate of what has only just come to be is not known.
            moved: ["averaging", "dry", "drain"].map(|reason| (reason, 0)).into(),
            false_deaths: 0,
            ended: [0; 3],
            retried: 0,
            pauses: 0,
            ignored: 0,
            turns: Histogram::default(),
        }
    }
}

/// Tells what happens.
pub(super) struct News {
    events: Arc<EventLog>,
    figures: Arc<Mutex<Figures>>,
    seen: BTreeMap<NodeId, (Generation, NodeState)>,
    in_equilibrium: Option<bool>,
    looked: Option<Instant>,
    /// Documents that others have claimed, by whose they were and who claimed them, as far as it has been told.
    claimed: BTreeMap<(NodeId, NodeId), u64>,
}

impl News {
    pub(super) fn new(events: Arc<EventLog>, figures: Arc<Mutex<Figures>>) -> News {
        News { events, figures, seen: BTreeMap::new(), in_equilibrium: None, looked: None, claimed: BTreeMap::new() }
    }

    fn figures(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A process has ended.
    pub(super) fn ran(&mut self, ended: &Ended) {
        self.figures(|figures| figures.durations.observe(Duration::from_micros(ended.wall_micros)));
    }

    /// The loop has taken so long over a turn.
    pub(super) fn turned(&self, took: Duration) {
        self.figures(|figures| figures.turns.observe(took));
    }

    /// The membership has changed.
    pub(super) fn see(&mut self, members: &Members) {
        for (&node, member, state) in status::held(members) {
            let generation = member.generation;
            let before = self.seen.insert(node, (generation, state));
            if before.is_some_and(|(_, before)| before == state) {
                continue;
            }
            // Another run of a node that comes back was not held dead wrongly, nor one whose goodbye was late.
            if before == Some((generation, NodeState::Dead)) && !state.is_gone() {
                self.figures(|figures| figures.false_deaths += 1);
            }
            match state {
                NodeState::Dead => tracing::warn!(%node, name = member.name, "a node is gone"),
                NodeState::Left => tracing::info!(%node, name = member.name, "a node has left"),
                _ => tracing::info!(%node, name = member.name, state = state.as_str(), "a node is here"),
            }
            self.events.publish(Told::NodeChanged { node, name: member.name.clone(), state });
        }
    }

    /// The core has something to tell.
    pub(super) fn tell(&mut self, event: Event, node: &Node) {
        let me = node.me().node;
        match event {
            // The membership tells of these, with names.
            Event::Joined(_) | Event::Silent(_) => {}
            Event::BatchKnown(batch) => {
                let documents = node.state().batch(batch).map_or(0, |state| state.description().documents);
                tracing::info!(%batch, documents, "batch");
                self.events.publish(Told::BatchAccepted { batch, documents });
            }
            Event::BatchFinished(batch) => {
                let tally = node.state().batch(batch).map(|state| state.tally()).unwrap_or_default();
                let (done, failed, cancelled) = (tally.done as u32, tally.failed as u32, tally.cancelled as u32);
                tracing::info!(%batch, done, failed, cancelled, "batch finished");
                self.events.publish(Told::BatchFinished { batch, done, failed, cancelled });
            }
            Event::BatchCancelled(batch) => {
                tracing::info!(%batch, "batch cancelled");
                self.events.publish(Told::BatchCancelled { batch });
            }
            Event::BatchRemoved(batch) => {
                tracing::info!(%batch, "batch removed");
                self.events.publish(Told::BatchRemoved { batch });
            }
            Event::Started(claim) => {
                let DocId { batch, number: document } = claim.doc;
                self.events.publish(Told::DocumentStarted { batch, document, attempt: claim.attempt });
            }
            Event::Retried { doc, attempt } => {
                self.figures(|figures| figures.retried += 1);
                tracing::debug!(document = %doc, %attempt, "failed; will be tried again")
            }
            Event::Ended { doc, outcome } => {
                let place = match outcome {
                    Outcome::Done => 0,
                    Outcome::Failed => 1,
                    Outcome::Cancelled => 2,
                };
                self.figures(|figures| figures.ended[place] += 1);
                if outcome == Outcome::Failed {
                    tracing::info!(document = %doc, "failed");
                }
                let DocId { batch, number: document } = doc;
                self.events.publish(Told::DocumentEnded { batch, document, outcome, node: me });
            }
            Event::Superseded(doc) => {
                tracing::warn!(document = %doc, "stopped: another node has this document");
                let owner = node.state().entry(doc).map_or(me, |entry| entry.node);
                let DocId { batch, number: document } = doc;
                self.events.publish(Told::DuplicateStopped { batch, document, owner });
            }
            Event::Gave { documents, to, reason } => {
                let word = match reason {
                    Reason::Offer(_) => "averaging",
                    Reason::Dry => "dry",
                    Reason::Drain => "drain",
                    Reason::Result => "result",
                    Reason::Claim => "claim",
                };
                self.figures(|figures| *figures.moved.entry(word).or_default() += documents);
                tracing::debug!(documents, %to, reason = word, "gave documents away");
                self.events.publish(Told::DocumentsMoved { from: me, to, documents });
            }
            Event::TookOver { documents, from } => {
                tracing::warn!(documents, %from, "took over the documents of a dead node");
                self.events.publish(Told::DocumentsTakenOver { from, to: me, documents });
            }
            Event::Paused => {
                self.figures(|figures| figures.pauses += 1);
                tracing::warn!("this node stood still; it catches up before it goes on");
            }
            Event::Settling => tracing::info!("this node was away; it catches up before it goes on"),
            Event::Settled => tracing::info!("caught up"),
            Event::Minority(true) => {
                tracing::warn!("this node sees less than half of the cluster; being cautious, it starts nothing");
            }
            Event::Unlike(peer) => {
                tracing::info!(%peer, "a peer has seen the same changes and knows something else: all of it is asked for");
            }
            Event::Minority(false) => tracing::info!("this node sees enough of the cluster again"),
            Event::Ignored { from, why } => {
                self.figures(|figures| figures.ignored += 1);
                tracing::warn!(%from, %why, "a peer sent a wrong change, which was ignored")
            }
        }
    }

    /// Looks now and then for what no single step of the core tells.
    pub(super) fn look(&mut self, node: &Node, now: Instant) {
        if self.looked.is_some_and(|looked| now - looked < LOOK) {
            return;
        }
        // What it knew when it began has happened to nobody who watches.
        let first = self.looked.replace(now).is_none();
        self.weigh(node);
        for passage in node.state().passages().filter(|passage| passage.claimed && passage.to != node.me().node) {
            let Passage { from, to, documents, .. } = passage;
            let before = self.claimed.insert((from, to), documents).unwrap_or_default();
            if documents > before && !first {
                self.events.publish(Told::DocumentsTakenOver { from, to, documents: documents - before });
            }
        }
    }

    /// Tells when the cluster comes into equilibrium or leaves it.
    fn weigh(&mut self, node: &Node) {
        let equilibrium = node.balance().equilibrium;
        if self.in_equilibrium.replace(equilibrium.in_equilibrium) != Some(equilibrium.in_equilibrium) {
            let in_equilibrium = equilibrium.in_equilibrium;
            self.events.publish(Told::EquilibriumChanged { in_equilibrium, regret: equilibrium.regret });
        }
    }
}

#[cfg(test)]
mod tests;
