//! Where a person is in the picture, and what their keys do: change that, or ask for something to be done.
//!
//! Pure: a key comes in, an [`Action`] goes out. Nothing here draws, and nothing talks to a node.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use evenkeel_core::ids::{BatchId, DocId, DocNumber, NodeId};
use evenkeel_node::api::types::{DocumentState, NodeState};
use indicatif::HumanCount;

use super::picture::{Link, Picture};
use super::rows::{self, BatchSort, Choice, NodeSort};
use super::told::{self, Weight};
use crate::command::drain;

/// Rows that the page keys go.
const PAGE: isize = 10;

/// Longest filter.
const LONGEST_FILTER: usize = 60;

/// Failed documents of a batch that are asked for and shown; `evenkeel results BATCH --failed` has them all.
pub(super) const FAILED_SHOWN: usize = 50;

/// The lists of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pane {
    #[default]
    Nodes,
    Batches,
    Events,
}

/// What is looked at more closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Node(NodeId),
    Batch(BatchId),
    Document(DocId),
}

/// What waits for a person's answer, in the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    /// What rows of a list must contain.
    Filter(Pane),
    /// The number of a document of a batch.
    Number(BatchId, String),
    /// Whether something is really to be done.
    Confirm(Deed),
}

/// What can be done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Cancel(BatchId),
    Retry(BatchId),
    Drain(NodeId),
}

/// What is asked of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Do(Deed),
    /// Everything known of a document.
    Explain(DocId),
    /// The first documents of a batch that failed.
    Failed(BatchId),
}

/// What follows from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing but that the screen may look otherwise.
    Look,
    Ask(Ask),
    /// The program stops for a while, as by Ctrl-Z.
    Suspend,
    Quit,
}

/// Where a person is.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen {
    pub(super) focus: Pane,
    pub(super) nodes: Choice<NodeId, NodeSort>,
    pub(super) batches: Choice<BatchId, BatchSort>,
    /// Sorted by whether events of single documents are shown.
    pub(super) events: Choice<u64, bool>,
    /// Documents of the batch that is looked at.
    pub(super) documents: Choice<DocNumber, ()>,
    /// What is looked at, the latest last; empty: the overview.
    pub(super) pages: Vec<Page>,
    /// Lines of the page that have been scrolled away.
    pub(super) scrolled: usize,
    pub(super) prompt: Option<Prompt>,
    pub(super) help: bool,
    /// What became of the last key, or of what was asked for.
    pub(super) note: Option<Result<String, String>>,
}

impl Screen {
    /// What is looked at; `None`: the overview.
    pub(super) fn page(&self) -> Option<Page> {
        self.pages.last().copied()
    }

    /// Documents of a batch that can be chosen: those that failed, and those of which something was heard.
    pub(super) fn documents(picture: &Picture, batch: BatchId) -> Vec<(DocNumber, String)> {
        let mut found: Vec<(DocNumber, String)> = Vec::new();
        if let Some((of, Ok(failed))) = &picture.failed
            && *of == batch
        {
            found.extend(failed.iter().map(|line| {
                let how = crate::output::ending::describe(&line.exit);
                (line.document, format!("failed: {how}, on {}", picture.name(line.node)))
            }));
        }
        // Those that failed come first, also where only their event is known yet.
        let (bad, rest): (Vec<_>, Vec<_>) =
            picture.events(true).into_iter().partition(|event| told::weight(&event.event) == Weight::Bad);
        for event in bad.into_iter().chain(rest) {
            if let Some(doc) = told::document(&event.event).filter(|doc| doc.batch == batch)
                && found.iter().all(|(number, _)| *number != doc.number)
            {
                let words = picture.words(&event.event);
                let own = format!("document {doc} ");
                found.push((doc.number, words.strip_prefix(&own).unwrap_or(&words).to_owned()));
            }
        }
        found
    }

    /// What the page needs to know that nobody has asked for yet, or that may have changed.
    pub(super) fn wants(&self, picture: &Picture) -> Option<Ask> {
        match self.page()? {
            Page::Node(_) => None,
            Page::Batch(id) => {
                let failed = picture.batch(id)?.failed as usize;
                let known = match &picture.failed {
                    Some((of, Ok(lines))) if *of == id => lines.len(),
                    _ => 0,
                };
                (known < failed.min(FAILED_SHOWN)).then_some(Ask::Failed(id))
            }
            Page::Document(doc) => {
                let settled =
                    |state| matches!(state, DocumentState::Done | DocumentState::Failed | DocumentState::Cancelled);
                let told = picture.story.as_ref().is_some_and(|(of, story)| {
                    let whole = |story: &evenkeel_node::api::types::Explanation| {
                        settled(story.state) && (story.result.is_some() || story.state == DocumentState::Cancelled)
                    };
                    *of == doc && story.as_ref().is_ok_and(|story| whole(story))
                });
                (!told).then_some(Ask::Explain(doc))
            }
        }
    }

    /// Does what a key means here.
    pub(super) fn key(&mut self, key: KeyEvent, picture: &Picture) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Look;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Action::Quit,
                KeyCode::Char('z') => return Action::Suspend,
                _ => {}
            }
        }
        self.note = None;
        if let Some(prompt) = self.prompt.take() {
            return self.answer(prompt, key.code, picture);
        }
        if std::mem::take(&mut self.help) {
            return if key.code == KeyCode::Char('q') { Action::Quit } else { Action::Look };
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(2),
            KeyCode::Char('1') => self.focus_on(Pane::Nodes),
            KeyCode::Char('2') => self.focus_on(Pane::Batches),
            KeyCode::Char('3') => self.focus_on(Pane::Events),
            KeyCode::Down | KeyCode::Char('j') => self.step(1, picture),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1, picture),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(PAGE, picture),
            KeyCode::PageUp => self.step(-PAGE, picture),
            KeyCode::Home => self.step(isize::MIN, picture),
            KeyCode::End => self.step(isize::MAX, picture),
            KeyCode::Enter | KeyCode::Right => self.open(picture),
            KeyCode::Char('s') => self.sort(),
            KeyCode::Char('S') => self.reverse(),
            KeyCode::Char('v') => self.events.sort = !self.events.sort,
            KeyCode::Char('/') if self.pages.is_empty() => self.prompt = Some(Prompt::Filter(self.focus)),
            KeyCode::Char('g') => match self.batch(picture) {
                Some(batch) => self.prompt = Some(Prompt::Number(batch, String::new())),
                None => self.refuse("choose a batch first: Tab goes to the list of batches"),
            },
            KeyCode::Char('c') => match self.batch(picture) {
                Some(batch) => self.propose(Deed::Cancel(batch), picture),
                None => self.refuse("c cancels a batch: Tab goes to the list of batches"),
            },
            KeyCode::Char('r') => match self.batch(picture) {
                Some(batch) => self.propose(Deed::Retry(batch), picture),
                None => self.refuse("r submits what failed of a batch again: Tab goes to the list of batches"),
            },
            KeyCode::Char('d') => match self.node(picture) {
                Some(node) => self.propose(Deed::Drain(node), picture),
                None => self.refuse("d drains a node: Tab goes to the list of nodes"),
            },
            _ => {}
        }
        Action::Look
    }

    fn answer(&mut self, prompt: Prompt, code: KeyCode, picture: &Picture) -> Action {
        match (prompt, code) {
            (Prompt::Confirm(deed), KeyCode::Char('y' | 'Y')) => return Action::Ask(Ask::Do(deed)),
            (Prompt::Confirm(_), _) => self.note = Some(Ok("nothing was done".to_owned())),
            (Prompt::Filter(pane), KeyCode::Esc) => self.filter(pane).clear(),
            (Prompt::Filter(_), KeyCode::Enter) => {}
            (Prompt::Filter(pane), code) => {
                let filter = self.filter(pane);
                match code {
                    KeyCode::Backspace => drop(filter.pop()),
                    KeyCode::Char(letter) if filter.chars().count() < LONGEST_FILTER => filter.push(letter),
                    _ => {}
                }
                self.prompt = Some(Prompt::Filter(pane));
            }
            (Prompt::Number(..), KeyCode::Esc) => {}
            (Prompt::Number(batch, digits), KeyCode::Enter) => {
                let documents = picture.batch(batch).map_or(u32::MAX, |batch| batch.documents);
                match digits.parse::<u32>() {
                    Ok(number) if number < documents => {
                        self.enter(Page::Document(DocId { batch, number: DocNumber(number) }));
                    }
                    _ => self.refuse(format!(
                        "there is no such document: batch {batch} has {}, numbered from 0",
                        HumanCount(u64::from(documents))
                    )),
                }
            }
            (Prompt::Number(batch, mut digits), code) => {
                match code {
                    KeyCode::Backspace => drop(digits.pop()),
                    KeyCode::Char(digit) if digit.is_ascii_digit() && digits.len() < 10 => digits.push(digit),
                    _ => {}
                }
                self.prompt = Some(Prompt::Number(batch, digits));
            }
        }
        Action::Look
    }

    /// Asks whether something is really to be done, or says why it cannot.
    fn propose(&mut self, deed: Deed, picture: &Picture) {
        match objection(deed, picture) {
            Some(objection) => self.refuse(objection),
            None => self.prompt = Some(Prompt::Confirm(deed)),
        }
    }

    fn refuse(&mut self, why: impl Into<String>) {
        self.note = Some(Err(why.into()));
    }

    fn filter(&mut self, pane: Pane) -> &mut String {
        match pane {
            Pane::Nodes => &mut self.nodes.filter,
            Pane::Batches => &mut self.batches.filter,
            Pane::Events => &mut self.events.filter,
        }
    }

    /// One step back: from a page, or to lists without a filter.
    fn back(&mut self) {
        if self.pages.pop().is_some() {
            self.scrolled = 0;
        } else {
            let pane = self.focus;
            self.filter(pane).clear();
        }
    }

    fn turn(&mut self, places: usize) {
        const PANES: [Pane; 3] = [Pane::Nodes, Pane::Batches, Pane::Events];
        if self.pages.is_empty() {
            let place = PANES.iter().position(|pane| *pane == self.focus).unwrap_or(0);
            self.focus = PANES[(place + places) % PANES.len()];
        }
    }

    fn focus_on(&mut self, pane: Pane) {
        self.pages.clear();
        self.scrolled = 0;
        self.focus = pane;
    }

    fn enter(&mut self, page: Page) {
        if self.page() != Some(page) {
            self.pages.push(page);
            self.scrolled = 0;
            if matches!(page, Page::Batch(_)) {
                self.documents = Choice::default();
            }
        }
    }

    fn step(&mut self, by: isize, picture: &Picture) {
        match self.page() {
            Some(Page::Batch(batch)) => {
                let keys: Vec<DocNumber> = Self::documents(picture, batch).iter().map(|(number, _)| *number).collect();
                self.documents.step(&keys, by);
            }
            Some(Page::Node(_) | Page::Document(_)) => self.scrolled = self.scrolled.saturating_add_signed(by),
            None => match self.focus {
                Pane::Nodes => self.nodes.step(&node_keys(picture, &self.nodes), by),
                Pane::Batches => self.batches.step(&batch_keys(picture, &self.batches), by),
                Pane::Events => self.events.step(&event_keys(picture, &self.events), by),
            },
        }
    }

    fn open(&mut self, picture: &Picture) {
        match self.page() {
            Some(Page::Batch(batch)) => {
                let keys: Vec<DocNumber> = Self::documents(picture, batch).iter().map(|(number, _)| *number).collect();
                match self.documents.of(&keys) {
                    Some(number) => self.enter(Page::Document(DocId { batch, number })),
                    None => self.refuse("no document is listed: g goes to one by its number"),
                }
            }
            Some(Page::Node(_) | Page::Document(_)) => {}
            None => match self.focus {
                Pane::Nodes => self.node(picture).into_iter().for_each(|node| self.enter(Page::Node(node))),
                Pane::Batches => self.batch(picture).into_iter().for_each(|batch| self.enter(Page::Batch(batch))),
                Pane::Events => {
                    let events = rows::events(picture, &self.events);
                    let keys: Vec<u64> = events.iter().map(|event| event.id).collect();
                    let page = events.get(self.events.place(&keys)).and_then(|event| {
                        let document = told::document(&event.event).map(Page::Document);
                        let batch = || told::batch(&event.event).map(Page::Batch);
                        document.or_else(batch).or_else(|| told::nodes(&event.event).pop().map(Page::Node))
                    });
                    page.into_iter().for_each(|page| self.enter(page));
                }
            },
        }
    }

    fn sort(&mut self) {
        match self.focus {
            Pane::Nodes => self.nodes.sort = self.nodes.sort.next(),
            Pane::Batches => self.batches.sort = self.batches.sort.next(),
            Pane::Events => {
                self.refuse("events are in the order in which they happened; v shows those of documents too")
            }
        }
    }

    fn reverse(&mut self) {
        match self.focus {
            Pane::Nodes => self.nodes.reverse = !self.nodes.reverse,
            Pane::Batches => self.batches.reverse = !self.batches.reverse,
            Pane::Events => {}
        }
    }

    /// The batch that is looked at or chosen.
    fn batch(&self, picture: &Picture) -> Option<BatchId> {
        match (self.page(), self.focus) {
            (Some(Page::Batch(batch)), _) => Some(batch),
            (Some(Page::Document(doc)), _) => Some(doc.batch),
            (None, Pane::Batches) => self.batches.of(&batch_keys(picture, &self.batches)),
            _ => None,
        }
    }

    /// The node that is looked at or chosen.
    fn node(&self, picture: &Picture) -> Option<NodeId> {
        match (self.page(), self.focus) {
            (Some(Page::Node(node)), _) => Some(node),
            (None, Pane::Nodes) => self.nodes.of(&node_keys(picture, &self.nodes)),
            _ => None,
        }
    }
}

fn node_keys(picture: &Picture, choice: &Choice<NodeId, NodeSort>) -> Vec<NodeId> {
    rows::nodes(picture, choice).iter().map(|node| node.id).collect()
}

fn batch_keys(picture: &Picture, choice: &Choice<BatchId, BatchSort>) -> Vec<BatchId> {
    rows::batches(picture, choice).iter().map(|batch| batch.id).collect()
}

fn event_keys(picture: &Picture, choice: &Choice<u64, bool>) -> Vec<u64> {
    rows::events(picture, choice).iter().map(|event| event.id).collect()
}

/// Why something cannot be done, as far as that is known here.
fn objection(deed: Deed, picture: &Picture) -> Option<String> {
    if matches!(picture.link, Link::Lost { .. }) {
        return Some("no node answers at the moment: nothing can be done".to_owned());
    }
    match deed {
        Deed::Cancel(id) => {
            let settled = picture.batch(id)?.is_settled();
            settled.then(|| format!("batch {id} has ended: there is nothing to cancel"))
        }
        Deed::Retry(id) => {
            let none = picture.batch(id)?.failed == 0;
            none.then(|| format!("no document of batch {id} has failed: there is nothing to try again"))
        }
        Deed::Drain(id) => {
            let node = picture.node(id)?;
            let name = picture.name(id);
            match node.state {
                NodeState::Dead => return Some(format!("node {name} is dead: there is nothing to drain")),
                NodeState::Left => return Some(format!("node {name} has left: there is nothing to drain")),
                NodeState::Draining => return Some(format!("node {name} is draining already")),
                NodeState::Live | NodeState::Suspect => {}
            }
            let (last, pending) = drain::last_taker(picture.nodes.as_ref()?)?;
            (last.id == id).then(|| {
                format!(
                    "{name} is the last live node, and {} would be lost: `evenkeel drain --force` does that",
                    told::count(pending)
                )
            })
        }
    }
}

impl Deed {
    /// What is asked before it is done.
    pub(super) fn question(self, picture: &Picture) -> String {
        match self {
            Deed::Cancel(id) => {
                let pending = picture.batch(id).map_or(0, |batch| u64::from(batch.pending));
                format!("cancel batch {id}? {} will not run any more", told::count(pending))
            }
            Deed::Retry(id) => {
                let failed = picture.batch(id).map_or(0, |batch| u64::from(batch.failed));
                format!("submit {} of batch {id} again, as a new batch?", told::count(failed))
            }
            Deed::Drain(id) => {
                let pending = picture.node(id).map_or(0, |node| node.pending);
                format!("drain node {}? It gives {} away and leaves", picture.name(id), told::count(pending))
            }
        }
    }
}
