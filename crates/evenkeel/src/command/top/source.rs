//! Where the picture comes from: one node, asked again and again, and listened to. When it answers no more, the others that
//! it has told of.
//!
//! Knows the client; must not know what is made of what it tells.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_node::api::types::{Event, Nodes};
use reqwest::Url;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::picture::Heard;
use super::told::{self, Weight};
use crate::client::{Client, ClientError};
use crate::command::follow::others;

/// Time between two looks at nodes and batches, when nothing is heard that makes another one worth while.
const PAUSE: Duration = Duration::from_secs(1);

/// Shortest time between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// Where the answer takes long, as over a slow line, looks are rarer: no more than one part in so many is spent on them.
const PART: u32 = 5;

/// Time that a node has for an answer before another one is asked.
const ANSWER: Duration = Duration::from_secs(5);

/// Time between two tries to find a node.
const SEARCH_PAUSE: Duration = Duration::from_millis(500);

/// Addresses that are remembered.
const MOST_SEEN: usize = 512;

/// See above.
pub(super) struct Source {
    client: Client,
    /// Tells whom to talk to.
    current: watch::Sender<Client>,
    out: mpsc::Sender<Heard>,
    /// Other nodes, those first that were told of last.
    seen: VecDeque<Url>,
    /// The last event of the node that is asked.
    last_event: Option<u64>,
}

impl Source {
    /// Will ask this node, which has just given this answer.
    pub(super) fn new(
        client: Client,
        current: watch::Sender<Client>,
        first: &Nodes,
        out: mpsc::Sender<Heard>,
    ) -> Source {
        let mut source = Source { client, current, out, seen: VecDeque::new(), last_event: None };
        remember(&mut source.seen, others(first, source.client.url()));
        source
    }

    /// Goes on until nobody listens any more.
    pub(super) async fn run(mut self) {
        while !self.out.is_closed() {
            let why = {
                let poke = Arc::new(Notify::new());
                tokio::select! {
                    why = look(&self.client, &mut self.seen, &self.out, &poke) => why,
                    () = listen(&self.client, &mut self.last_event, &self.out, &poke) => return,
                }
            };
            match why {
                Some(error) => self.find(&error).await,
                None => return,
            }
        }
    }

    /// Looks for a node that answers. The one that was lost is asked first, and again and again.
    async fn find(&mut self, lost: &ClientError) {
        let asked = self.client.url().clone();
        let reason = brief(lost, &asked);
        let mut next: VecDeque<Url> = std::iter::once(asked.clone()).chain(self.seen.iter().cloned()).collect();
        // One connection that broke off is no loss, and nobody is told of it.
        let mut told = false;
        while let Some(url) = next.pop_front() {
            next.push_back(url.clone());
            if told {
                let trying = url.to_string();
                if self.out.send(Heard::Lost { reason: reason.clone(), trying }).await.is_err() {
                    return;
                }
            }
            let client = self.client.at(url.clone());
            if let Ok(nodes) = within(&client, client.nodes()).await {
                if url != asked {
                    self.last_event = None;
                }
                remember(&mut self.seen, others(&nodes, &url).into_iter().chain([asked]).collect());
                self.client = client.clone();
                self.current.send_replace(client);
                // An error means that nobody listens any more, which is seen elsewhere.
                let _ = self.out.send(Heard::Found { url: url.to_string() }).await;
                let _ = self.out.send(Heard::Nodes(nodes)).await;
                return;
            }
            if std::mem::replace(&mut told, true) {
                tokio::time::sleep(SEARCH_PAUSE).await;
            }
        }
    }
}

/// Looks at nodes and batches, now and then and when poked. Returns why it cannot any more; `None`: nobody listens.
async fn look(
    client: &Client,
    seen: &mut VecDeque<Url>,
    out: &mpsc::Sender<Heard>,
    poke: &Notify,
) -> Option<ClientError> {
    loop {
        let begun = Instant::now();
        let nodes = match within(client, client.nodes()).await {
            Ok(nodes) => nodes,
            Err(error) => return Some(error),
        };
        remember(seen, others(&nodes, client.url()));
        out.send(Heard::Nodes(nodes)).await.ok()?;
        match within(client, client.batches()).await {
            Ok(batches) => out.send(Heard::Batches(batches.batches)).await.ok()?,
            Err(error) => return Some(error),
        }
        let rest = begun.elapsed() * (PART - 1);
        tokio::time::sleep(SHORTEST_PAUSE.max(rest)).await;
        tokio::select! {
            () = tokio::time::sleep(PAUSE.saturating_sub(SHORTEST_PAUSE)) => {}
            () = poke.notified() => {}
        }
    }
}

/// Listens to what happens; ends when nobody listens to it. Where the stream breaks off it is begun again: whether the node
/// is there is found out by looking.
async fn listen(client: &Client, last: &mut Option<u64>, out: &mpsc::Sender<Heard>, poke: &Notify) {
    loop {
        if let Ok(mut events) = client.events(*last).await {
            while let Ok(Some(event)) = events.next().await {
                *last = Some(event.id);
                if told::weight(&event.event) != Weight::Minor && !matches!(event.event, Event::DocumentEnded { .. }) {
                    poke.notify_one();
                }
                if out.send(Heard::Event(event)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        if out.is_closed() {
            return;
        }
    }
}

async fn within<T>(client: &Client, answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    let silent = || ClientError::Silent { url: client.url().clone(), after: ANSWER };
    tokio::time::timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(silent()))
}

/// Puts addresses in front of those that are known.
fn remember(seen: &mut VecDeque<Url>, urls: VecDeque<Url>) {
    for url in urls.into_iter().rev() {
        if seen.front() != Some(&url) {
            seen.retain(|known| *known != url);
            seen.push_front(url);
        }
    }
    seen.truncate(MOST_SEEN);
}

/// Why a node was lost, in a line.
fn brief(error: &ClientError, asked: &Url) -> String {
    let why = match error {
        ClientError::Unreachable { reason, .. } => reason.clone(),
        ClientError::Broken { reason, .. } => format!("the connection broke off: {reason}"),
        ClientError::Silent { after, .. } => format!("no answer for {}", humantime::format_duration(*after)),
        ClientError::Refused(problem) => problem.message.clone(),
        ClientError::Strange { .. } => "what answers is no Evenkeel node".to_owned(),
    };
    format!("{}: {why}", asked.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_remembered_the_latest_first_and_each_once() {
        let url = |port: u16| Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let mut seen = VecDeque::new();
        remember(&mut seen, [url(1), url(2)].into());
        remember(&mut seen, [url(3), url(1)].into());
        assert_eq!(seen, [url(3), url(1), url(2)]);
        remember(&mut seen, (10..2_000).map(url).collect());
        assert_eq!((seen.len(), &seen[0]), (MOST_SEEN, &url(10)));
    }
}
