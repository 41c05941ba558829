//! The seeds: whether their names mean anything, and whether nodes of this cluster are there.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_net::Keyring;
use evenkeel_net::probe::{Found, probe};

use super::finding::{Finding, Verdict};
use crate::input::printable;

const CHECK: &str = "seed";

/// Time in which a name must be found.
const RESOLVE: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Looks at all of them, at once.
pub(super) async fn check(seeds: &[String], keyring: Option<&Keyring>) -> Vec<Finding> {
    if seeds.is_empty() {
        return vec![Finding::ok(
            CHECK,
            "none: this node is the first of its cluster, or looks for others where it met them",
        )];
    }
    let mut findings = futures_util::future::join_all(seeds.iter().map(|seed| look(seed, keyring))).await;
    // One seed is enough, and one that is down is asked again for ever; but one that is another cluster's is a mistake.
    let reached = findings.iter().any(|(finding, _)| finding.verdict == Verdict::Ok);
    for (finding, down) in &mut findings {
        if reached && *down {
            finding.verdict = Verdict::Warning;
        }
    }
    findings.into_iter().map(|(finding, _)| finding).collect()
}

/// Looks at one; and whether it is merely down.
async fn look(seed: &str, keyring: Option<&Keyring>) -> (Finding, bool) {
    let shown = printable(seed.as_ref());
    let resolved = tokio::time::timeout(RESOLVE, tokio::net::lookup_host(seed)).await;
    let addresses: Vec<SocketAddr> = match resolved {
        Ok(Ok(addresses)) => addresses.take(MOST_ADDRESSES).collect(),
        Ok(Err(error)) => {
            let advice = "look at its spelling, /etc/hosts and the name server (`getent hosts`), or give an address";
            return (Finding::problem(CHECK, format!("{shown}: {}", crate::input::reason(&error)), advice), true);
        }
        Err(_) => {
            let advice = "the name server does not answer: give an address";
            return (Finding::problem(CHECK, format!("{shown}: its name was not found within 5 s"), advice), true);
        }
    };
    let looks = addresses.iter().map(|address| async move { (*address, probe(*address, keyring).await) });
    let mut worst = None;
    for (address, found) in futures_util::future::join_all(looks).await {
        let at = if address.to_string() == seed { shown.clone() } else { format!("{shown} ({address})") };
        match found {
            Ok(Found::Node { id, round_trip }) => {
                let millis = round_trip.as_secs_f64() * 1e3;
                return (Finding::ok(CHECK, format!("{at} is node {id}, {millis:.1} ms there and back")), false);
            }
            Ok(found) => worst = Some(judge(&at, &found, keyring.is_some())),
            Err(error) => {
                let advice = "give the node another listen address, or look at the limits of this host";
                worst = Some((Finding::problem(CHECK, format!("{at}: {error}"), advice), false));
            }
        }
    }
    worst.unwrap_or_else(|| {
        let advice = "look at /etc/hosts and the name server, or give an address";
        (Finding::problem(CHECK, format!("{shown}: its name stands for no address"), advice), true)
    })
}

fn judge(at: &str, found: &Found, secret: bool) -> (Finding, bool) {
    let problem = |message: String, advice: &str| Finding::problem(CHECK, message, advice);
    match found {
        Found::Node { id, .. } => (Finding::ok(CHECK, format!("{at} is node {id}")), false),
        Found::Stranger if !secret => {
            (problem(format!("{at} is a node of a cluster that has a secret"), "give it with --secret-file"), false)
        }
        Found::Stranger => (
            problem(
                format!("{at} is a node with another secret"),
                "compare `evenkeel secret show-id --secret-file FILE` on both hosts, and copy the right one",
            ),
            false,
        ),
        Found::OtherVersion => (
            problem(
                format!("{at} is a node that speaks another version of the protocol"),
                "compare `evenkeel --version` on both hosts: all nodes of a cluster need the same one",
            ),
            false,
        ),
        Found::Nothing => (
            problem(
                format!("{at}: nothing listens on this UDP port"),
                "start the node there, or look at its --listen address: one on 127.0.0.1 is for its own host only",
            ),
            true,
        ),
        Found::Silence => (
            problem(
                format!("{at} does not answer"),
                "see that the host is up, and that UDP to this port is let through by firewalls on the way and on both hosts",
            ),
            true,
        ),
        Found::Unreachable(why) => {
            (problem(format!("{at}: {why}"), "look at the network of this host (`ip route`)"), true)
        }
    }
}
