//! The state of the core in the words of the API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel_core::Node;
use evenkeel_core::balance::{EPSILON, Standing};
use evenkeel_core::change::{Outcome, Status, Title};
use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_core::load::Load;
use evenkeel_net::{Member, Members};
use jiff::Timestamp;

use super::news::Figures;
use crate::api::metrics;
use crate::api::types::{
    BatchState, BatchStatus, Certificate, DocumentState, Equilibrium, Explanation, NodeState, NodeStatus, Nodes, Schema,
};

/// One batch; `None` if it is not known.
pub(super) fn batch(node: &Node, id: BatchId) -> Option<BatchStatus> {
    let state = node.state().batch(id)?;
    let description = state.description();
    let tally = state.tally();
    let pending = u64::from(description.documents) - tally.ended();
    let standing = match (node.state().is_cancelled(id), pending) {
        (true, _) => BatchState::Cancelled,
        (false, 0) => BatchState::Finished,
        (false, 1..) => BatchState::Running,
    };
    let millis = i64::try_from(description.submitted_unix_millis).unwrap_or(i64::MAX);
    Some(BatchStatus {
        schema: Schema,
        id,
        state: standing,
        submitted_at: Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX),
        command: description.command.clone(),
        documents: description.documents,
        pending: pending as u32,
        running: node.running_in(id) as u32,
        done: tally.done as u32,
        failed: tally.failed as u32,
        cancelled: tally.cancelled as u32,
        length_pending: node.state().length_pending(id),
        retry_of: description.retry_of,
    })
}

/// This node's own particulars, which its membership does not hold.
#[derive(Debug, Clone)]
pub(super) struct Oneself {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) address: SocketAddr,
    pub(super) http: Option<SocketAddr>,
}

/// All other nodes, each with the state in which it is held.
pub(super) fn held(members: &Members) -> impl Iterator<Item = (&NodeId, &Member, NodeState)> {
    let live = members.live.iter().map(|(id, member)| {
        let draining = member.load.as_ref().is_some_and(|load| load.draining);
        (id, member, if draining { NodeState::Draining } else { NodeState::Live })
    });
    let gone = members.dead.iter().map(|(id, member)| {
        let state = if member.left { NodeState::Left } else { NodeState::Dead };
        (id, member, state)
    });
    live.chain(gone)
}

/// All nodes.
pub(super) fn nodes(node: &Node, members: &Members, oneself: &Oneself) -> Nodes {
    let balance = node.balance();
    let standings: BTreeMap<NodeId, Standing> =
        balance.standings.iter().map(|standing| (standing.node(), *standing)).collect();
    let rate = balance.rate.unwrap_or(1.0);
    let status = |id: NodeId, name: &str, state: NodeState, load: Option<&Load>| {
        let standing = standings.get(&id);
        NodeStatus {
            id,
            name: name.to_owned(),
            generation: node.me().generation,
            state,
            is_self: id == node.me().node,
            pending: load.map_or(0, |load| load.pending),
            running: load.map_or(0, |load| load.running),
            max_process: load.map_or(0, |load| load.max_process),
            speed: standing.map_or(0.0, Standing::speed),
            level: standing.map_or(0.0, |standing| finite(standing.level() / rate)),
            work: load.map_or(0.0, |load| load.work),
            started: load.map_or(0, |load| load.started),
            duplicates: load.map_or(0, |load| load.duplicates),
            taken_over: load.map_or(0, |load| load.taken_over),
            moved: load.map_or(0, |load| load.moved),
            version: oneself.version.clone(),
            address: oneself.address,
            http: oneself.http,
        }
    };
    let own = node.load();
    let state = if node.is_draining() { NodeState::Draining } else { NodeState::Live };
    let mut nodes = vec![status(node.me().node, &oneself.name, state, Some(&own))];
    for (id, member, state) in held(members) {
        // What a node that is gone said of itself no longer holds: what it still owns waits for its heirs.
        let last = node.view().live.get(id).map(|peer| &peer.load).or(member.load.as_ref());
        let of_the_gone =
            last.map(|load| Load { pending: node.state().owned_by(*id), running: 0, work: 0.0, ..load.clone() });
        let load = if state.is_gone() { of_the_gone.as_ref() } else { last };
        nodes.push(NodeStatus {
            generation: member.generation,
            version: member.version.clone(),
            address: member.address,
            http: member.http.as_ref().and_then(|http| http.parse().ok()),
            ..status(*id, &member.name, state, load)
        });
    }
    nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let stand = balance.equilibrium;
    let anything = nodes.iter().any(|node| node.pending > 0);
    let certificate = anything.then(|| Certificate {
        highest: finite(stand.max_level / rate),
        mean: finite(stand.mean_level / rate),
        bound: finite(stand.certificate / rate),
        holds: stand.max_level <= stand.certificate * (1.0 + 1e-9),
    });
    let equilibrium = Equilibrium {
        in_equilibrium: stand.in_equilibrium,
        regret: finite(stand.regret / rate),
        epsilon: finite(EPSILON * stand.mean_level / rate),
        certificate,
    };
    Nodes { schema: Schema, nodes, equilibrium }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::MAX }
}

/// How a document stands that has ended.
pub(super) fn ended(outcome: Outcome) -> DocumentState {
    match outcome {
        Outcome::Done => DocumentState::Done,
        Outcome::Failed => DocumentState::Failed,
        Outcome::Cancelled => DocumentState::Cancelled,
    }
}

/// Everything that the core knows of one document; `None` if it knows nothing.
pub(super) fn explanation(node: &Node, doc: DocId) -> Option<Explanation> {
    let state = node.state();
    let entry = state.entry(doc)?;
    let tries = state.tries(doc);
    let running_at = state.running(doc);
    let own = entry.node == node.me().node;
    let rests = own.then(|| node.rests_for(doc)).flatten();
    let standing = match entry.status {
        Status::Ended(outcome) => ended(outcome),
        Status::Owned(_) if rests.is_some() => DocumentState::BackingOff,
        Status::Owned(_) if running_at.is_some() || (own && node.attempt(doc).is_some()) => DocumentState::Running,
        Status::Owned(_) => DocumentState::Waiting,
    };
    let live = own || node.view().live.contains_key(&entry.node);
    let reason = match standing {
        DocumentState::Done => "its process exited with status 0".to_owned(),
        DocumentState::Failed => "every attempt failed".to_owned(),
        DocumentState::Cancelled => "its batch was cancelled before it ended".to_owned(),
        DocumentState::BackingOff => format!("attempt {} failed; it rests before the next", tries.failures),
        _ if !live => "its owner is not live; an heir will claim it".to_owned(),
        DocumentState::Running => "its process is running".to_owned(),
        DocumentState::Waiting => {
            "its owner starts longer documents first, and of equals those of older batches, and all its slots are taken"
                .to_owned()
        }
    };
    let after = rests.map(|rest| Timestamp::now() + Duration::from_micros(rest.0));
    Some(Explanation {
        schema: Schema,
        batch: doc.batch,
        document: doc.number,
        // Once all of a segment have ended, the state has only zeros.
        length: state.length(doc).filter(|length| !standing.has_ended() || length.0 > 0),
        state: standing,
        node: entry.node,
        node_name: None,
        epoch: entry.epoch,
        claimed: entry.status == Status::Owned(Title::Claimed),
        failures: tries.failures,
        crashes: tries.crashes,
        copies: Vec::new(),
        unanswered: Vec::new(),
        names: Vec::new(),
        reason,
        next_attempt_at: after,
        result: None,
    })
}

/// Figures for monitoring. `target`: the time within which the cluster should be done.
pub(super) fn core(
    node: &Node,
    members: &Members,
    oneself: &Oneself,
    figures: Figures,
    target: Duration,
) -> metrics::Core {
    let nodes = nodes(node, members, oneself);
    let own = node.load();
    let counters = node.counters();
    let [done, failed, cancelled] = figures.ended;
    let mut documents = metrics::Documents {
        own_pending: own.pending,
        own_length_pending: own.work as u64,
        own_running: own.running,
        max_process: own.max_process,
        started: counters.started,
        ended: [("done", done), ("failed", failed), ("cancelled", cancelled)],
        retried: figures.retried,
        durations: figures.durations,
        ..metrics::Documents::default()
    };
    for (id, state) in node.state().batches() {
        let tally = state.tally();
        let running = node.running_in(id) as u64;
        let pending = u64::from(state.description().documents) - tally.ended();
        documents.running += running;
        documents.waiting += pending.saturating_sub(running);
        documents.done += tally.done;
        documents.failed += tally.failed;
        documents.cancelled += tally.cancelled;
    }
    let balance = node.balance();
    let stand = balance.equilibrium;
    // Levels are time only where it is known how fast nodes work.
    let measured = balance.rate.map(|rate| {
        let time = |level: f64| Duration::try_from_secs_f64(level / rate).unwrap_or(Duration::MAX);
        let backlog = time(stand.mean_level);
        let taking = balance.standings.iter().filter(|standing| standing.takes()).count();
        let desired_nodes = metrics::desired_nodes(backlog, taking, target);
        metrics::Measured { regret: time(stand.regret), backlog, desired_nodes }
    });
    let imbalance = if stand.mean_level > 0.0 { finite(stand.max_level / stand.mean_level - 1.0) } else { 0.0 };
    let balance = metrics::Balance {
        moved: figures.moved.into_iter().collect(),
        in_flight: own.in_flight,
        duplicates: counters.duplicates,
        taken_over: counters.taken_over,
        imbalance,
        in_equilibrium: stand.in_equilibrium,
        measured,
    };
    let peers = metrics::Peers {
        peers: nodes.nodes.into_iter().map(|node| (node.id, node.name, node.state)).collect(),
        false_deaths: figures.false_deaths,
        pauses: figures.pauses,
        ignored: figures.ignored,
    };
    metrics::Core { documents, balance, peers }
}
