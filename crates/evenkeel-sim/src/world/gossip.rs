//! Gossip as the nodes see it, weaker than the real one: what each node says of itself spreads by rounds between few
//! peers at a time, is lost, late and out of order, and only never goes back to an older state of its owner.

use std::sync::Arc;

use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_core::load::{Load, Peer, View};
use evenkeel_core::units::Micros;

use super::machine::MachineId;

/// What one node has said of itself.
#[derive(Debug, Clone)]
pub(super) struct Rumour {
    pub(super) node: NodeId,
    pub(super) generation: Generation,
    /// Rises as long as the node lives.
    pub(super) heartbeat: u64,
    pub(super) load: Option<Load>,
    pub(super) left: bool,
}

impl Rumour {
    /// Of a node that has said nothing yet.
    pub(super) fn of(node: NodeId, life: u32) -> Rumour {
        Rumour { node, generation: Generation(life.into()), heartbeat: 0, load: None, left: false }
    }
}

/// What one machine has heard of another.
#[derive(Debug, Clone)]
struct Heard {
    rumour: Arc<Rumour>,
    /// When it was last known to live; `None` if all that is known of it may be old.
    at: Option<Micros>,
}

/// What one machine has heard of all others.
#[derive(Debug, Clone, Default)]
pub(super) struct Roll {
    by_machine: Vec<Option<Heard>>,
    known: Vec<MachineId>,
    looked: Micros,
}

impl Roll {
    /// Takes in a rumour. True if it speaks of a node, or of a run of one, of which nothing had been heard.
    pub(super) fn hear(&mut self, rumour: &Arc<Rumour>, now: Micros) -> bool {
        let machine = MachineId::of(rumour.node);
        if self.by_machine.len() <= machine.0 {
            self.by_machine.resize(machine.0 + 1, None);
        }
        let place = &mut self.by_machine[machine.0];
        match place {
            None => {
                *place = Some(Heard { rumour: rumour.clone(), at: None });
                self.known.push(machine);
                true
            }
            Some(heard) => {
                let key = |rumour: &Rumour| (rumour.generation, rumour.heartbeat);
                let fresh = rumour.generation > heard.rumour.generation || (rumour.left && !heard.rumour.left);
                if key(rumour) > key(&heard.rumour) {
                    let same = rumour.generation == heard.rumour.generation;
                    // Of a new run all that is known may be old as well.
                    *heard = Heard { rumour: rumour.clone(), at: same.then_some(now) };
                }
                fresh
            }
        }
    }

    /// A peer has spoken directly.
    pub(super) fn spoke(&mut self, machine: MachineId, now: Micros) {
        if let Some(Some(heard)) = self.by_machine.get_mut(machine.0) {
            heard.at = heard.at.max(Some(now));
        }
    }

    /// Looks at the clock: time in which this machine stood still is held against nobody.
    pub(super) fn look(&mut self, now: Micros, detection: Micros) {
        let pause = now.since(self.looked);
        if self.looked > Micros::ZERO && pause > Micros(detection.0 / 4) {
            for heard in self.by_machine.iter_mut().flatten() {
                // What has been heard since the pause is as fresh as it is.
                heard.at = heard.at.map(|at| if at > self.looked { at } else { at + pause });
            }
        }
        self.looked = now;
    }

    pub(super) fn is_live(&self, machine: MachineId, now: Micros, detection: Micros) -> bool {
        let heard = self.by_machine.get(machine.0).and_then(Option::as_ref);
        let spoke = |heard: &Heard| heard.at.is_some_and(|at| now.since(at) <= detection);
        heard.is_some_and(|heard| !heard.rumour.left && spoke(heard))
    }

    /// Machines that it has heard of, in the order in which it has.
    pub(super) fn known(&self) -> &[MachineId] {
        &self.known
    }

    /// Everything that it could pass on.
    pub(super) fn rumours(&self) -> impl Iterator<Item = &Arc<Rumour>> {
        self.by_machine.iter().flatten().map(|heard| &heard.rumour)
    }

    /// What the node is told.
    pub(super) fn view(&self, now: Micros, detection: Micros, deaf: impl Fn(MachineId) -> bool) -> View {
        let live = self.known.iter().filter(|machine| self.is_live(**machine, now, detection) && !deaf(**machine));
        let peers = live.filter_map(|machine| {
            let rumour = &self.by_machine[machine.0].as_ref()?.rumour;
            let load = rumour.load.clone()?;
            Some((rumour.node, Peer { generation: rumour.generation, load }))
        });
        View { live: peers.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_forgiven_only_to_those_who_spoke_before_it() {
        let detection = Micros::from_secs(4);
        let other = MachineId(0);
        let rumour = |heartbeat| Arc::new(Rumour { heartbeat, ..Rumour::of(NodeId([0; 16]), 1) });
        let mut roll = Roll::default();
        let (before, after) = (Micros::from_secs(10), Micros::from_secs(100));
        roll.hear(&rumour(1), before);
        roll.hear(&rumour(2), before);
        roll.look(before, detection);

        let mut waits = roll.clone();
        waits.look(after, detection);
        assert!(waits.is_live(other, after, detection), "nobody could be heard in the pause");

        roll.spoke(other, after);
        roll.look(after, detection);
        assert!(roll.is_live(other, after + detection, detection));
        assert!(!roll.is_live(other, after + detection + Micros(1), detection), "it was heard once, and then no more");
    }
}
