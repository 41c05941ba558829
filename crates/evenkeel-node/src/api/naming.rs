//! Finds what a client means by the beginning of a batch's id, or by the name of a node.

use std::ops::RangeInclusive;

use evenkeel_core::ids::{BatchId, NodeId};

use super::backend::Backend;
use super::types::{ErrorCode, NodeStatus, Problem};

/// Letters and digits of a whole batch id.
const BATCH_ID_LETTERS: usize = 13;

/// The batch with this id, or the only one whose id begins so.
pub(super) async fn batch<B: Backend>(backend: &B, text: &str) -> Result<BatchId, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let unknown = || {
        Problem::new(ErrorCode::NotFound, format!("there is no batch {text:?}"))
            .hint("a batch is named by its id or the beginning of it; `evenkeel status` lists them")
    };
    let found = backend.batch_ids(beginning_with(text).ok_or_else(unknown)?, 2).await?;
    match found[..] {
        [] => Err(unknown()),
        [id] => Ok(id),
        [one, other, ..] => {
            let message = format!("more than one batch begins with {text:?}: {one} and {other} for two");
            Err(Problem::new(ErrorCode::Ambiguous, message).hint("write more of the id"))
        }
    }
}

/// Ids print in the order of their numbers, so those with a common beginning are a range.
fn beginning_with(text: &str) -> Option<RangeInclusive<BatchId>> {
    if text.is_empty() || text.len() > BATCH_ID_LETTERS || !text.is_ascii() {
        return None;
    }
    let padded = |letter: &str| format!("{text}{}", letter.repeat(BATCH_ID_LETTERS - text.len())).parse().ok();
    Some(padded("0")?..=padded("z")?)
}

/// The node with this id, this name, or the only one whose id begins so; `self` is the one that answers.
pub(super) fn node<'a>(nodes: &'a [NodeStatus], text: &str) -> Result<&'a NodeStatus, Problem> {
    if text == "self" {
        return nodes.iter().find(|node| node.is_self).ok_or_else(|| {
            Problem::new(ErrorCode::Unavailable, "this node does not know itself yet").hint("ask again in a second")
        });
    }
    if let Ok(id) = text.parse::<NodeId>() {
        return nodes.iter().find(|node| node.id == id).ok_or_else(|| no_node(text));
    }
    let named: Vec<_> = nodes.iter().filter(|node| node.name == text).collect();
    let meant = match named.is_empty() {
        true => nodes.iter().filter(|node| !text.is_empty() && node.id.to_string().starts_with(text)).collect(),
        false => named,
    };
    // A host that was set up anew has a new id: its old one is gone, and is not meant while there is a living one.
    let living: Vec<_> = meant.iter().copied().filter(|node| !node.state.is_gone()).collect();
    match (&living[..], &meant[..]) {
        ([node], _) | ([], [node]) => Ok(node),
        ([], []) => Err(no_node(text)),
        ([one, other, ..], _) | ([], [one, other, ..]) => {
            let message = format!("more than one node answers to {text:?}: {} and {} for two", one.id, other.id);
            Err(Problem::new(ErrorCode::Ambiguous, message).hint("name it by its id"))
        }
    }
}

fn no_node(text: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("there is no node {text:?}"))
        .hint("a node is named by its name, its id or `self`; `evenkeel nodes` lists them")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_beginning_finds_every_id_that_has_it_and_no_other(id: u64, other: u64, letters in 1usize..=13) {
            let beginning = &BatchId(id).to_string()[..letters];
            let range = beginning_with(beginning).expect("a range");
            prop_assert!(range.contains(&BatchId(id)));
            prop_assert_eq!(range.contains(&BatchId(other)), BatchId(other).to_string().starts_with(beginning));
        }

        #[test]
        fn any_text_is_a_beginning_or_not(text in "\\PC{0,15}") {
            let _ = beginning_with(&text);
        }
    }
}
