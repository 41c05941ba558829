//! Tests of the whole: real processes of the real program, real sockets, and nothing that knows their inside. (Daemons
//! in simulated worlds, whose inside is known, are in `src/bin/full-stack`.)
//!
//! This library is their harness. It panics when the world does not do as it should: a test has nothing better to do
//! then, and a [`Cluster`] that is dropped in a panic shows what its nodes logged.

mod api;
mod arithmetic;
mod bulk;
mod cluster;
mod crowd;
pub mod dashboard;
mod disk;
mod node;
mod program;
mod scratch;
mod starts;
mod wait;
pub mod whole;

pub use api::Api;
pub use arithmetic::Sum;
pub use bulk::Bulk;
pub use cluster::{Cluster, write_secret};
pub use crowd::Crowd;
pub use disk::{Disk, Filler};
pub use node::{Node, Setting};
pub use program::{command, path};
pub use scratch::{Ended, Scratch};
pub use starts::{Start, Starts};
pub use wait::until;
