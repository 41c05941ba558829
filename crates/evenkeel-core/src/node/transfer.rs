//! Levelling: the averaging step with its handshake, and the pull of a node that has run dry.
//!
//! A donor *offers*, the receiver *grants* by its own exact load, the donor commits and *hands over*. A grant is a
//! reservation, never ownership: whatever is lost on the way, each document has one owner.

use super::Node;
use super::timers::Timer;
use crate::balance::{EPSILON, Guard, Packing, Parcel, Row, Standing, Terms, best_response, grant, mean_level, plan};
use crate::docset::DocSet;
use crate::ids::{DocId, Epoch, NodeId, OfferId};
use crate::load::Load;
use crate::message::{Message, Offered, Reason};
use crate::outbox::Outbox;
use crate::settings::Metric;
use crate::units::{Length, Micros};

/// Documents in all offers of one averaging step.
const MAX_OFFERED: usize = 32_768;

/// Documents that a slow node exports in one step.
const MAX_EXPORTED: usize = 64;

/// Nodes that a dry node asks before it waits a gossip interval.
const MAX_VICTIMS: usize = 5;

/// Documents that are offered and may not start meanwhile.
#[derive(Debug, Clone)]
pub(super) struct OfferMade {
    pub(super) to: NodeId,
    pub(super) docs: Vec<Offered>,
    pub(super) work: f64,
    until: Micros,
}

/// Documents that were granted and have not come yet.
#[derive(Debug, Clone)]
pub(super) struct GrantGiven {
    pub(super) work: f64,
    documents: u64,
    until: Micros,
}

/// A search for work by a node that has run dry.
#[derive(Debug, Clone)]
pub(super) struct DryPull {
    /// Who was asked and has not answered.
    pub(super) asked: Option<NodeId>,
    until: Micros,
    refused: Vec<NodeId>,
}

impl Node {
    /// Documents in transfers under way from or to this node.
    pub fn in_flight(&self) -> u64 {
        let offered: u64 = self.offers.values().map(|offer| offer.docs.len() as u64).sum();
        offered + self.grants.values().map(|grant| grant.documents).sum::<u64>()
    }

    fn offer_patience(&self) -> Micros {
        self.settings.gossip_interval.times(2).max(Micros::from_millis(500))
    }

    /// The averaging step: offers what this node has too much of, by its own view.
    pub(super) fn average(&mut self, out: &mut Outbox) {
        let interval = self.settings.rebalance_interval.0;
        let jitter = self.chance.below(interval / 5 + 1);
        self.timers.arm(Timer::Average, self.now + Micros(interval - interval / 10 + jitter));
        if !self.may_act() || self.gives_away() || !self.offers.is_empty() || self.backlog.is_empty() {
            return;
        }
        let (standings, _) = self.standings();
        let guard = self.guard(&standings);
        let rows = plan(&standings, self.me.node, self.settings.averaging, self.settings.hysteresis);
        let mut parcels = self.pack(&standings, &rows, &guard);
        if parcels.is_empty()
            && let Some(row) = best_response(&standings, self.me.node, &guard, EPSILON)
        {
            parcels = self.pack(&standings, &[row], &guard);
        }
        for parcel in parcels {
            self.offer(parcel, out);
        }
        self.export(&standings, &guard, out);
    }

    /// The largest documents that fit into the rows of the plan.
    fn pack(&self, standings: &[Standing], rows: &[Row], guard: &Guard) -> Vec<Parcel<DocId>> {
        if rows.is_empty() {
            return Vec::new();
        }
        let mut packing = Packing::new(standings, self.me.node, rows, guard);
        let mut walk = self.backlog.descending(Length::MAX);
        let mut offered = 0;
        while offered < MAX_OFFERED
            && let Some(limit) = packing.limit()
            && let Some((doc, length)) = walk.next(self.longest_weighing(limit))
        {
            offered += usize::from(packing.place(doc, self.weigh(length)));
        }
        packing.parcels()
    }

    /// A slow node gives what it could not end in time to a fast one, whatever the levels.
    fn export(&mut self, standings: &[Standing], guard: &Guard, out: &mut Outbox) {
        let me = &standings[0];
        if self.settings.metric == Metric::Count || !guard.is_slow(me.speed()) {
            return;
        }
        let Some(refuge) = guard.refuge(standings, me) else { return };
        let mut walk = self.backlog.descending(Length::MAX);
        let late = std::iter::from_fn(|| walk.next(Length::MAX))
            .take_while(|(_, length)| !guard.in_time(me.speed(), length.as_f64()));
        let (docs, lengths): (Vec<DocId>, Vec<Length>) = late.take(MAX_EXPORTED).unzip();
        if !docs.is_empty() {
            let work = lengths.iter().map(|length| self.weigh(*length)).sum();
            let terms = Terms { work: me.work(), capacity: me.capacity(), mean: mean_level(standings), export: true };
            self.offer(Parcel { to: refuge.node(), terms, docs, work }, out);
        }
    }

    /// The longest document that weighs at most this.
    fn longest_weighing(&self, weight: f64) -> Length {
        match self.settings.metric {
            Metric::Length => Length(weight.clamp(0.0, Length::MAX.as_f64()) as u64),
            Metric::Count => Length::MAX,
        }
    }

    fn offer(&mut self, parcel: Parcel<DocId>, out: &mut Outbox) {
        let id = self.next_offer;
        self.next_offer = OfferId(id.0 + 1);
        let Parcel { to, terms, docs, work } = parcel;
        let docs: Vec<Offered> = docs
            .into_iter()
            .map(|doc| Offered {
                doc,
                epoch: self.state.slot(doc).expect("a waiting document has an entry").epoch,
                length: self.state.length(doc).expect("a waiting document has a length"),
            })
            .collect();
        for offered in &docs {
            assert!(self.backlog.remove(offered.doc), "{} was offered, but does not wait", offered.doc);
        }
        let until = self.now + self.offer_patience();
        self.offers.insert(id, OfferMade { to, docs: docs.clone(), work, until });
        let Terms { work, capacity, mean, export } = terms;
        out.send(to, Message::Offer { id, work, capacity, mean, export, docs });
    }

    /// The receiver's side: grants what is strictly better off here.
    pub(super) fn consider_offer(
        &mut self,
        from: NodeId,
        id: OfferId,
        terms: &Terms,
        docs: &[Offered],
        out: &mut Outbox,
    ) {
        let mut accepted = DocSet::new();
        let known = self.grants.contains_key(&(from, id));
        if self.may_act() && !self.gives_away() && !known && self.view.live.contains_key(&from) {
            let (standings, _) = self.standings();
            let guard = self.guard(&standings);
            let weights: Vec<f64> = docs.iter().map(|offered| self.weigh(offered.length)).collect();
            let places = grant(terms, &standings[0], &guard, &weights);
            accepted = places.iter().map(|place| crate::ids::DocNumber(*place as u32)).collect();
            if !places.is_empty() {
                let work = places.iter().map(|place| weights[*place]).sum();
                let until = self.now + self.offer_patience().times(2);
                self.grants.insert((from, id), GrantGiven { work, documents: places.len() as u64, until });
            }
        }
        out.send(from, Message::Grant { id, accepted, load: self.load() });
    }

    /// The donor's side: commits what was granted, keeps the rest.
    pub(super) fn take_grant(&mut self, from: NodeId, id: OfferId, accepted: &DocSet, load: Load, out: &mut Outbox) {
        self.believe(from, load);
        if self.offers.get(&id).is_none_or(|offer| offer.to != from) {
            return;
        }
        // A document lost, or cancelled, while it was on offer stays in the list, so that places keep their meaning.
        let offer = self.offers.remove(&id).expect("looked up just now");
        let mut given = Vec::new();
        for (place, offered) in offer.docs.iter().enumerate() {
            let ours = self.owns_at(offered);
            if ours && accepted.contains(crate::ids::DocNumber(place as u32)) {
                given.push(offered.doc);
            } else if ours {
                self.put_back(offered.doc);
            }
        }
        if !given.is_empty() {
            self.hand_over(from, &given, Reason::Offer(id), out);
        }
    }

    fn owns_at(&self, offered: &Offered) -> bool {
        let slot = self.state.slot(offered.doc);
        slot.is_some_and(|slot| slot.is_owned_by(crate::state::NodeIndex::ME) && slot.epoch == offered.epoch)
    }

    /// Takes an offer back.
    pub(super) fn withdraw(&mut self, id: OfferId) {
        if let Some(offer) = self.offers.remove(&id) {
            for offered in offer.docs {
                // One that was lost meanwhile, and has perhaps come back under another epoch, is where it should be.
                if self.owns_at(&offered) {
                    self.put_back(offered.doc);
                }
            }
        }
    }

    /// Takes all offers back.
    pub(super) fn withdraw_all(&mut self) {
        let offers: Vec<OfferId> = self.offers.keys().copied().collect();
        offers.into_iter().for_each(|id| self.withdraw(id));
    }

    /// A document of this node has a new epoch, under which it is still this node's: if it was on offer under the old one,
    /// it waits again.
    pub(super) fn renew(&mut self, doc: DocId, before: Epoch) {
        let offered =
            |offer: &OfferMade| offer.docs.iter().any(|offered| offered.doc == doc && offered.epoch == before);
        if self.offers.values().any(offered) {
            self.put_back(doc);
        }
    }

    /// Ends what has waited too long.
    pub(super) fn expire_transfers(&mut self) {
        let late: Vec<OfferId> =
            self.offers.iter().filter(|(_, offer)| offer.until <= self.now).map(|(id, _)| *id).collect();
        for id in late {
            self.withdraw(id);
        }
        self.grants.retain(|_, grant| grant.until > self.now);
        if self.dry.as_ref().is_some_and(|dry| dry.until <= self.now) {
            self.dry = None;
        }
    }

    /// A free slot and nothing that waits: asks the node with the longest waiting document for some.
    pub(super) fn run_dry(&mut self, want: u32, out: &mut Outbox) {
        let soon = |until: &Micros| until.since(self.now) <= self.settings.gossip_interval;
        if self.resting.values().any(soon) || !self.offers.is_empty() || !self.grants.is_empty() {
            return;
        }
        let mut refused = Vec::new();
        if let Some(dry) = &self.dry {
            if dry.asked.is_some() || dry.refused.len() >= MAX_VICTIMS {
                return;
            }
            refused = dry.refused.clone();
        }
        let level = |load: &Load| load.work / (f64::from(load.max_process) * load.bench).max(f64::MIN_POSITIVE);
        let victims = self.view.live.iter().filter(|(node, _)| !refused.contains(node));
        let victims = victims.filter_map(|(node, peer)| Some((peer.load.longest?, level(&peer.load), *node)));
        let victim = victims.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(b.2.cmp(&a.2)));
        let Some((_, _, victim)) = victim else { return };
        let until = self.now + self.offer_patience();
        self.dry = Some(DryPull { asked: Some(victim), until, refused });
        out.send(victim, Message::Dry { want, load: self.load() });
    }

    /// A peer has run dry: gives it the longest documents that wait here, unless they start here at once.
    pub(super) fn answer_dry(&mut self, from: NodeId, want: u32, load: Load, out: &mut Outbox) {
        self.believe(from, load);
        let free = (self.max_process as usize).saturating_sub(self.slots_in_use()) as u64;
        let spare = if self.gives_away() { self.backlog.len() } else { self.backlog.len().saturating_sub(free) };
        let want = u64::from(want).min(spare).min(MAX_OFFERED as u64) as usize;
        let docs = if self.may_act() { self.docs_for(from, want) } else { Vec::new() };
        if docs.is_empty() {
            out.send(from, Message::Nothing { load: self.load() });
        } else {
            self.hand_over(from, &docs, Reason::Dry, out);
        }
    }

    /// The longest waiting documents that this peer may run.
    fn docs_for(&self, peer: NodeId, want: usize) -> Vec<DocId> {
        let (standings, _) = self.standings();
        let Some(standing) = standings.iter().find(|standing| standing.node() == peer) else { return Vec::new() };
        let limit = self.longest_weighing(self.guard(&standings).longest_in_time(standing.speed()));
        let mut walk = self.backlog.descending(limit);
        std::iter::from_fn(|| walk.next(limit)).take(want).map(|(doc, _)| doc).collect()
    }

    pub(super) fn take_nothing(&mut self, from: NodeId, load: Load) {
        self.believe(from, load);
        if let Some(dry) = &mut self.dry
            && dry.asked == Some(from)
        {
            dry.asked = None;
            dry.refused.push(from);
            dry.until = self.now + self.settings.gossip_interval;
        }
    }

    pub(super) fn dry_answered(&mut self, from: NodeId) {
        if self.dry.as_ref().is_some_and(|dry| dry.asked == Some(from)) {
            self.dry = None;
        }
    }

    /// What a peer says of itself directly is newer than what gossip has brought.
    fn believe(&mut self, node: NodeId, load: Load) {
        if let Some(peer) = self.view.live.get_mut(&node) {
            peer.load = load;
        }
    }

    /// Documents of this node that are reserved in offers.
    pub(super) fn offered(&self) -> impl Iterator<Item = DocId> + '_ {
        let docs = self.offers.values().flat_map(|offer| &offer.docs);
        docs.filter(|offered| self.owns_at(offered)).map(|offered| offered.doc)
    }
}
