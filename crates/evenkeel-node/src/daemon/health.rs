//! Whether this node makes progress, and whether it takes work, in words: what `/livez` and `/readyz` say, and the watchdog.
//!
//! Everything is judged by what the loop, the network and the store note as they go. Nothing here asks them, or waits.

use std::time::Duration;

use super::Inner;
use super::pulse::Idle;
use crate::api::types::{ErrorCode, Problem};

/// Rounds of gossip that may be missed before that is worth a word, whatever the operator says.
const ROUNDS: u32 = 10;

/// Detection times for which a node that has seeds and sees nobody is held to be still joining. Then it goes on alone, as any
/// node may: those that it looks for may be gone for good.
const JOINING: u32 = 3;

/// What an operator may set of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Time for which the loop, gossip or a commit may stand still.
    pub(super) stall: Duration,
    /// Time for which nothing may be started though documents wait and slots are free.
    pub(super) idle: Duration,
    /// Time for which a node without company is held to be joining; zero: it has no seeds.
    pub(super) joining: Duration,
}

impl Limits {
    pub(super) fn new(config: &crate::config::Config, has_seeds: bool) -> Limits {
        let joining = if has_seeds { config.gossip.detection * JOINING } else { Duration::ZERO };
        Limits { stall: config.health.stall.max(config.gossip.interval * ROUNDS), idle: config.health.idle, joining }
    }
}

impl Inner {
    /// Whether this node makes progress. If not, nothing but a restart will help: its documents run elsewhere then.
    pub(super) fn live(&self) -> Result<(), Problem> {
        let stuck = |message: String| {
            Err(Problem::new(ErrorCode::Unavailable, message)
                .hint("if it lasts, restart this node: its heirs claim what it had"))
        };
        if self.pulse.has_ended() {
            return stuck("this node's loop has ended".to_owned());
        }
        let age = self.pulse.age();
        if age > self.limits.stall {
            return stuck(format!(
                "this node's loop has stood still for {}, while {}",
                seconds(age),
                self.pulse.doing().words()
            ));
        }
        let silence = self.network.gossip_age();
        if silence > self.limits.stall {
            return stuck(format!("this node has not gossiped for {}", seconds(silence)));
        }
        Ok(())
    }

    /// Whether this node takes work and does it.
    pub(super) fn ready(&self) -> Result<(), Problem> {
        self.live()?;
        let not = |message: String| Problem::new(ErrorCode::Unavailable, message);
        self.disk()?;
        if self.pulse.is_draining() {
            return Err(not("this node is draining".to_owned()).hint("ask another node"));
        }
        if !self.has_joined() {
            let message = format!("this node has met none of its seeds in {}", seconds(self.pulse.lifetime()));
            return Err(not(message).hint("are they up, reachable by UDP, and do they have the same secret?"));
        }
        match self.pulse.idle() {
            Some(Idle { since, waiting, free }) if since > self.limits.idle => {
                let message = format!(
                    "nothing was started here for {} though {waiting} documents wait and {free} slots are free",
                    seconds(since)
                );
                let hint = match self.pulse.acts() {
                    false => {
                        "it is catching up, or sees less than half of the cluster: look at its log and at its peers"
                    }
                    true => "look at its log",
                };
                Err(not(message).hint(hint))
            }
            _ => Ok(()),
        }
    }

    /// Whether the disk takes what is written.
    pub(super) fn disk(&self) -> Result<(), Problem> {
        let health = self.store.health();
        let not = |message: String| {
            Err(Problem::new(ErrorCode::Unavailable, message)
                .hint("submit to another node, make room, or look at the disk"))
        };
        // It lives, gives away what it has, and tells what can still be read: when to restart it is for people to say.
        if let Some(damage) = health.damage() {
            let message = format!("the store of this node is damaged where it is written to: {damage}");
            let hint = "once others have copies of what it has (evenkeel_copies_missing is 0 everywhere), restart this node: it \
                        sets the store aside and starts anew, as another one";
            return Err(Problem::new(ErrorCode::Unavailable, message).hint(hint));
        }
        if let Some(trouble) = health.trouble() {
            return not(format!("cannot write to the data directory: {trouble}"));
        }
        let writing = health.writing();
        if writing > self.limits.stall {
            return not(format!("the disk of the data directory has not answered for {}", seconds(writing)));
        }
        Ok(())
    }

    /// Whether this node has met another, or need not.
    pub(super) fn has_joined(&self) -> bool {
        self.pulse.has_met() || self.pulse.lifetime() >= self.limits.joining
    }

    /// One line for people who ask how the node is.
    pub(super) fn summary(&self) -> String {
        let (pending, running, slots) = self.pulse.load();
        let peers = self.network.members().borrow().live.len();
        let company = match peers {
            0 if self.pulse.has_met() => "alone".to_owned(),
            0 if self.limits.joining.is_zero() => "alone, without seeds".to_owned(),
            0 => "looking for its seeds".to_owned(),
            _ => format!("{} nodes", peers + 1),
        };
        match self.ready() {
            Ok(()) => {
                let shortage = self.room.shortage().map_or(String::new(), |shortage| format!("; {shortage}"));
                format!("{company}; {pending} documents pending here, {running} of {slots} slots in use{shortage}")
            }
            Err(problem) => format!("not ready: {}", problem.message),
        }
    }
}

/// A time for people.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
pub(super) mod tests;
