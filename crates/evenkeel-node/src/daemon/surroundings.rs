//! What a daemon finds around it: a network to stand on, processes, and a clock on the wall.
//!
//! A daemon that is put to use finds those of its machine. A simulated one finds what the simulation gives it, and is
//! otherwise the same, line by line: whatever differs between the two is behind this trait.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use evenkeel_net::{Network, NetworkConfig, Service, StartError};

use crate::machine::{Gauge, ThisHost};
use crate::process::{self, Ended, Execute, Executor};

/// Told of every document that has ended.
pub type OnEnd = Box<dyn Fn(Ended) + Send + Sync>;

/// See above.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Starts the node's network. Called within the runtime on which the service is to be called.
    async fn network(&self, config: NetworkConfig, service: Arc<dyn Service>) -> Result<Network, StartError>;

    /// Starts what runs the node's documents.
    fn executor(&self, settings: process::Settings, on_end: OnEnd) -> Result<Arc<dyn Execute>, process::StartError>;

    /// Whether the store is to be written where that is asked for, instead of by a thread of its own, whose pace nobody can
    /// repeat.
    fn writes_inline(&self) -> bool {
        false
    }

    /// What tells how hard pressed the machine is; `None` where nothing does, so that slots stay as many as they are.
    fn gauge(&self) -> Option<Arc<dyn Gauge>> {
        None
    }

    /// Size in bytes of the file system that a directory is on, and what of it may be written yet. `None`: nobody knows, as in a
    /// simulation. May take as long as the disk does.
    fn room(&self, _directory: &Path) -> Option<(u64, u64)> {
        None
    }

    /// Microseconds since 1970, by the clock that people look at. It may go back.
    fn unix_micros(&self) -> u64;
}

/// The sockets, the processes and the clock of this machine.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

#[async_trait]
impl Surroundings for ThisMachine {
    async fn network(&self, config: NetworkConfig, service: Arc<dyn Service>) -> Result<Network, StartError> {
        Network::start(config, service).await
    }

    fn executor(&self, settings: process::Settings, on_end: OnEnd) -> Result<Arc<dyn Execute>, process::StartError> {
        Ok(Arc::new(Executor::start(settings, on_end)?))
    }

    fn gauge(&self) -> Option<Arc<dyn Gauge>> {
        Some(Arc::new(ThisHost::find()))
    }

    fn room(&self, directory: &Path) -> Option<(u64, u64)> {
        let found = rustix::fs::statvfs(directory).ok()?;
        Some((found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize)))
    }

    fn unix_micros(&self) -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
    }
}
