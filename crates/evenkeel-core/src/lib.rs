//! Evenkeel's protocol as a pure, deterministic state machine.
//!
//! No tokio, no clock, no thread, no file, no hashed container: a node is a value, [`Node::step`] advances it by one
//! input, and everything that must happen in the world is left in an [`Outbox`] in the order in which it must happen.

pub mod backlog;
pub mod balance;
pub mod batch;
pub mod bundle;
pub mod change;
pub mod docset;
mod entries;
pub mod ids;
pub mod journal;
pub mod load;
pub mod log;
pub mod message;
pub mod node;
pub mod outbox;
pub mod record;
pub mod settings;
pub mod state;
pub mod units;

pub use node::{Exited, Input, Node};
pub use outbox::{Effect, Outbox};
