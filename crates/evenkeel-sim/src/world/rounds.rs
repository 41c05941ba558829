//! Rounds of gossip: who passes on what it has heard to whom, and what the nodes make of it.

use std::sync::Arc;

use evenkeel_core::Input;
use evenkeel_core::load::Load;
use evenkeel_core::units::Micros;

use super::gossip::Rumour;
use super::{Event, Life, MachineId, World};

impl World {
    /// A node says something of itself. Most of it waits for the next round.
    pub(super) fn publish(&mut self, (id, _): Life, load: Load) {
        let now = self.truth.now;
        let machine = &mut self.truth.machines[id.0];
        let news = machine.own.load.as_ref().is_none_or(|known| known.draining != load.draining);
        machine.own = Arc::new(Rumour { load: Some(load), ..(*machine.own).clone() });
        if news {
            // Without a load a node gets no work, and one that drains gets some until the others know: both are urgent.
            let machine = self.truth.machine(id);
            let to: Vec<MachineId> = machine.roll.known().to_vec();
            to.into_iter().for_each(|to| self.pass_on(now, id, to, false));
        }
    }

    /// One round of a node: it looks who lives, tells its core, and passes on what it knows.
    pub(super) fn round(&mut self, life: Life) {
        if !self.lives(life) {
            return;
        }
        let now = self.truth.now;
        let id = life.0;
        let (fanout, interval) = (self.truth.options.cluster.fanout, self.truth.machine(id).settings.gossip_interval);
        let machine = &mut self.truth.machines[id.0];
        machine.own = Arc::new(Rumour { heartbeat: machine.own.heartbeat + 1, ..(*machine.own).clone() });
        self.look_around(id);
        if !self.lives(life) {
            return;
        }
        let machine = self.truth.machine(id);
        let (local, detection) = (machine.local(now), machine.settings.detection);
        let (live, silent): (Vec<MachineId>, Vec<MachineId>) =
            machine.roll.known().iter().partition(|peer| machine.roll.is_live(**peer, local, detection));
        if live.is_empty() {
            self.name_a_seed(id);
        }
        let machine = self.truth.machine(id);
        let mut to = Vec::new();
        let mut live = live;
        for _ in 0..fanout.min(live.len()) {
            let place = self.dice.gossip.below(live.len() as u64) as usize;
            to.push(live.swap_remove(place));
        }
        // One of the silent now and then, and those seeds that are not there, for ever.
        if self.dice.gossip.below(4) == 0 {
            to.extend(self.dice.gossip.pick(&silent));
        }
        let seeds = machine.seeds.iter().filter(|seed| !machine.roll.is_live(**seed, local, detection));
        to.extend(seeds.filter(|seed| !to.contains(seed)).copied().collect::<Vec<_>>());
        to.into_iter().for_each(|to| self.pass_on(now, id, to, true));
        self.queue.push(now + interval, Event::Round(life));
    }

    /// Whoever looks after a node that sees nobody, and whose seeds are all down, names one that is up.
    fn name_a_seed(&mut self, id: MachineId) {
        let seeds = &self.truth.machine(id).seeds;
        if seeds.is_empty() || seeds.iter().any(|seed| self.truth.machine(*seed).is_up()) {
            return;
        }
        let up: Vec<MachineId> = self.truth.up().map(|machine| machine.id).filter(|other| *other != id).collect();
        if let Some(seed) = self.dice.gossip.pick(&up).copied() {
            self.truth.machines[id.0].seeds.push(seed);
        }
    }

    /// A node's picture of the others, as it is now, becomes its core's.
    fn look_around(&mut self, id: MachineId) {
        let now = self.truth.now;
        let machine = &mut self.truth.machines[id.0];
        let local = machine.local(now);
        let detection = machine.settings.detection;
        machine.roll.look(local, detection);
        machine.deaf_to.retain(|_, until| *until > now);
        let view = machine.roll.view(local, detection, |peer| machine.deaf_to.contains_key(&peer));
        self.step(id, Input::View(view));
    }

    /// Sends what a node knows to a peer, which answers with what it knows.
    fn pass_on(&mut self, now: Micros, from: MachineId, to: MachineId, answer: bool) {
        let machine = self.truth.machine(from);
        if to == from || !self.truth.machine(to).is_up() {
            return;
        }
        let rumours: Arc<[Arc<Rumour>]> = machine.roll.rumours().chain([&machine.own]).cloned().collect();
        let (from, to) = (self.life(from), self.life(to));
        self.counts.gossip += 1;
        for at in self.network.carry(now, from.0, to.0, &mut self.counts) {
            self.queue.push(at, Event::Rumours { to, from, rumours: rumours.clone(), answer });
        }
    }

    pub(super) fn hear_rumours(&mut self, to: Life, from: Life, rumours: &[Arc<Rumour>], answer: bool) {
        if !self.lives(to) {
            return;
        }
        let now = self.truth.now;
        let machine = &mut self.truth.machines[to.0.0];
        let local = machine.local(now);
        let me = machine.me;
        let mut fresh = false;
        for rumour in rumours.iter().filter(|rumour| rumour.node != me) {
            fresh |= machine.roll.hear(rumour, local);
        }
        machine.roll.spoke(from.0, local);
        if answer {
            self.pass_on(now, to.0, from.0, false);
        }
        if fresh {
            self.look_around(to.0);
        }
    }

    /// A message is a sign of life too.
    pub(super) fn spoke(&mut self, at: MachineId, who: MachineId) {
        let now = self.truth.now;
        let machine = &mut self.truth.machines[at.0];
        let local = machine.local(now);
        machine.roll.spoke(who, local);
    }

    /// A node has given everything away: it says goodbye, and its machine stops for good.
    pub(super) fn leave(&mut self, life: Life) {
        let now = self.truth.now;
        let id = life.0;
        let machine = &mut self.truth.machines[id.0];
        machine.own = Arc::new(Rumour { left: true, ..(*machine.own).clone() });
        let to: Vec<MachineId> = machine.roll.known().to_vec();
        to.into_iter().for_each(|to| self.pass_on(now, id, to, false));
        self.take_down(id);
        self.truth.machines[id.0].gone = true;
        self.tell(&crate::check::Happening::Left(id));
        self.replace(id);
    }
}
