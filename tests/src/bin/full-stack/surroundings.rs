//! What a daemon finds around it on a simulated host: the simulated network, processes that take virtual time, and the
//! simulation's clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use evenkeel_net::{Network, NetworkConfig, Service, StartError};
use evenkeel_node::daemon::{OnEnd, Surroundings};
use evenkeel_node::process::{self, Execute};

use crate::ledger::Ledger;
use crate::processes::{Processes, unix_micros};
use crate::schedule::Schedule;
use crate::socket::SimulatedSocket;

/// See above.
pub(crate) struct SimulatedHost {
    pub(crate) name: String,
    pub(crate) slots: u32,
    pub(crate) ledger: Ledger,
    pub(crate) schedule: Schedule,
    pub(crate) networks: Networks,
}

/// The networks of the hosts that run.
pub(crate) type Networks = Arc<Mutex<BTreeMap<String, Network>>>;

#[async_trait]
impl Surroundings for SimulatedHost {
    async fn network(&self, config: NetworkConfig, service: Arc<dyn Service>) -> Result<Network, StartError> {
        let bound = SimulatedSocket::bind(config.listen.port(), &self.name, self.schedule.clone()).await;
        let socket = bound.map_err(|source| StartError::Bind { listen: config.listen, source })?;
        let network = Network::start_on(Arc::new(socket), config, service).await?;
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name.clone(), network.clone());
        Ok(network)
    }

    fn executor(&self, settings: process::Settings, on_end: OnEnd) -> Result<Arc<dyn Execute>, process::StartError> {
        Ok(Arc::new(Processes::new(&settings.node, self.slots, self.ledger.clone(), self.schedule.clone(), on_end)))
    }

    fn writes_inline(&self) -> bool {
        true
    }

    fn unix_micros(&self) -> u64 {
        unix_micros()
    }
}
