//! The roll: who is live and who is dead, by what gossip has brought.
//!
//! A node is live if it spoke within the detection time: directly, or by a heartbeat that rose on its way through
//! others. Time in which this node itself was stopped counts for nobody: whoever was asleep must not bury the others.
//! Knows nothing of chitchat: it is shown sightings, and the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_core::ids::{Generation, NodeId};
use evenkeel_core::load::Load;
use tokio::time::Instant;

use crate::members::{Member, Members};

/// What gossip knows of one run of one node.
pub(crate) struct Sighting<'a> {
    pub(crate) node: NodeId,
    pub(crate) generation: Generation,
    /// Which of several states of the same generation this is: the highest counts.
    pub(crate) incarnation: u64,
    pub(crate) address: SocketAddr,
    /// Rises as long as the node lives.
    pub(crate) heartbeat: u64,
    /// Rises with every change of what the node says.
    pub(crate) version: u64,
    /// Reads what the node says.
    pub(crate) says: &'a dyn Says,
}

/// What a node says of itself.
pub(crate) trait Says {
    /// Its name; `None` as long as nothing of what it says has come.
    fn name(&self) -> Option<String>;
    /// Version of its program.
    fn version(&self) -> String;
    /// Address of its HTTP API.
    fn http(&self) -> Option<String>;
    /// Its load; `None` if it has said none, or none that can be reckoned with.
    fn load(&self) -> Option<Load>;
    /// Whether its disk is short of room.
    fn low(&self) -> bool;
    /// Whether it has said that it leaves.
    fn left(&self) -> bool;
}

/// The roll.
pub(crate) struct Roll {
    detection: Duration,
    looked: Instant,
    known: BTreeMap<NodeId, Known>,
}

struct Known {
    generation: Generation,
    incarnation: u64,
    heartbeat: u64,
    version: u64,
    first_seen: Instant,
    /// When it was last known to live; `None` if all that is known of it may be old.
    heard: Option<Instant>,
    left: bool,
    member: Option<Member>,
}

impl Roll {
    pub(crate) fn new(detection: Duration, now: Instant) -> Roll {
        Roll { detection, looked: now, known: BTreeMap::new() }
    }

    /// Updates the roll by everything that gossip knows, and by who has spoken directly since the last time.
    pub(crate) fn call<'a>(
        &mut self,
        now: Instant,
        sightings: impl IntoIterator<Item = Sighting<'a>>,
        spoke: &BTreeMap<NodeId, Instant>,
    ) {
        self.forgive_pause(now);
        let mut seen: BTreeMap<NodeId, Sighting<'a>> = BTreeMap::new();
        for sighting in sightings {
            let newer = |other: &Sighting<'_>| {
                (sighting.generation, sighting.incarnation) > (other.generation, other.incarnation)
            };
            if seen.get(&sighting.node).is_none_or(newer) {
                seen.insert(sighting.node, sighting);
            }
        }
        // Gossip forgets the dead in time. The living it forgets only when it has to start anew: they will be back.
        let lives = |known: &Known| !known.left && known.heard.is_some_and(|heard| now - heard <= self.detection);
        self.known.retain(|node, known| seen.contains_key(node) || lives(known));
        for (node, sighting) in seen {
            self.see(now, &sighting, spoke.get(&node).copied());
        }
    }

    /// Moves all times on by a pause of this node's own.
    fn forgive_pause(&mut self, now: Instant) {
        let pause = now.saturating_duration_since(self.looked);
        self.looked = now;
        if pause > self.detection / 4 {
            for known in self.known.values_mut() {
                known.heard = known.heard.map(|heard| heard + pause);
                known.first_seen += pause;
            }
        }
    }

    fn see(&mut self, now: Instant, sighting: &Sighting<'_>, spoke: Option<Instant>) {
        let known = self.known.entry(sighting.node).or_insert_with(|| Known::new(sighting, now));
        if (known.generation, known.incarnation) != (sighting.generation, sighting.incarnation) {
            *known = Known::new(sighting, now);
        }
        if sighting.heartbeat > known.heartbeat {
            known.heartbeat = sighting.heartbeat;
            known.heard = Some(now);
        }
        known.heard = known.heard.max(spoke);
        if known.member.is_none() || known.version != sighting.version {
            known.version = sighting.version;
            known.listen(sighting);
        }
    }

    /// Who is live and who is dead at this moment.
    pub(crate) fn members(&self, now: Instant) -> Members {
        let mut members = Members::default();
        for (node, known) in &self.known {
            let Some(member) = &known.member else { continue };
            let silent = |since: Instant| now.saturating_duration_since(since) > self.detection;
            match known.heard {
                _ if known.left => drop(members.dead.insert(*node, member.clone())),
                Some(heard) if !silent(heard) => drop(members.live.insert(*node, member.clone())),
                // Nothing shows yet that it lives, but it has not had the time to show it either.
                None if !silent(known.first_seen) => {}
                _ => drop(members.dead.insert(*node, member.clone())),
            }
        }
        members
    }
}

impl Known {
    fn new(sighting: &Sighting<'_>, now: Instant) -> Known {
        Known {
            generation: sighting.generation,
            incarnation: sighting.incarnation,
            heartbeat: sighting.heartbeat,
            version: sighting.version,
            first_seen: now,
            heard: None,
            left: false,
            member: None,
        }
    }

    fn listen(&mut self, sighting: &Sighting<'_>) {
        let says = sighting.says;
        let Some(name) = says.name() else { return };
        let last_load = self.member.take().and_then(|member| member.load);
        self.left = says.left();
        self.member = Some(Member {
            generation: sighting.generation,
            name,
            version: says.version(),
            address: sighting.address,
            http: says.http(),
            load: says.load().or(last_load),
            low: says.low(),
            left: self.left,
        });
    }
}

#[cfg(test)]
mod tests;
