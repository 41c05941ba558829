//! Making states equal: flush, pull, answer, and copies sent ahead of the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Node;
use super::ownership::Route;
use crate::bundle::Bundle;
use crate::change::{Change, Clock};
use crate::docset::DocSet;
use crate::ids::{BatchId, Epoch, Generation, NodeId, Origin, SegmentNumber};
use crate::journal::Note;
use crate::load::Peer;
use crate::log::{Answer, Misplaced, covers};
use crate::message::{Cursor, Message, Reason};
use crate::outbox::{Event, Outbox};
use crate::record::Record;
use crate::state::Malformed;
use crate::units::Micros;

/// Bytes of changes in one answer, about.
const ANSWER_BYTES: usize = 1 << 20;

/// Pulls under way at once.
const MAX_PULLS: usize = 8;

/// Pulls that are begun in one gossip interval where more peers have something new than could be asked at once. News
/// reaches everybody within log2(n) rounds with one of them; the others are for what is lost.
const SOME_PULLS: usize = 3;

/// Peers that are told at once of something urgent; in a larger cluster gossip tells the rest.
const MAX_NUDGED: usize = 64;

/// Time for which states may differ though logs do not: some gossip intervals, and so long at least.
const UNLIKE_INTERVALS: u64 = 10;
const UNLIKE_TIME: Micros = Micros::from_secs(2);

/// A pull that has not been answered.
#[derive(Debug, Clone)]
pub(super) struct Pulling {
    since: Micros,
    number: u64,
    /// It asks for the state itself.
    snapshot: bool,
}

/// What a peer has by its pulls.
#[derive(Debug, Clone)]
pub(super) struct Pulled {
    /// In which run: the next begins with nothing.
    pub(super) generation: Generation,
    /// Changes of this node's own log.
    pub(super) own: u64,
    /// All that was known here when the mark was set.
    passed_mark: bool,
    /// When it was live last.
    live: Micros,
}

/// Detection times for which logs are kept for a peer that is away: if it was only cut off, it then goes on where it was.
pub(super) const RETURN_DETECTIONS: u64 = 30;

/// Gossip intervals for which the logs of others are waited for before a snapshot is asked for.
const GAP_INTERVALS: u64 = 2;

/// What parts of a snapshot have told, which may be in no log but those of their giver. It is kept until this node has
/// those logs; if the giver is gone first, it goes into this node's own, like what was told ahead of a log. Otherwise it would
/// be known here, and never be told to anybody.
#[derive(Debug, Clone, Default)]
pub(super) struct Borrowed {
    /// When the last part came.
    last: Micros,
    bundle: Bundle,
    /// What is not bundled.
    whole: Vec<Change>,
}

impl Borrowed {
    fn add(&mut self, now: Micros, news: Vec<Change>) {
        self.last = now;
        self.whole.extend(news.into_iter().filter_map(|change| self.bundle.add(change)));
    }
}

/// What a puller asks for.
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) generation: Generation,
    pub(super) clock: Arc<Clock>,
    pub(super) synced: bool,
    pub(super) snapshot: Option<Cursor>,
    pub(super) settling: bool,
}

impl Node {
    /// Writes what was decided since the last flush into the log.
    pub(super) fn flush(&mut self, out: &mut Outbox) {
        self.mark_running(out);
        for record in Record::pack(self.bundle.drain()) {
            self.log_own(record, out);
        }
        self.trim_log();
    }

    /// Writes a record into this node's own log.
    pub(super) fn log_own(&mut self, record: Record, out: &mut Outbox) {
        let logged = self.log.append(self.me, record);
        self.note(|| Note::Logged(logged), out);
    }

    /// Drops what all have who live, or lived a short while ago, and what exceeds the budget.
    ///
    /// Who has what is not kept for each, which would be a clock of all origins for every peer: there is a mark, and when
    /// all have passed it, the next is set.
    fn trim_log(&mut self) {
        let patience = self.settings.detection.times(RETURN_DETECTIONS);
        self.pulled.retain(|node, pulled| match self.view.live.get(node) {
            Some(peer) if peer.generation == pulled.generation => {
                pulled.live = self.now;
                true
            }
            Some(_) => false,
            None => self.now.since(pulled.live) < patience,
        });
        // Alone, nobody lags: whoever comes gets a snapshot. With a peer that never pulled, nothing is known by all.
        if self.pulled.is_empty() && self.view.live.is_empty() {
            self.log.drop_known(&self.log.clock().clone());
        } else if self.view.live.keys().all(|peer| self.pulled.contains_key(peer))
            && self.pulled.values().all(|pulled| pulled.passed_mark)
        {
            self.log.drop_known(&self.mark);
            self.mark = self.log.clock().clone();
            self.pulled.values_mut().for_each(|pulled| pulled.passed_mark = false);
        }
        self.log.drop_beyond(self.settings.log_bytes);
    }

    /// Tells which documents have been running since before the last flush; shorter ones end untold.
    fn mark_running(&mut self, out: &mut Outbox) {
        let interval = self.settings.gossip_interval;
        let mut marks: std::collections::BTreeMap<(BatchId, Epoch), DocSet> = Default::default();
        for (doc, running) in &mut self.running {
            if !running.marked && self.now.since(running.started) >= interval {
                running.marked = true;
                marks.entry((doc.batch, running.epoch)).or_default().insert(doc.number);
            }
        }
        let node = self.me.node;
        for ((batch, epoch), docs) in marks {
            self.decide(Change::Running { batch, docs, epoch, node }, out);
        }
    }

    /// Tells peers at once that the log has grown.
    pub(super) fn nudge(&mut self, out: &mut Outbox) {
        let head = self.log.head(self.me);
        for peer in self.view.live.keys().take(MAX_NUDGED) {
            out.send(*peer, Message::Head { head });
        }
    }

    pub(super) fn hear_head(&mut self, from: NodeId, head: u64, out: &mut Outbox) {
        if let Some(peer) = self.view.live.get(&from)
            && head > self.log.head(Origin { node: from, generation: peer.generation })
        {
            self.pull_from(from, None, out);
        }
    }

    /// Pulls from whoever has something new: first from the writers themselves, then from anyone who has seen what this
    /// node has not.
    pub(super) fn pull(&mut self, out: &mut Outbox) {
        let patience = self.settings.gossip_interval.times(10).max(Micros::from_secs(2));
        self.pulling.retain(|_, pulling| self.now.since(pulling.since) < patience);
        let digest = self.log.digest();
        let mut behind = Vec::new();
        let mut different = Vec::new();
        for (node, peer) in &self.view.live {
            let head = self.log.head(Origin { node: *node, generation: peer.generation });
            if peer.load.head > head {
                behind.push(*node);
            } else if peer.load.digest != digest {
                different.push(*node);
            }
        }
        // Also from those that seem to have nothing new: what they were told ahead of a log they tell only when asked.
        let mut asked = self.to_be_asked();
        if self.settling.is_some() {
            asked.append(&mut behind);
            asked.append(&mut different);
        } else if behind.is_empty() && !different.is_empty() {
            let chosen = self.chance.below(different.len() as u64) as usize;
            behind.push(different[chosen]);
        }
        for node in asked {
            self.pull_from(node, None, out);
        }
        // Where more have something new than can be asked at once, each has most of what the others have: a few, and every
        // time others, so that not all nodes ask the same.
        if behind.len() > MAX_PULLS {
            for place in 0..SOME_PULLS {
                let other = place + self.chance.below((behind.len() - place) as u64) as usize;
                behind.swap(place, other);
            }
            behind.truncate(SOME_PULLS);
        }
        for node in behind {
            if self.pulling.len() >= MAX_PULLS {
                break;
            }
            self.pull_from(node, None, out);
        }
    }

    /// Pulls the state itself from a peer that has seen the same, and knows something else all the same.
    ///
    /// For an instant this is so again and again: what was decided since the last flush, or sent ahead of a log, is in a
    /// state before it is in a log. If it lasts, no log will tell.
    pub(super) fn pull_unlike(&mut self, out: &mut Outbox) {
        let (digest, state) = (self.log.digest(), self.state.digest());
        let unlike = |peer: &Peer| peer.load.digest == digest && peer.load.state != state;
        self.unlike.retain(|node, _| self.view.live.get(node).is_some_and(unlike));
        for (node, _) in self.view.live.iter().filter(|(_, peer)| unlike(peer)) {
            self.unlike.entry(*node).or_insert(self.now);
        }
        let patience = self.settings.gossip_interval.times(UNLIKE_INTERVALS).max(UNLIKE_TIME);
        let late = self.unlike.iter().find(|(_, since)| self.now.since(**since) >= patience).map(|(node, _)| *node);
        if let Some(peer) = late {
            // With luck one answer does for all.
            self.unlike.clear();
            out.observe(Event::Unlike(peer));
            self.pull_from(peer, Some(Cursor::start()), out);
        }
    }

    fn pull_from(&mut self, peer: NodeId, snapshot: Option<Cursor>, out: &mut Outbox) {
        if self.pulling.contains_key(&peer) && snapshot.is_none() {
            return;
        }
        let number = self.next_pull;
        self.next_pull = number.wrapping_add(1);
        self.pulling.insert(peer, Pulling { since: self.now, number, snapshot: snapshot.is_some() });
        let clock = self.log.clock().clone();
        let settling = self.settling.is_some();
        let missing = self.membership.missing.keys().copied().collect();
        let (generation, synced) = (self.me.generation, !self.ailing && !self.mending);
        out.send(peer, Message::Pull { number, generation, clock, synced, snapshot, settling, missing });
    }

    pub(super) fn answer_pull(&mut self, from: NodeId, pull: Asked, out: &mut Outbox) {
        let Asked { number, generation, clock, synced, snapshot, settling } = pull;
        if self.view.live.get(&from).is_some_and(|peer| peer.generation > generation) {
            return;
        }
        let next_run = Origin { node: from, generation };
        self.relog_where(|origin| origin.node == from && *origin < next_run, out);
        if synced {
            self.note_holder(from, clock.get(&self.me));
        }
        if snapshot.is_some() {
            // Whoever has all logs that are here is then to have all that a snapshot says.
            self.relog_where(|_| true, out);
            self.flush(out);
        }
        let answer = match snapshot {
            Some(Cursor { batch: None, .. }) => {
                self.snapshot_part(number, Cursor { base: self.log.clock().clone(), ..Cursor::start() })
            }
            Some(cursor) => self.snapshot_part(number, cursor),
            None => {
                let Answer { records, more, gap } = self.log.answer(&clock, ANSWER_BYTES);
                let live = if settling { self.view.live.keys().copied().collect() } else { Vec::new() };
                Message::Changes { number, records, more, gap, live }
            }
        };
        let own = if synced { clock.get(&self.me) } else { 0 };
        let before = self.pulled.get(&from).filter(|pulled| pulled.generation == generation);
        let (known, passed) = before.map_or((0, false), |pulled| (pulled.own, pulled.passed_mark));
        let passed_mark = passed || covers(&clock, &self.mark);
        self.pulled.insert(from, Pulled { generation, own: own.max(known), passed_mark, live: self.now });
        out.send(from, answer);
        self.acknowledge(out);
    }

    fn snapshot_part(&self, number: u64, cursor: Cursor) -> Message {
        let (changes, next) = self.state.snapshot_part(&cursor);
        let complete = next.is_none();
        let next = next.unwrap_or(Cursor { base: cursor.base, batch: None, segment: SegmentNumber(0) });
        Message::Snapshot { number, changes, next, complete }
    }

    pub(super) fn take_changes(
        &mut self,
        from: NodeId,
        number: u64,
        Answer { records, more, gap }: Answer,
        live: &[NodeId],
        out: &mut Outbox,
    ) {
        let pulled = self.answered(from, number);
        let mut news = false;
        for logged in records {
            if logged.origin == self.me || self.log.place(&logged) != Ok(()) {
                debug_assert!(logged.origin != self.me || self.log.place(&logged) == Err(Misplaced::Known));
                continue;
            }
            self.note(|| Note::Logged(logged.clone()), out);
            let mut early = false;
            for change in logged.record.changes() {
                // What else is malformed counts as seen, so that it does not stop all that follows.
                let merged = self.merge(from, Route::Log, change, out);
                early |= matches!(merged, Err(Malformed::TooEarly(_)));
            }
            // It would be lost if it were counted as seen: the record comes again with a later pull.
            if early {
                continue;
            }
            if let Some(ahead) = self.ahead.get_mut(&logged.origin) {
                logged.record.changes().iter().for_each(|change| ahead.subtract(change));
                if ahead.is_empty() {
                    self.ahead.remove(&logged.origin);
                }
            }
            self.log.push(logged);
            news = true;
        }
        // What comes twice, or late, is merged all the same, but asks for nothing: else one answer that is doubled would be
        // followed by two, and so on.
        let Some(since) = pulled else { return };
        if gap {
            self.mind_gap(from, out);
        } else {
            self.gaps.remove(&from);
        }
        if !more && !gap {
            self.heard_from(from, since, live);
            // All that was in its state is now in logs here, or is known here to be missing in them.
            self.borrowed.retain(|giver, borrowed| giver.node != from || borrowed.last > since);
        }
        // Pulling until nothing comes also tells the peer what has arrived here.
        if news {
            self.pull_from(from, None, out);
        }
    }

    /// A peer has logs that no longer reach back to what this node has seen. Their writers may still have what is missing,
    /// and are pulled from too; so for a while nothing is done. Then the state itself is asked for, of one peer at a time:
    /// for whoever has it in this way has no log of it to give to others, and what nobody has a log of, all must ask for so.
    fn mind_gap(&mut self, peer: NodeId, out: &mut Outbox) {
        let since = *self.gaps.entry(peer).or_insert(self.now);
        let is_new = self.log.clock().is_empty();
        let late = self.now.since(since) >= self.settings.gossip_interval.times(GAP_INTERVALS);
        if (is_new || late) && !self.pulling.values().any(|pulling| pulling.snapshot) {
            self.pull_from(peer, Some(Cursor::start()), out);
        }
    }

    /// When the pull was sent that is answered; `None` if it is not the latest from that peer.
    fn answered(&mut self, from: NodeId, number: u64) -> Option<Micros> {
        let latest = self.pulling.get(&from).is_some_and(|pulling| pulling.number == number);
        if latest { self.pulling.remove(&from).map(|pulling| pulling.since) } else { None }
    }

    pub(super) fn take_snapshot(
        &mut self,
        from: NodeId,
        number: u64,
        changes: Vec<Change>,
        next: Cursor,
        complete: bool,
        out: &mut Outbox,
    ) {
        // Only in its turn: of another series, or for another run of this node, parts may be missing.
        if self.answered(from, number).is_none() {
            return;
        }
        let generation = self.view.live.get(&from).map_or(Generation(0), |peer| peer.generation);
        let giver = Origin { node: from, generation };
        for change in changes {
            self.note(|| Note::Known(change.clone()), out);
            let news = self.state.news(&change);
            match self.merge(from, Route::Log, &change, out) {
                Ok(()) => self.borrowed.entry(giver).or_default().add(self.now, news),
                // Without what finds no room the rest is worth nothing, and is asked for anew.
                Err(Malformed::TooEarly(_)) => return,
                // The merge has reported it.
                Err(_) => {}
            }
        }
        if complete {
            if !self.mending {
                self.note(|| Note::Seen(next.base.clone()), out);
            }
            self.log.advance(&next.base);
            self.pull_from(from, None, out);
        } else {
            self.pull_from(from, Some(next), out);
        }
    }

    /// Sends copies of changes to one peer ahead of the log.
    pub(super) fn send_ahead(&mut self, to: NodeId, reason: Reason, changes: Vec<Change>, out: &mut Outbox) {
        out.send(to, Message::Ahead { generation: self.me.generation, reason, changes });
    }

    /// Merges copies of changes that came ahead of their log, and keeps them until the log has carried them too.
    pub(super) fn take_ahead(
        &mut self,
        from: NodeId,
        generation: Generation,
        reason: Reason,
        changes: Vec<Change>,
        out: &mut Outbox,
    ) {
        match reason {
            Reason::Offer(id) => drop(self.grants.remove(&(from, id))),
            Reason::Dry => self.dry_answered(from),
            Reason::Drain | Reason::Result | Reason::Claim => {}
        }
        let origin = Origin { node: from, generation };
        let gone = self.view.live.get(&from).is_none_or(|peer| peer.generation > generation);
        for change in changes {
            self.note(|| Note::Ahead(origin, change.clone()), out);
            if self.merge(from, Route::Ahead, &change, out).is_err() {
                continue;
            }
            if gone {
                self.bundle.add(change);
            } else {
                self.ahead.entry(origin).or_default().add(change);
            }
        }
    }

    /// A peer is about to inherit from these.
    pub(super) fn relog_missing(&mut self, missing: &[NodeId], out: &mut Outbox) {
        if !missing.is_empty() {
            self.relog_where(|origin| missing.contains(&origin.node), out);
        }
    }

    /// What these nodes have told ahead of their logs, or in a snapshot, goes into this node's own log.
    pub(super) fn relog_where(&mut self, wanted: impl Fn(&Origin) -> bool, out: &mut Outbox) {
        let origins: BTreeSet<Origin> =
            self.ahead.keys().chain(self.borrowed.keys()).filter(|origin| wanted(origin)).copied().collect();
        for origin in origins {
            self.relog_ahead(origin, out);
        }
    }

    /// A peer has died: what it told only here goes into this node's own log, at once, since its heirs, or the peer's
    /// own next run, are about to pull.
    pub(super) fn relog_ahead(&mut self, origin: Origin, out: &mut Outbox) {
        let mut ahead = self.ahead.remove(&origin).unwrap_or_default();
        let Borrowed { mut bundle, whole, .. } = self.borrowed.remove(&origin).unwrap_or_default();
        for record in Record::pack(whole.into_iter().chain(bundle.drain()).chain(ahead.drain())) {
            self.log_own(record, out);
        }
    }
}
