//! What of an input the cluster does not have yet: what `submit --resume` submits.
//!
//! A document is known by its command and its content, never by its number: the input may have changed. Identical documents
//! count as often as they were submitted. What failed, or was cancelled, counts as never submitted.

use std::collections::HashMap;

use evenkeel_core::ids::{BatchId, DocNumber};
use evenkeel_node::api::types::Digest;

use crate::client::{Client, ClientError};
use crate::input::{Document, Documents, InputError, Skipped};
use crate::output::exit::ExitStatus;

/// What the batches of one command have.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The oldest first.
    batches: Vec<Batch>,
}

/// A batch that has some of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) batch: BatchId,
    /// How many of its documents had failed, or were cancelled or about to be: those are submitted again, if they are in the input.
    pub(super) lost: u32,
}

#[derive(Debug)]
struct Batch {
    id: BatchId,
    lost: u32,
    /// How many of its documents have this content, and have not been found in the input yet.
    left: HashMap<Digest, u32>,
    /// How many have been found.
    found: u64,
}

impl Batch {
    async fn ask(client: &Client, id: BatchId) -> Result<Batch, ClientError> {
        let mut batch = Batch { id, lost: 0, left: HashMap::new(), found: 0 };
        let mut next = Some(DocNumber(0));
        while let Some(from) = next {
            let page = client.contents(id, from).await?;
            for digest in page.digests {
                match digest {
                    Some(digest) => *batch.left.entry(digest).or_default() += 1,
                    None => batch.lost += 1,
                }
            }
            // A node that sent us back would keep us here for ever.
            next = page.next.filter(|next| *next > from);
        }
        Ok(batch)
    }
}

impl Known {
    /// Asks a node for all batches of this command that it knows.
    pub(super) async fn ask(client: &Client, command: &[String]) -> Result<Known, ClientError> {
        let mut batches = Vec::new();
        let all = client.batches().await?.batches;
        for batch in all.into_iter().rev().filter(|batch| batch.command == command) {
            match Batch::ask(client, batch.id).await {
                Ok(batch) => batches.push(batch),
                // It was removed meanwhile.
                Err(error) if error.status() == ExitStatus::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Known { batches })
    }

    /// Whether a document with this content has been submitted. Each that was answers for one.
    fn take(&mut self, payload: &[u8]) -> bool {
        if self.batches.is_empty() {
            return false;
        }
        let digest = Digest::of(payload);
        self.batches.iter_mut().any(|batch| match batch.left.get_mut(&digest) {
            Some(left) if *left > 0 => {
                *left -= 1;
                batch.found += 1;
                true
            }
            _ => false,
        })
    }

    /// Where documents of the input were found, and how many in all.
    pub(super) fn found(&self) -> (Vec<Earlier>, u64) {
        let with_any = self.batches.iter().filter(|batch| batch.found > 0);
        let with_any = with_any.map(|batch| Earlier { batch: batch.id, lost: batch.lost });
        (with_any.collect(), self.batches.iter().map(|batch| batch.found).sum())
    }
}

/// Iterator over the documents of an input that are not known. It ends after the first error, as the input does.
pub(super) struct Fresh {
    documents: Documents,
    known: Known,
    /// Read already.
    first: Option<Result<Document, InputError>>,
}

impl Fresh {
    pub(super) fn new(documents: Documents, known: Known) -> Fresh {
        Fresh { documents, known, first: None }
    }

    /// Whether nothing comes any more: reads as far as is needed to know.
    pub(super) fn is_exhausted(&mut self) -> bool {
        if self.first.is_none() {
            self.first = self.next();
        }
        self.first.is_none()
    }

    /// What of the input was known so far.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// See [`Documents::skipped`].
    pub(super) fn skipped(&self) -> Option<&Skipped> {
        self.documents.skipped()
    }
}

impl Iterator for Fresh {
    type Item = Result<Document, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let Fresh { documents, known, .. } = self;
        documents.find(|document| !document.as_ref().is_ok_and(|document| known.take(&document.payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Options, Source};

    fn batch(id: u64, documents: &[&str]) -> Batch {
        let mut left = HashMap::new();
        documents.iter().for_each(|document| *left.entry(Digest::of(document.as_bytes())).or_default() += 1);
        Batch { id: BatchId(id), lost: 7, left, found: 0 }
    }

    fn earlier(id: u64) -> Earlier {
        Earlier { batch: BatchId(id), lost: 7 }
    }

    fn fresh(batches: Vec<Batch>, input: &[&str]) -> Fresh {
        let words = input.iter().map(Into::into).collect();
        let documents = Documents::open(Source::Arguments(words), Options::default()).expect("good input");
        Fresh::new(documents, Known { batches })
    }

    fn payloads(fresh: &mut Fresh) -> Vec<String> {
        fresh.map(|document| String::from_utf8(document.expect("a document").payload).expect("text")).collect()
    }

    #[test]
    fn each_known_document_answers_for_one() {
        let mut input =
            fresh(vec![batch(1, &["a", "b", "a"]), batch(2, &["c", "a"])], &["a", "x", "a", "a", "a", "c", "y"]);
        assert!(!input.is_exhausted());
        assert_eq!(payloads(&mut input), ["x", "a", "y"]);
        assert_eq!(input.known().found(), (vec![earlier(1), earlier(2)], 4));
    }

    #[test]
    fn an_input_that_is_known_is_exhausted_at_once() {
        let mut input = fresh(vec![batch(1, &["q"]), batch(2, &["a", "b"])], &["b", "a"]);
        assert!(input.is_exhausted() && input.next().is_none());
        assert_eq!(input.known().found(), (vec![earlier(2)], 2));
    }

    #[test]
    fn without_batches_all_is_fresh() {
        let mut input = fresh(Vec::new(), &["a", "a"]);
        assert!(!input.is_exhausted());
        assert_eq!(payloads(&mut input), ["a", "a"]);
    }

    #[test]
    fn bad_input_is_not_exhausted() {
        let documents = Documents::open(Source::Arguments(Vec::new()), Options::default()).expect("opened");
        let mut input = Fresh::new(documents, Known::default());
        assert!(!input.is_exhausted());
        assert!(input.next().expect("an error").is_err());
    }
}
