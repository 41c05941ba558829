//! Whether the disk has room for new work. Where it gets short, the node takes no batches, and others come to it last with copies,
//! long before nothing can be written any more: what it has already, it can go on with.
//!
//! Knows nothing of the store: other things fill a disk too, and what the system says is free is what counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use evenkeel_core::ids::NodeId;
use evenkeel_net::{Members, Network};
use tokio::sync::Mutex;

use super::Surroundings;
use crate::api::types::{ErrorCode, Problem};

/// Time between two looks. A disk that takes 250 MB a second has used a low-water mark of 256 MiB up in that; uploads look for
/// themselves when they begin.
const PAUSE: Duration = Duration::from_secs(1);

/// Time that the system has to tell: a disk that hangs does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// See above.
pub(super) struct Room {
    directory: PathBuf,
    surroundings: Arc<dyn Surroundings>,
    /// Bytes below which it is short; 0: it never is.
    low_water: u64,
    /// What was free when it was last looked.
    free: AtomicU64,
    low: AtomicBool,
    /// Of whoever waits for the system to tell.
    turn: Arc<Mutex<()>>,
}

impl Room {
    pub(super) fn new(directory: PathBuf, surroundings: Arc<dyn Surroundings>, low_water: u64) -> Room {
        let (free, low) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Room { directory, surroundings, low_water, free, low, turn: Arc::default() }
    }

    /// Size of the file system and what of it may be written yet; `None` if the system does not tell. A disk that hangs takes a
    /// thread with it, and not another each time that somebody asks.
    pub(super) async fn measure(self: &Arc<Self>) -> Option<(u64, u64)> {
        let measured = async {
            let (room, turn) = (self.clone(), self.turn.clone().lock_owned().await);
            let told = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                room.surroundings.room(&room.directory).inspect(|(_, free)| room.see(*free))
            });
            told.await.ok()?
        };
        tokio::time::timeout(PATIENCE, measured).await.ok()?
    }

    fn see(&self, free: u64) {
        self.free.store(free, Relaxed);
        let low = is_low(self.low.load(Relaxed), free, self.low_water);
        let (free, low_water) = (bytes(free), bytes(self.low_water));
        match (self.low.swap(low, Relaxed), low) {
            (false, true) => tracing::warn!(
                "the disk of the data directory has {free} left, less than store.low_water ({low_water}): this node takes no \
                 batches, and goes on with what it has"
            ),
            (true, false) => {
                tracing::info!("the disk of the data directory has {free} left: this node takes batches again");
            }
            _ => {}
        }
    }

    /// Whether it is short.
    pub(super) fn is_low(&self) -> bool {
        self.low.load(Relaxed)
    }

    /// That it is short, in words.
    pub(super) fn shortage(&self) -> Option<String> {
        let (free, low_water) = (bytes(self.free.load(Relaxed)), bytes(self.low_water));
        self.is_low().then(|| {
            format!("the disk of the data directory has {free} left, and store.low_water is {low_water}: no batches are taken")
        })
    }

    /// Refuses what is new while it is short. Looks for itself: much may have been written since the last look.
    pub(super) async fn takes(self: &Arc<Self>) -> Result<(), Problem> {
        if self.low_water > 0 {
            self.measure().await;
        }
        match self.shortage() {
            Some(shortage) => {
                Err(Problem::new(ErrorCode::Unavailable, shortage).hint("submit to another node, or make room"))
            }
            None => Ok(()),
        }
    }
}

/// Looks again and again, and lets the others know.
pub(super) async fn watch(room: Arc<Room>, network: Network) {
    loop {
        room.measure().await;
        network.say_low(room.is_low());
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a disk with so much left is short of room. Once it is, a quarter more must be free before it is not: a disk at the
/// mark would otherwise be short and not short with everything that is written and removed.
fn is_low(before: bool, free: u64, low_water: u64) -> bool {
    let enough = if before { low_water.saturating_add(low_water / 4) } else { low_water };
    free < enough
}

/// Those who may get a copy, in their order, but last of all those whose disks are short of room. These are better than none.
pub(super) fn with_room_first(candidates: impl IntoIterator<Item = NodeId>, members: &Members) -> Vec<NodeId> {
    let low = |node: &NodeId| members.live.get(node).is_some_and(|member| member.low);
    let (last, mut all): (Vec<NodeId>, Vec<NodeId>) = candidates.into_iter().partition(low);
    all.extend(last);
    all
}

/// A number of bytes, for people.
fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_below_the_mark_until_a_quarter_more_is_free() {
        for (before, free, low) in
            [(false, 400, false), (false, 399, true), (true, 400, true), (true, 499, true), (true, 500, false)]
        {
            assert_eq!(is_low(before, free, 400), low, "{before}, {free}");
        }
        // Whatever one writes and removes of less than the quarter, it changes once.
        let (mut low, mut changes) = (false, 0);
        for free in [450, 399, 450, 390, 480, 410, 499] {
            let now = is_low(low, free, 400);
            changes += u32::from(now != low);
            low = now;
        }
        assert_eq!(changes, 1);
    }

    #[test]
    fn a_mark_of_nothing_is_none_and_one_beyond_all_is_always_above() {
        assert!(!is_low(false, 0, 0) && !is_low(true, 0, 0));
        assert!(is_low(false, u64::MAX - 1, u64::MAX) && is_low(true, u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn copies_go_to_the_short_last_and_not_to_none() {
        let node = |number| NodeId([number; 16]);
        let member = |low| evenkeel_net::Member {
            generation: evenkeel_core::ids::Generation(1),
            name: String::new(),
            version: String::new(),
            address: ([127, 0, 0, 1], 1).into(),
            http: None,
            load: None,
            low,
            left: false,
        };
        let live = [(node(1), member(true)), (node(2), member(false)), (node(3), member(true))];
        let members = Members { live: live.into(), ..Members::default() };
        // The fourth is this node, which is none of its own members.
        assert_eq!(with_room_first([1, 3, 4, 2].map(node), &members), [4, 2, 1, 3].map(node));
        assert_eq!(with_room_first([3, 1].map(node), &members), [3, 1].map(node));
    }
}
