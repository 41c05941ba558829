//! Whole clusters in virtual time: the nodes are the real ones, everything around them is simulated, and everything that
//! can go wrong does.
//!
//! One thread, one seed: the same seed gives the same run on every machine. [`world`] is what happens, [`check`] watches
//! over the protocol's promises, [`options`] is what a world is made of, [`swarm`] draws such options from a seed,
//! [`scenario`] reads them from a file, and [`fleet`] runs many.

pub mod central;
pub mod check;
pub mod counts;
pub mod dice;
pub mod fleet;
pub mod marks;
pub mod minimise;
pub mod options;
pub mod run;
pub mod scenario;
pub mod seed;
pub mod span;
pub mod suite;
pub mod swarm;
pub mod trace;
pub mod world;
