//! The nodes that can be asked: how they are, and whether their clocks agree with the one here.

use std::collections::BTreeSet;

use reqwest::Url;

use super::finding::Finding;
use crate::client::{Client, ClientError};
use crate::command::follow::others;
use crate::input::printable;

const CHECK: &str = "clock";

/// Difference, in seconds, from which on people are misled.
const WORTH_A_WORD: f64 = 1.0;

/// Nodes that are asked.
const MOST: usize = 16;

/// Asks nodes; `named` ones must answer, the others are those that they tell of.
pub(super) async fn check(named: Vec<Client>, running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked: BTreeSet<Url> = BTreeSet::new();
    let mut told: Vec<Client> = Vec::new();
    let (mut agree, mut worst) = (0, None);
    for client in &named {
        asked.insert(client.url().clone());
        if let Ok(nodes) = client.nodes().await {
            told.extend(others(&nodes, client.url()).into_iter().map(|url| client.at(url)));
        }
    }
    told.retain(|client| asked.insert(client.url().clone()));
    let must = named.len();
    let all: Vec<Client> = named.into_iter().chain(told).take(MOST.max(must)).collect();
    let answers = futures_util::future::join_all(all.iter().map(Client::health)).await;
    for (place, (client, health)) in all.iter().zip(answers).enumerate() {
        let url = client.url().as_str().trim_end_matches('/');
        match health {
            Ok(health) => {
                if let Some(problem) = health.unready {
                    let message = format!("{url} is not ready: {}", printable(problem.message.as_ref()));
                    findings.push(Finding::warning(
                        "node",
                        message,
                        problem.hint.unwrap_or_else(|| "see its log".to_owned()),
                    ));
                } else if place < must {
                    findings.push(Finding::ok("node", format!("{url} is live and ready")));
                }
                if let Some(ahead) = health.ahead {
                    // What is certainly wrong, whatever the answer's own error.
                    if ahead.abs() - health.unsure > WORTH_A_WORD {
                        worst = Some(match worst {
                            Some((other, at)) if f64::abs(other) >= ahead.abs() => (other, at),
                            _ => (ahead, url.to_owned()),
                        });
                    } else {
                        agree += 1;
                    }
                }
            }
            Err(error) if place < must => {
                findings.push(Finding::problem(
                    "node",
                    format!("{url} is not well: {}", said(&error)),
                    "see its log, or start it",
                ));
            }
            // Others may be down, or hidden from here: that is no fault of this host.
            Err(_) => {}
        }
    }
    let nodes = |count: usize| if count == 1 { "one node".to_owned() } else { format!("{count} nodes") };
    findings.push(match worst {
        Some((ahead, url)) => Finding::warning(
            CHECK,
            format!(
                "it is {:.1} s {} that of {url}",
                ahead.abs(),
                if ahead > 0.0 { "ahead of" } else { "behind" }
            ),
            "nothing is lost or run twice by that, since nodes measure silence and decide by epochs and not by the time of day; \
             but times in logs, events and results of different nodes cannot be compared. Set both by NTP (chrony, \
             systemd-timesyncd)",
        ),
        None if agree > 0 => Finding::ok(CHECK, format!("it agrees with that of {}, within the second that HTTP tells", nodes(agree))),
        None if running => Finding::ok(CHECK, "no other node could be asked what time it has"),
        None => Finding::ok(CHECK, "no node could be asked what time it has: --http names one"),
    });
    findings
}

fn said(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { reason, .. } | ClientError::Broken { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
