//! Which rows a list has, in which order, and which of them is chosen. A chosen row stays chosen wherever it moves.

use std::cmp::Ordering;

use evenkeel_core::ids::{BatchId, NodeId};
use evenkeel_node::api::types::{BatchStatus, NodeStatus, Numbered};

use super::picture::Picture;
use crate::command::status;

/// What a person has chosen in a list of things that are named by `K` and sorted by `S`.
#[derive(Debug, Clone)]
pub(super) struct Choice<K, S> {
    /// The chosen one; `None`: the first.
    pub(super) chosen: Option<K>,
    pub(super) sort: S,
    pub(super) reverse: bool,
    /// Only rows that contain this are shown.
    pub(super) filter: String,
}

impl<K, S: Default> Default for Choice<K, S> {
    fn default() -> Self {
        Choice { chosen: None, sort: S::default(), reverse: false, filter: String::new() }
    }
}

impl<K: Copy + PartialEq, S> Choice<K, S> {
    /// The place of the chosen one among these.
    pub(super) fn place(&self, keys: &[K]) -> usize {
        self.chosen.and_then(|chosen| keys.iter().position(|key| *key == chosen)).unwrap_or(0)
    }

    /// The chosen one of these.
    pub(super) fn of(&self, keys: &[K]) -> Option<K> {
        keys.get(self.place(keys)).copied()
    }

    /// Chooses the one that is so many rows further down.
    pub(super) fn step(&mut self, keys: &[K], rows: isize) {
        let place = self.place(keys).saturating_add_signed(rows).min(keys.len().saturating_sub(1));
        // The first row is whichever comes first.
        self.chosen = if place == 0 { None } else { keys.get(place).copied() };
    }

    fn ordered(&self, order: Ordering) -> Ordering {
        if self.reverse { order.reverse() } else { order }
    }

    fn shows(&self, texts: &[&str]) -> bool {
        let filter = self.filter.to_lowercase();
        filter.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&filter))
    }
}

/// What nodes are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum NodeSort {
    #[default]
    Name,
    State,
    Pending,
    Running,
    Speed,
    Level,
}

impl NodeSort {
    pub(super) fn next(self) -> NodeSort {
        match self {
            NodeSort::Name => NodeSort::State,
            NodeSort::State => NodeSort::Pending,
            NodeSort::Pending => NodeSort::Running,
            NodeSort::Running => NodeSort::Speed,
            NodeSort::Speed => NodeSort::Level,
            NodeSort::Level => NodeSort::Name,
        }
    }
}

/// What batches are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BatchSort {
    /// The newest first.
    #[default]
    Submitted,
    State,
    Progress,
    Documents,
    Failed,
    Rate,
    Left,
}

impl BatchSort {
    pub(super) fn next(self) -> BatchSort {
        match self {
            BatchSort::Submitted => BatchSort::State,
            BatchSort::State => BatchSort::Progress,
            BatchSort::Progress => BatchSort::Documents,
            BatchSort::Documents => BatchSort::Failed,
            BatchSort::Failed => BatchSort::Rate,
            BatchSort::Rate => BatchSort::Left,
            BatchSort::Left => BatchSort::Submitted,
        }
    }
}

/// Nodes in the order that was chosen: numbers from the largest.
pub(super) fn nodes<'a>(picture: &'a Picture, choice: &Choice<NodeId, NodeSort>) -> Vec<&'a NodeStatus> {
    let shown = |node: &&NodeStatus| {
        choice.shows(&[&node.name, node.state.as_str(), &node.id.to_string(), &node.address.to_string()])
    };
    let mut rows: Vec<&NodeStatus> = picture.nodes().iter().filter(shown).collect();
    // The sort is stable, and they come by name.
    rows.sort_by(|one, other| {
        choice.ordered(match choice.sort {
            NodeSort::Name => one.name.cmp(&other.name),
            // The worst first.
            NodeSort::State => severity(other).cmp(&severity(one)),
            NodeSort::Pending => other.pending.cmp(&one.pending),
            NodeSort::Running => other.running.cmp(&one.running),
            NodeSort::Speed => other.speed.total_cmp(&one.speed),
            NodeSort::Level => other.level.total_cmp(&one.level),
        })
    });
    rows
}

fn severity(node: &NodeStatus) -> usize {
    evenkeel_node::api::types::NodeState::ALL.iter().position(|state| *state == node.state).unwrap_or(0)
}

/// Batches in the order that was chosen.
pub(super) fn batches<'a>(picture: &'a Picture, choice: &Choice<BatchId, BatchSort>) -> Vec<&'a BatchStatus> {
    let shown = |batch: &&BatchStatus| {
        choice.shows(&[&batch.id.to_string(), status::state(batch.state), &status::command(batch)])
    };
    let mut rows: Vec<&BatchStatus> = picture.batches().iter().filter(shown).collect();
    let rate = |batch: &BatchStatus| picture.rate(batch.id).unwrap_or(-1.0);
    let left = |batch: &BatchStatus| picture.left(batch);
    rows.sort_by(|one, other| {
        choice.ordered(match choice.sort {
            BatchSort::Submitted => (other.submitted_at, other.id).cmp(&(one.submitted_at, one.id)),
            BatchSort::State => (one.is_settled(), one.state as u8).cmp(&(other.is_settled(), other.state as u8)),
            BatchSort::Progress => progress(one).total_cmp(&progress(other)),
            BatchSort::Documents => other.documents.cmp(&one.documents),
            BatchSort::Failed => other.failed.cmp(&one.failed),
            BatchSort::Rate => rate(other).total_cmp(&rate(one)),
            BatchSort::Left => left(other).cmp(&left(one)),
        })
    });
    rows
}

/// What part of a batch has ended.
pub(super) fn progress(batch: &BatchStatus) -> f64 {
    match batch.documents {
        0 => 1.0,
        documents => f64::from(documents - batch.pending.min(documents)) / f64::from(documents),
    }
}

/// Events, the newest first.
pub(super) fn events<'a>(picture: &'a Picture, choice: &Choice<u64, bool>) -> Vec<&'a Numbered> {
    let mut events = picture.events(choice.sort);
    events.retain(|event| choice.shows(&[&picture.words(&event.event)]));
    events
}
