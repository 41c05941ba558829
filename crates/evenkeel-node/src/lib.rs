//! The daemon: the core with a network, processes, stores and an HTTP API around it.
//!
//! [`daemon::Daemon`] is one node, whole. [`process`] runs documents, [`store`] holds payloads and results, [`api`] is
//! the HTTP API, [`config`] the configuration; none of the four knows of the others. [`histogram`] and [`service_manager`] know
//! nothing at all.

pub mod api;
pub mod config;
pub mod daemon;
pub mod histogram;
pub mod machine;
pub mod process;
mod seldom;
pub mod service_manager;
pub mod store;
mod telemetry;
