//! Copies that are too many: when a node that was away comes back, others have copied anew what it holds, and it gives up its
//! own. This says when it looks; `look.rs` asks the others, and `rule.rs` decides.
//!
//! The rule is about one moment, and asking takes time. So before a node gives anything up it has those on whom it relies read
//! theirs, and whoever is asked to gives up nothing of that segment for [`RELIED`], nor does a node that has been sent some of it
//! just now (`store/reliance.rs`). A node gives up within [`CERTAIN`] of asking, or not at all. So if another, on whom it relies,
//! gives up afterwards, all that this one goes by was asked when the first had given up; and right after any of them has, as
//! many hold the thing as are to. A restart forgets who relies on what; but after one a node waits for [`FIRST`] before it looks.
//! (Where a machine stands still between the last check and the write beside it, all this is off. Nothing but time is needed
//! for that, but that is some microseconds.)

mod look;
mod rule;

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::ids::NodeId;
use tokio::task::JoinHandle;

use self::look::Look;
use super::engine::{Order, Orders};
use super::repair::Plan;
use crate::store::RELIED;

/// Time between what happens and the first look: repairs elsewhere should be over.
const FIRST: Duration = Duration::from_secs(12);

/// Time within which those who have a copy must say so, and this node's goes.
const CERTAIN: Duration = Duration::from_secs(5);

const _: () = assert!(FIRST.as_millis() >= RELIED.as_millis() && RELIED.as_millis() > 2 * CERTAIN.as_millis());

/// Looks after something has happened: as long as something is unclear, each after twice the time of the one before. The last is
/// after about an hour: what is still unclear then waits until something happens again.
const LOOKS: u32 = 8;

/// Sees to it that what is too many goes.
pub(super) struct Surplus {
    plan: Plan,
    orders: Orders,
    /// Nodes that have been gone since this one began.
    gone: BTreeSet<NodeId>,
    /// Of the last look that was to be: an earlier one that comes late is none.
    number: u64,
    /// How many there have been since something happened.
    looks: u32,
    looking: Option<JoinHandle<()>>,
}

impl Drop for Surplus {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Surplus {
    pub(super) fn new(plan: Plan, orders: Orders) -> Surplus {
        Surplus { plan, orders, gone: BTreeSet::new(), number: 0, looks: 0, looking: None }
    }

    /// This node was away, and has caught up.
    pub(super) fn settled(&mut self) {
        self.looks = 0;
        self.later();
    }

    pub(super) fn lost(&mut self, node: NodeId) {
        self.gone.insert(node);
    }

    /// A node has come. If it had been gone, it may be this one that was cut off.
    pub(super) fn joined(&mut self, node: NodeId) {
        if self.gone.remove(&node) {
            self.settled();
        }
    }

    /// A repair begins: it may be about to make copies of what would be given up.
    pub(super) fn stop(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
            self.later();
        }
    }

    fn later(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        self.number += 1;
        let (number, orders, pause) = (self.number, self.orders.clone(), FIRST * 2_u32.pow(self.looks.min(LOOKS)));
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            orders.send(Order::Surplus { number });
        });
    }

    /// The time for a look has come.
    pub(super) fn due(&mut self, number: u64, repairing: bool, node: &Node) {
        if number != self.number || node.is_draining() {
            return;
        }
        if repairing {
            return self.later();
        }
        self.looks += 1;
        let (look, orders) = (Look::new(self.plan.clone(), self.orders.clone()), self.orders.clone());
        self.looking = Some(tokio::spawn(async move {
            let unclear = look.run().await;
            orders.send(Order::Looked { number, unclear });
        }));
    }

    /// A look is over.
    pub(super) fn looked(&mut self, number: u64, unclear: bool) {
        if number != self.number {
            return;
        }
        self.looking = None;
        if unclear && self.looks < LOOKS {
            self.later();
        }
    }
}

#[cfg(test)]
mod tests;
