//! What is said of a batch that was accepted, and waiting for its end.
//!
//! The node that is asked may die: any other one answers as well, and the batch goes on in any case.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{Accepted, BatchStatus, NodeState, Nodes};
use indicatif::HumanCount;
use reqwest::Url;

use super::fresh::Earlier;
use crate::cli::name::BatchName;
use crate::client::{Client, ClientError};
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::progress::{Progress, Standing, Wish};
use crate::output::table::Format;
use crate::output::tell;

/// Time between two looks: short at first, so that a short batch is not held up, then longer.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// Time between two looks at the nodes.
const NODES_PAUSE: Duration = Duration::from_secs(2);

/// Time that a node has for an answer before another one is asked.
const ANSWER: Duration = Duration::from_secs(5);

/// Time for which no node need answer before we give up: enough to restart one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says that a batch is accepted and, if asked to, waits for its end.
pub(super) async fn accepted(client: Client, accepted: Accepted, format: Format, wait: bool) -> CommandResult {
    let Accepted { batch, documents, copies, warning, .. } = &accepted;
    tell(format_args!(
        "batch {batch} accepted: {} {}, stored on {copies} {}",
        HumanCount(u64::from(*documents)),
        if *documents == 1 { "document" } else { "documents" },
        if *copies == 1 { "node" } else { "nodes" }
    ));
    if let Some(warning) = warning {
        tell(format_args!("warning: {}", crate::input::printable(warning.as_ref())));
    }
    let mut out = io::stdout();
    match format {
        Format::Table => writeln!(out, "{batch}")?,
        Format::Json if wait => {}
        Format::Json | Format::Jsonl => print(&mut out, &accepted)?,
    }
    out.flush()?;
    if !wait {
        return Ok(ExitStatus::Ok);
    }
    let status = until_ended(client, *batch).await?;
    if format != Format::Table {
        print(&mut out, &status)?;
    }
    Ok(conclude(&status, 0))
}

/// Says in which earlier batches a part of an input is, or all of it, and waits for their end if asked to.
pub(super) async fn earlier(client: &Client, batches: &[Earlier], format: Format, wait: bool) -> CommandResult {
    let mut out = io::stdout();
    let mut worst = ExitStatus::Ok;
    for Earlier { batch, lost } in batches {
        if format == Format::Table {
            writeln!(out, "{batch}")?;
            out.flush()?;
        }
        let status = match wait {
            true => until_ended(client.clone(), *batch).await?,
            false => client.batch(&(*batch).into()).await?,
        };
        if format != Format::Table {
            print(&mut out, &status)?;
        }
        if wait {
            worst = worse(worst, conclude(&status, *lost));
        }
    }
    Ok(worst)
}

/// What two batches come to: that documents failed matters most.
pub(super) fn worse(one: ExitStatus, other: ExitStatus) -> ExitStatus {
    let rank = |status: ExitStatus| match status {
        ExitStatus::Ok => 0,
        ExitStatus::FailedDocuments => 2,
        _ => 1,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn print(out: &mut impl Write, thing: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, thing)?;
    out.write_all(b"\n")
}

/// Says how a batch ended. So many documents of it were lost before, and have been submitted again if they are still wanted.
fn conclude(status: &BatchStatus, lost: u32) -> ExitStatus {
    let BatchStatus { id, done, failed, cancelled, .. } = status;
    let count = |number: &u32| HumanCount(u64::from(*number));
    let mut message = format!("batch {id} ended: {} done", count(done));
    for (number, what) in [(failed, "failed"), (cancelled, "cancelled")] {
        if *number > 0 {
            message.push_str(&format!(", {} {what}", count(number)));
        }
    }
    if *failed > 0 {
        message.push_str(&format!("; `evenkeel results {id} --failed` tells why"));
    }
    tell(message);
    match (failed, cancelled) {
        _ if failed.saturating_add(*cancelled) <= lost => ExitStatus::Ok,
        (0, _) => ExitStatus::Failure,
        _ => ExitStatus::FailedDocuments,
    }
}

/// Waits until every document of a batch has ended, and shows how far it is.
async fn until_ended(client: Client, batch: BatchId) -> Result<BatchStatus, Failure> {
    let mut follower = Follower::new(client, batch);
    tokio::select! {
        status = follower.follow() => status,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::says(
            ExitStatus::Interrupted,
            format!("no longer waiting; batch {batch} goes on, and `evenkeel cancel {batch}` stops it"),
        )),
    }
}

struct Follower {
    client: Client,
    batch: BatchName,
    /// Other nodes of the cluster.
    others: VecDeque<Url>,
    live: u64,
    nodes_seen: Option<Instant>,
    /// Since when nobody answers.
    lost: Option<Instant>,
}

impl Follower {
    fn new(client: Client, batch: BatchId) -> Follower {
        Follower { client, batch: batch.into(), others: VecDeque::new(), live: 1, nodes_seen: None, lost: None }
    }

    async fn follow(&mut self) -> Result<BatchStatus, Failure> {
        let mut progress = Progress::begin(Wish::Auto);
        let mut pause = FIRST_PAUSE;
        loop {
            let status = self.look(&progress).await?;
            if status.is_settled() {
                progress.end();
                return Ok(status);
            }
            self.look_at_nodes().await;
            progress.update(Standing {
                documents: status.documents.into(),
                ended: (status.documents - status.pending.min(status.documents)).into(),
                failed: status.failed.into(),
                running: status.running.into(),
                nodes: self.live,
            });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// How the batch stands, by whichever node answers.
    async fn look(&mut self, progress: &Progress) -> Result<BatchStatus, Failure> {
        loop {
            let answer = tokio::time::timeout(ANSWER, self.client.batch(&self.batch)).await;
            match answer.unwrap_or_else(|_| Err(ClientError::Silent { url: self.client.url().clone(), after: ANSWER }))
            {
                Ok(status) => {
                    self.lost = None;
                    return Ok(status);
                }
                Err(error) => self.turn(error, progress).await?,
            }
        }
    }

    /// Turns to another node, or gives up.
    async fn turn(&mut self, error: ClientError, progress: &Progress) -> Result<(), Failure> {
        // Another node may not know the batch yet, or ask for a token of its own: that is no answer for the cluster.
        if self.lost.is_none() && !error.may_pass() {
            return Err(error.into());
        }
        if self.lost.is_some_and(|since| since.elapsed() >= PATIENCE) {
            let hint =
                format!("the batch goes on all the same, and `evenkeel status {}` tells how far it is", self.batch);
            return Err(Failure::says(error.status(), format!("{error}. No longer waiting: {hint}")));
        }
        if self.lost.is_none() {
            self.lost = Some(Instant::now());
            let next = if self.others.is_empty() { "asking it again" } else { "asking the other nodes" };
            progress.suspend(|| tell(format_args!("{} does not answer any more; {next}", self.client.url())));
        }
        if let Some(other) = self.others.pop_front() {
            self.others.push_back(self.client.url().clone());
            self.client = self.client.at(other);
        }
        tokio::time::sleep(LAST_PAUSE).await;
        Ok(())
    }

    /// A look at the nodes now and then. It is worth no complaint if there is no answer.
    async fn look_at_nodes(&mut self) {
        if self.nodes_seen.is_some_and(|seen| seen.elapsed() < NODES_PAUSE) {
            return;
        }
        self.nodes_seen = Some(Instant::now());
        if let Ok(Ok(nodes)) = tokio::time::timeout(ANSWER, self.client.nodes()).await {
            self.live = nodes.nodes.iter().filter(|node| is_there(node.state)).count() as u64;
            self.others = others(&nodes, self.client.url());
        }
    }
}

fn is_there(state: NodeState) -> bool {
    matches!(state, NodeState::Live | NodeState::Draining)
}

/// Where else to ask: nodes whose address means the same here as it does to them.
pub(super) fn others(nodes: &Nodes, asked: &Url) -> VecDeque<Url> {
    let asked_here = match asked.host_str() {
        Some("localhost" | "[::1]") => true,
        host => host.is_some_and(|host| host.starts_with("127.")),
    };
    nodes
        .nodes
        .iter()
        .filter(|node| is_there(node.state) && !node.is_self)
        .filter_map(|node| node.http)
        .filter(|address| !address.ip().is_unspecified() && (asked_here || !address.ip().is_loopback()))
        .filter_map(|address| Url::parse(&format!("http://{address}")).ok())
        .collect()
}
