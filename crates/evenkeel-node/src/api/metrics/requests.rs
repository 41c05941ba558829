//! What the API itself counts: requests by route, and uploads. Routes are the templates of the router, and whatever fits none
//! is one more: nothing that a client sends makes a new series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::text::Text;

/// What stands for a route where there is none.
const NO_ROUTE: &str = "other";

/// See above.
#[derive(Debug, Default)]
pub(in crate::api) struct Requests {
    /// By route, and class of status from 1xx to 5xx.
    answered: Mutex<BTreeMap<String, [u64; 5]>>,
    accepted: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    documents: AtomicU64,
}

/// An upload under way. What is dropped before it has an answer was broken off.
pub(in crate::api) struct UploadCount<'a>(Option<&'a Requests>);

impl UploadCount<'_> {
    /// It was accepted, with so many documents.
    pub(in crate::api) fn accepted(mut self, documents: u32) {
        if let Some(requests) = self.0.take() {
            requests.accepted.fetch_add(1, Relaxed);
            requests.documents.fetch_add(u64::from(documents), Relaxed);
        }
    }

    /// It was refused.
    pub(in crate::api) fn refused(mut self) {
        if let Some(requests) = self.0.take() {
            requests.refused.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for UploadCount<'_> {
    fn drop(&mut self) {
        if let Some(requests) = self.0 {
            requests.broken.fetch_add(1, Relaxed);
        }
    }
}

impl Requests {
    /// Counts an answer. `route`: the template that the request fitted, if any.
    pub(in crate::api) fn answered(&self, route: Option<&str>, status: u16) {
        let Some(class) = usize::from(status / 100).checked_sub(1).filter(|class| *class < 5) else { return };
        let route = route.unwrap_or(NO_ROUTE);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match answered.get_mut(route) {
            Some(counts) => counts[class] += 1,
            None => answered.entry(route.to_owned()).or_default()[class] += 1,
        }
    }

    /// An upload has begun.
    pub(in crate::api) fn upload(&self) -> UploadCount<'_> {
        UploadCount(Some(self))
    }

    /// `under_way`: uploads at this moment.
    pub(super) fn write(&self, under_way: usize, out: &mut Text) {
        let name = "evenkeel_http_requests_total";
        out.family(name, "counter", "Requests answered, by route and class of status.");
        for (route, counts) in self.answered.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(counts) {
                if *count > 0 {
                    out.sample(name, &[("route", route), ("status", class)], count);
                }
            }
        }
        out.gauge("evenkeel_uploads", "Uploads under way.", under_way);
        let uploads = [("accepted", &self.accepted), ("refused", &self.refused), ("broken", &self.broken)];
        let uploads = uploads.map(|(outcome, count)| (outcome, count.load(Relaxed)));
        let help = "Uploads by what became of them; broken: the client went away.";
        out.counters("evenkeel_uploads_total", help, "outcome", uploads);
        let help = "Documents of the uploads that were accepted.";
        out.counter("evenkeel_documents_accepted_total", help, self.documents.load(Relaxed));
    }
}
