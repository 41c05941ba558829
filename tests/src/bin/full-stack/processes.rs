//! Documents that take virtual time instead of a process.
//!
//! A document's payload says what it does: `250` sleeps for 250 ms and succeeds, `250 fails 2` fails in its first two
//! attempts. They run on the simulated host's runtime, so that they die with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::ids::{DocId, Epoch};
use evenkeel_net::records::{Captured, Exit};
use evenkeel_node::daemon::OnEnd;
use evenkeel_node::process::{Ended, Execute, Job};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ledger::{End, Ledger};
use crate::schedule::Schedule;

/// The exit status of a document that fails.
const FAILURE: i32 = 1;

/// Runs the documents of one run of one host.
pub(crate) struct Processes(Arc<Shared>);

struct Shared {
    host: String,
    slots: u32,
    ledger: Ledger,
    schedule: Schedule,
    on_end: OnEnd,
    running: Mutex<Running>,
}

/// What runs until its end is reported, with the means to kill it, which can be used once.
type Running = BTreeMap<(DocId, Epoch), Option<oneshot::Sender<()>>>;

/// What a payload asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Work {
    takes: Duration,
    failures: u32,
}

impl Work {
    fn of(payload: &[u8]) -> Option<Work> {
        let mut words = std::str::from_utf8(payload).ok()?.split(' ');
        let takes = Duration::from_millis(words.next()?.parse().ok()?);
        let failures = match words.next() {
            None => 0,
            Some("fails") => words.next()?.parse().ok()?,
            Some(_) => return None,
        };
        Some(Work { takes, failures })
    }
}

impl Processes {
    pub(crate) fn new(host: &str, slots: u32, ledger: Ledger, schedule: Schedule, on_end: OnEnd) -> Processes {
        let running = Mutex::default();
        Processes(Arc::new(Shared { host: host.to_owned(), slots, ledger, schedule, on_end, running }))
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attend(self: Arc<Self>, job: Job, killed: oneshot::Receiver<()>) {
        let run = (job.doc, job.epoch);
        let entry = self.ledger.started(&self.host, job.doc, job.epoch);
        self.schedule.note(&self.host, format_args!("starts {} under epoch {}", job.doc, job.epoch));
        let started_unix_micros = unix_micros();
        let begun = Instant::now();
        // The command must be one: the payload is in it, as it would be on the machine's command line.
        let rendered = job.template.render(job.doc.number, &job.payload).map_err(|error| error.to_string());
        let work = rendered.and_then(|_| Work::of(&job.payload).ok_or_else(|| "a payload that is no work".to_owned()));
        let (exit, end) = match work {
            Err(reason) => (Exit::NotStarted(reason), End::Failed),
            Ok(work) => tokio::select! {
                biased;
                Ok(()) = killed => (Exit::Signal(libc::SIGKILL), End::Killed),
                () = tokio::time::sleep(job.timeout.unwrap_or(Duration::MAX)) => (Exit::TimedOut, End::Failed),
                () = tokio::time::sleep(work.takes) => match job.attempt.0 <= work.failures {
                    true => (Exit::Status(FAILURE), End::Failed),
                    false => (Exit::Status(0), End::Succeeded),
                },
            },
        };
        self.running().remove(&run);
        self.ledger.ended(entry, end);
        self.schedule.note(&self.host, format_args!("ends {} under epoch {}: {end:?}", job.doc, job.epoch));
        let wall_micros = begun.elapsed().as_micros() as u64;
        (self.on_end)(Ended {
            doc: job.doc,
            epoch: job.epoch,
            attempt: job.attempt,
            exit,
            stopped: end == End::Killed,
            started_unix_micros,
            wall_micros,
            user_micros: 0,
            system_micros: 0,
            max_rss_bytes: 0,
            stdout: Captured { bytes: job.payload, dropped: 0 },
            stderr: Captured::default(),
        });
    }
}

#[async_trait]
impl Execute for Processes {
    fn run(&self, job: Job) {
        let (kill, killed) = oneshot::channel();
        let mut running = self.0.running();
        let before = running.insert((job.doc, job.epoch), Some(kill));
        assert!(before.is_none(), "document {} runs already under epoch {}", job.doc, job.epoch);
        let (host, slots) = (&self.0.host, self.0.slots);
        assert!(running.len() <= slots as usize, "{} documents run on {host}, which has {slots} slots", running.len());
        drop(running);
        tokio::spawn(self.0.clone().attend(job, killed));
    }

    fn kill(&self, doc: DocId, epoch: Epoch) -> bool {
        match self.0.running().get_mut(&(doc, epoch)) {
            Some(running) => running.take().is_none_or(|kill| kill.send(()).is_ok()),
            None => false,
        }
    }

    async fn stop_all(&self, _grace: Duration) {
        for kill in self.0.running().values_mut().filter_map(Option::take) {
            // An error means that it ends at this very moment.
            let _ = kill.send(());
        }
    }
}

/// The wall clock of the simulation.
pub(crate) fn unix_micros() -> u64 {
    turmoil::since_epoch().map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_what_its_document_does() {
        let work = |takes, failures| Some(Work { takes: Duration::from_millis(takes), failures });
        assert_eq!(Work::of(b"250"), work(250, 0));
        assert_eq!(Work::of(b"1 fails 3"), work(1, 3));
        for junk in ["", "x", "1 fails", "1 succeeds", "1 fails x"] {
            assert_eq!(Work::of(junk.as_bytes()), None, "{junk}");
        }
    }
}
