//! What a daemon asks of whatever runs its documents. On a machine that is the [`Executor`]; a simulation has its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::ids::{DocId, Epoch};

use super::{Executor, Job, Shared};

/// Runs documents, and reports the end of each once.
#[async_trait]
pub trait Execute: Send + Sync {
    /// Runs a document, now: there is no queue.
    ///
    /// # Panics
    /// If the document is being run under this very epoch already.
    fn run(&self, job: Job);

    /// Kills a document's processes at once. False: it is not running, or its end is about to be reported.
    fn kill(&self, doc: DocId, epoch: Epoch) -> bool;

    /// Asks all documents to end, kills them after `grace`, and waits for that.
    async fn stop_all(&self, grace: Duration);
}

#[async_trait]
impl Execute for Executor {
    fn run(&self, job: Job) {
        Executor::run(self, job);
    }

    fn kill(&self, doc: DocId, epoch: Epoch) -> bool {
        Executor::kill(self, doc, epoch)
    }

    async fn stop_all(&self, grace: Duration) {
        let shared: Arc<Shared> = self.shared.clone();
        // Waits for processes, on a thread that may. An error means that it panicked, which has been said.
        let _ = tokio::task::spawn_blocking(move || shared.stop_all(grace)).await;
    }
}
