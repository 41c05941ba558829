//! What this node has to do and how fast it is: its own load, its picture of everybody's, and how far they are from
//! equilibrium.

use super::Node;
use crate::balance::{
    EPSILON, Equilibrium, Guard, Measured, RateEstimate, SlowRule, Speeds, Standing, equilibrium, holders, regret,
    speeds, weigh,
};
use crate::ids::{BatchId, DocId, NodeId, SegmentNumber};
use crate::load::Load;
use crate::settings::Metric;
use crate::units::Length;

/// How this node must pace itself, reckoned once a tick: whether it is slow, and what it may start if it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Longest document that may be started; `None`: any.
    pub(super) start_limit: Option<Length>,
    /// Longest document that may be started when none is within the limit; `None`: none.
    pub(super) last_resort: Option<Length>,
    /// This node's speed, relative to the cluster's mean.
    pub(super) speed: f64,
    /// Work done in a second by one slot, if anything was measured.
    pub(super) rate: Option<f64>,
}

/// The balance of the cluster, by one node's view.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    /// Each live node's standing, this node's own being exact.
    pub standings: Vec<Standing>,
    /// How far they are from equilibrium.
    pub equilibrium: Equilibrium,
    /// The largest gain that a document of this node could have by moving alone.
    pub own_regret: f64,
    /// Work done in a second by one slot of nominal speed, if anything was measured.
    pub rate: Option<f64>,
}

impl Node {
    pub(super) fn weigh(&self, length: Length) -> f64 {
        weigh(self.settings.metric, length)
    }

    /// What a document counts for, by its length; 1 where that is not known.
    pub fn weight(&self, doc: DocId) -> f64 {
        self.state.length(doc).map_or(1.0, |length| self.weigh(length))
    }

    /// What waits here and is not on offer.
    pub fn waiting_work(&self) -> f64 {
        match self.settings.metric {
            Metric::Length => self.backlog.length() as f64,
            Metric::Count => self.backlog.len() as f64,
        }
    }

    /// All work in hand: what waits, rests and is on offer, what is left of what runs, and what was granted and has not
    /// come yet.
    pub fn work(&self) -> f64 {
        let resting = self.resting.keys().filter_map(|doc| self.state.length(*doc)).map(|length| self.weigh(length));
        let offered = self.offers.values().map(|offer| offer.work);
        let granted = self.grants.values().map(|grant| grant.work);
        let running = self.running.values().map(|running| {
            let whole = self.weigh(running.length);
            let done = self.now.since(running.started).as_secs_f64() * self.pace.rate.unwrap_or(0.0) * self.pace.speed;
            // What runs longer than predicted still counts for something: nobody knows how much.
            (whole - done).max(whole * 0.1)
        });
        self.waiting_work() + resting.sum::<f64>() + offered.sum::<f64>() + granted.sum::<f64>() + running.sum::<f64>()
    }

    /// What this node tells of itself.
    pub fn load(&self) -> Load {
        let (standings, _) = self.standings();
        let regret = regret(&standings, self.me.node, &self.guard(&standings));
        let (ln_rate, rate_variance) = self.measured().estimate(self.settings.bench);
        Load {
            pending: self.state.owned_by(self.me.node),
            running: self.slots_in_use() as u32,
            max_process: self.max_process,
            static_slots: self.settings.max_process,
            work: self.work(),
            bench: self.settings.bench,
            ln_rate,
            rate_variance,
            shortest: self.backlog.shortest().map(|(_, length)| length),
            longest: self.backlog.longest().map(|(_, length)| length),
            in_flight: self.in_flight(),
            draining: self.gives_away(),
            head: self.log.head(self.me),
            digest: self.log.digest(),
            state: self.state.digest(),
            regret,
            started: self.counters.started,
            duplicates: self.counters.duplicates,
            taken_over: self.counters.taken_over,
            moved: self.counters.moved,
        }
    }

    /// Standings of all live nodes, this one first, and whether they are in equilibrium.
    pub fn balance(&self) -> Balance {
        let (standings, speeds) = self.standings();
        let guard = self.guard(&standings);
        let equilibrium = equilibrium(&standings, &guard, EPSILON);
        let own_regret = regret(&standings, self.me.node, &guard);
        Balance { standings, equilibrium, own_regret, rate: speeds.rate }
    }

    /// How this node stands.
    pub fn standing(&self) -> Standing {
        self.standings().0[0]
    }

    /// What finished documents tell of this node's rate, and those that run far longer than they should.
    fn measured(&self) -> RateEstimate {
        let rate = self.pace.rate.unwrap_or(0.0) * self.pace.speed;
        let running = self.running.values();
        self.rate
            .with_overdue(rate, running.map(|running| (self.weigh(running.length), self.now.since(running.started))))
    }

    /// This node's own standing, which is exact but for its speed.
    pub fn standing_at(&self, speed: f64) -> Standing {
        let shortest = self.backlog.shortest().map(|(_, length)| self.weigh(length));
        Standing::new(self.me.node, self.work(), self.max_process, speed)
            .with_shortest(shortest)
            .with_draining(self.gives_away())
    }

    pub(super) fn standings(&self) -> (Vec<Standing>, Speeds) {
        let bench = self.settings.bench;
        let (ln_rate, variance) = self.measured().estimate(bench);
        let own = Measured { bench, ln_rate, variance };
        let measured: Vec<Measured> =
            std::iter::once(own).chain(self.view.live.values().map(|peer| Measured::from(&peer.load))).collect();
        let speeds = speeds(&measured);
        let speed = |place: usize| if self.settings.metric == Metric::Count { 1.0 } else { speeds.of[place] };
        let mut standings = vec![self.standing_at(speed(0))];
        standings.extend(self.view.live.iter().enumerate().map(|(place, (node, peer))| {
            Standing::new(*node, peer.load.work, peer.load.max_process, speed(place + 1))
                .with_shortest(peer.load.shortest.map(|length| self.weigh(length)))
                .with_draining(peer.load.draining)
        }));
        (standings, speeds)
    }

    pub(super) fn guard(&self, standings: &[Standing]) -> Guard {
        Guard::new(SlowRule::from(&self.settings), standings)
    }

    /// Live nodes with their static capacity, which every view agrees on: for rendezvous. Draining ones are left out,
    /// unless all drain.
    pub(super) fn electorate(&self) -> Vec<(NodeId, f64)> {
        let me = (self.me.node, f64::from(self.settings.max_process) * self.settings.bench, self.gives_away());
        let peers = self.view.live.iter().map(|(node, peer)| (*node, peer.load.static_capacity(), peer.load.draining));
        let all: Vec<_> = std::iter::once(me).chain(peers).collect();
        let staying: Vec<_> =
            all.iter().filter(|(_, _, draining)| !draining).map(|(node, capacity, _)| (*node, *capacity)).collect();
        if staying.is_empty() {
            return all.into_iter().map(|(node, capacity, _)| (node, capacity)).collect();
        }
        staying
    }

    /// The nodes that should keep a copy of what belongs to this segment, in order of preference.
    pub fn holders(&self, batch: BatchId, segment: SegmentNumber) -> Vec<NodeId> {
        self.first_holders(batch, segment, usize::MAX)
    }

    /// The first of them, which are found faster than all.
    pub fn first_holders(&self, batch: BatchId, segment: SegmentNumber, most: usize) -> Vec<NodeId> {
        holders(batch, segment, &self.electorate(), most)
    }

    pub(super) fn measure_pace(&mut self) {
        let (standings, speeds) = self.standings();
        let guard = self.guard(&standings);
        let speed = standings[0].speed();
        let slow = guard.is_slow(speed) && self.settings.metric == Metric::Length;
        let limit = |length: f64| Length(length.max(0.0).min(Length::MAX.as_f64()) as u64);
        let shortest = self.backlog.shortest().map(|(_, length)| length);
        self.pace = Pace {
            start_limit: slow.then(|| limit(guard.longest_in_time(speed))),
            last_resort: shortest.filter(|length| guard.last_resort(speed, length.as_f64())),
            speed,
            rate: speeds.rate,
        };
    }
}
