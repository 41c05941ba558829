//! What must hold between values: each for itself may be good, and the whole not.

use std::time::Duration;

use super::Config;
use super::value::{show_bytes, show_duration};

/// Rounds of gossip that must fit into the detection time: with fewer, one lost round makes a node look dead.
const ROUNDS: u32 = 5;

/// What is given besides the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Credentials {
    /// The cluster's secret is in the environment.
    pub secret: bool,
    /// The token of the HTTP API is in the environment.
    pub token: bool,
}

impl Config {
    /// What does not fit together: the key to be changed, and why.
    pub fn check(&self, given: Credentials) -> Vec<(&'static str, String)> {
        [
            self.secret_off_loopback(given),
            self.reachable(),
            self.advertised(),
            self.token_off_loopback(given),
            self.detection_takes_rounds(),
            self.remembers_the_dead(),
            self.averages_on_news(),
            self.captures(),
            self.upload_holds_a_document(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn secret_off_loopback(&self, given: Credentials) -> Refusal {
        let network = &self.network;
        refuse(
            network.listen.ip().is_loopback() || given.secret || network.secret_file.is_some(),
            "network.listen",
            || {
                format!(
                    "{} is off loopback, and there is no secret: make one with \
                     `evenkeel secret new` and name its file in network.secret_file",
                    network.listen
                )
            },
        )
    }

    fn reachable(&self) -> Refusal {
        let network = &self.network;
        // With a seed the network finds out which address leads there.
        let told = network.advertise.is_some() || !network.seeds.is_empty();
        refuse(!network.listen.ip().is_unspecified() || told, "network.listen", || {
            format!(
                "{} is every address of this host, and peers must be told one: \
                 set network.advertise (--advertise) to the one they reach",
                network.listen
            )
        })
    }

    fn advertised(&self) -> Refusal {
        let address = self.network.advertise?;
        refuse(!address.ip().is_unspecified() && address.port() != 0, "network.advertise", || {
            format!("{address} is not an address that a peer could reach: name one, with its port")
        })
    }

    fn token_off_loopback(&self, given: Credentials) -> Refusal {
        let http = &self.http;
        refuse(http.listen.ip().is_loopback() || given.token || http.token_file.is_some(), "http.listen", || {
            format!(
                "{} is off loopback, and there is no token: whoever reached it could run commands \
                 here. Write one to a file (`openssl rand -hex 32`) and name it in http.token_file",
                http.listen
            )
        })
    }

    fn detection_takes_rounds(&self) -> Refusal {
        let gossip = &self.gossip;
        refuse(gossip.detection >= gossip.interval * ROUNDS, "gossip.detection", || {
            format!(
                "{} is less than {ROUNDS} gossip intervals of {}: nodes that live would be held dead; \
                 make it longer, or gossip.interval shorter",
                show_duration(gossip.detection),
                show_duration(gossip.interval)
            )
        })
    }

    fn remembers_the_dead(&self) -> Refusal {
        let gossip = &self.gossip;
        refuse(gossip.dead_node_grace >= gossip.detection, "gossip.dead_node_grace", || {
            too_short(gossip.dead_node_grace, "gossip.detection", gossip.detection)
        })
    }

    fn averages_on_news(&self) -> Refusal {
        let (balance, gossip) = (&self.balance, &self.gossip);
        refuse(balance.rebalance_interval >= gossip.interval, "balance.rebalance_interval", || {
            too_short(balance.rebalance_interval, "gossip.interval", gossip.interval)
        })
    }

    fn captures(&self) -> Refusal {
        let processes = &self.processes;
        refuse(processes.capture <= processes.capture_max, "processes.capture", || {
            format!(
                "{} is more than processes.capture_max, {}: raise that, or lower this",
                show_bytes(processes.capture),
                show_bytes(processes.capture_max)
            )
        })
    }

    fn upload_holds_a_document(&self) -> Refusal {
        let (upload, payload) = (self.http.max_upload, self.documents.max_payload);
        refuse(upload >= payload, "http.max_upload", || {
            format!(
                "{} is less than documents.max_payload, {}: the largest document could not be submitted",
                show_bytes(upload),
                show_bytes(payload)
            )
        })
    }
}

type Refusal = Option<(&'static str, String)>;

fn refuse(good: bool, key: &'static str, message: impl FnOnce() -> String) -> Refusal {
    (!good).then(|| (key, message()))
}

fn too_short(duration: Duration, other: &str, least: Duration) -> String {
    format!("{} is less than {other}, {}: make it at least as long", show_duration(duration), show_duration(least))
}
