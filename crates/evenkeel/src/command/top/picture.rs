//! What is known of the cluster: the last answers, and what has happened since the program was started.
//!
//! Fed with what a node says, [`Heard`]; must not know how that came here, nor how it is shown. Time is how long the program
//! has been running.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use evenkeel_core::ids::{BatchId, DocId, NodeId};
use evenkeel_node::api::types::{BatchStatus, Event, Explanation, NodeStatus, Nodes, Numbered, ResultLine};

use super::pace::Pace;
use super::told::{self, Weight};
use crate::input::printable;

/// Events that are kept: of those that are about one document, which come by the thousand, the fewer, those on their usual
/// course and those that went wrong each for themselves.
const EVENTS: usize = 500;
const DOCUMENT_EVENTS: usize = 200;

/// Something that a node said, or that it says nothing.
#[derive(Debug)]
pub(super) enum Heard {
    /// The nodes.
    Nodes(Nodes),
    /// All batches.
    Batches(Vec<BatchStatus>),
    /// Something happened.
    Event(Numbered),
    /// Nobody answers: why, and whom we ask next.
    Lost { reason: String, trying: String },
    /// A node answers.
    Found { url: String },
    /// Everything known of a document, or why that is not told.
    Story(DocId, Result<Box<Explanation>, String>),
    /// Documents of a batch that failed: the first ones.
    Failed(BatchId, Result<Vec<ResultLine>, String>),
}

/// Whether somebody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// The node at this URL does.
    Live { url: String },
    /// Nobody does, since then.
    Lost { since: Duration, reason: String, trying: String },
}

/// All of it.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) link: Link,
    pub(super) nodes: Option<Nodes>,
    pub(super) batches: Option<Vec<BatchStatus>>,
    paces: BTreeMap<BatchId, Pace>,
    events: VecDeque<Numbered>,
    failures: VecDeque<Numbered>,
    minor: VecDeque<Numbered>,
    /// The story of the document that was asked for last.
    pub(super) story: Option<(DocId, Result<Box<Explanation>, String>)>,
    /// Failed documents of the batch that was asked for last.
    pub(super) failed: Option<(BatchId, Result<Vec<ResultLine>, String>)>,
    pub(super) now: Duration,
}

impl Picture {
    /// Nothing is known but whom we ask.
    pub(super) fn new(url: String) -> Picture {
        Picture {
            link: Link::Live { url },
            nodes: None,
            batches: None,
            paces: BTreeMap::new(),
            events: VecDeque::new(),
            failures: VecDeque::new(),
            minor: VecDeque::new(),
            story: None,
            failed: None,
            now: Duration::ZERO,
        }
    }

    /// Takes in what was heard; `true` if anything is other than before.
    pub(super) fn hear(&mut self, heard: Heard, now: Duration) -> bool {
        self.now = now;
        match heard {
            Heard::Nodes(nodes) => replace(&mut self.nodes, nodes),
            Heard::Batches(batches) => {
                // Batches that are gone are forgotten, and those that have ended have no pace any more.
                self.paces.retain(|id, _| batches.iter().any(|batch| batch.id == *id && !batch.is_settled()));
                for batch in batches.iter().filter(|batch| !batch.is_settled()) {
                    self.paces.entry(batch.id).or_default().look(now, batch.documents - batch.pending);
                }
                // While a batch is at work its rate changes, even if its counts do not.
                replace(&mut self.batches, batches) || !self.paces.is_empty()
            }
            Heard::Event(event) => {
                let (ring, kept) = match told::weight(&event.event) {
                    Weight::Minor => (&mut self.minor, DOCUMENT_EVENTS),
                    Weight::Bad if told::document(&event.event).is_some() => (&mut self.failures, DOCUMENT_EVENTS),
                    Weight::Plain | Weight::Bad => (&mut self.events, EVENTS),
                };
                if ring.len() == kept {
                    ring.pop_front();
                }
                ring.push_back(event);
                true
            }
            Heard::Lost { reason, trying } => {
                let since = match self.link {
                    Link::Lost { since, .. } => since,
                    Link::Live { .. } => now,
                };
                self.link = Link::Lost { since, reason, trying };
                true
            }
            Heard::Found { url } => {
                let found = Link::Live { url };
                std::mem::replace(&mut self.link, found.clone()) != found
            }
            Heard::Story(doc, story) => replace(&mut self.story, (doc, story)),
            Heard::Failed(batch, failed) => replace(&mut self.failed, (batch, failed)),
        }
    }

    /// The nodes, in the order of the answer.
    pub(super) fn nodes(&self) -> &[NodeStatus] {
        self.nodes.as_ref().map_or(&[], |nodes| &nodes.nodes)
    }

    /// A node.
    pub(super) fn node(&self, id: NodeId) -> Option<&NodeStatus> {
        self.nodes().iter().find(|node| node.id == id)
    }

    /// The name of a node, or the beginning of its id.
    pub(super) fn name(&self, id: NodeId) -> String {
        match self.node(id) {
            Some(node) => printable(node.name.as_ref()),
            None => format!("node {}", &id.to_string()[..8]),
        }
    }

    /// The batches, newest first.
    pub(super) fn batches(&self) -> &[BatchStatus] {
        self.batches.as_deref().unwrap_or_default()
    }

    /// A batch.
    pub(super) fn batch(&self, id: BatchId) -> Option<&BatchStatus> {
        self.batches().iter().find(|batch| batch.id == id)
    }

    /// Documents of a batch that end in a second.
    pub(super) fn rate(&self, batch: BatchId) -> Option<f64> {
        self.paces.get(&batch)?.rate()
    }

    /// Time until a batch has ended, at its present pace.
    pub(super) fn left(&self, batch: &BatchStatus) -> Option<Duration> {
        self.paces.get(&batch.id)?.left(batch.pending)
    }

    /// What has happened, the newest first; with or without documents on their usual course.
    pub(super) fn events(&self, minor: bool) -> Vec<&Numbered> {
        let minor = self.minor.iter().filter(|_| minor);
        let mut events: Vec<&Numbered> = self.events.iter().chain(&self.failures).chain(minor).collect();
        // Ids of one node rise; those of another one are told apart by the time.
        events.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
        events
    }

    /// An event in words.
    pub(super) fn words(&self, event: &Event) -> String {
        told::words(event, |node| self.name(node))
    }
}

/// Puts a value in the place of another; `true` if it is another one.
fn replace<T: PartialEq>(place: &mut Option<T>, value: T) -> bool {
    let changed = place.as_ref() != Some(&value);
    *place = Some(value);
    changed
}
