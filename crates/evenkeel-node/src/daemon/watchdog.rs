//! The watchdog: a thread that looks whether the node makes progress, says so to the service manager, and says in the log
//! when it does not.
//!
//! A thread of its own, since what it watches may take all threads of the runtime with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Daemon, Inner};
use crate::service_manager::Notifier;

/// Time between two looks, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Time between two lines about the same standstill.
const AGAIN: Duration = Duration::from_secs(30);

/// A running watchdog; it ends when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    /// Nothing is sent: the thread ends when it is dropped.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Least time between two lines of how the node is: numbers change all the time.
const STATUS: Duration = Duration::from_secs(2);

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watchdog has panicked");
        }
    }
}

impl Daemon {
    /// Watches this node until the watchdog is dropped, which must be before the node is stopped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn watch(&self, notifier: Option<Notifier>) -> std::io::Result<Watchdog> {
        let (running, ended) = channel();
        let inner = self.inner.clone();
        let watch = Watch { inner, notifier, ready: false, stopping: false, status: None, stall: None };
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch.run(&ended))?;
        Ok(Watchdog { running: Some(running), thread: Some(thread) })
    }
}

struct Watch {
    inner: Arc<Inner>,
    notifier: Option<Notifier>,
    ready: bool,
    stopping: bool,
    /// What was said last, and when.
    status: Option<(String, Instant)>,
    stall: Option<Stall>,
}

/// A standstill that was noticed: since when, and when it was last said.
struct Stall {
    begun: Instant,
    said: Instant,
}

impl Watch {
    fn run(mut self, ended: &Receiver<Infallible>) {
        let every = self.notifier.as_ref().and_then(Notifier::watchdog).map(|patience| patience / 3);
        let period = every.unwrap_or(LOOK).min(LOOK).min(self.inner.limits.stall / 4).max(Duration::from_millis(10));
        loop {
            self.look();
            let before = Instant::now();
            if ended.recv_timeout(period) == Err(RecvTimeoutError::Disconnected) {
                // It may have left between two looks.
                return self.look_for_leaving();
            }
            // The whole process stood still, this thread included: the others shall have their turn before they are judged.
            if before.elapsed() > period + LOOK {
                std::thread::sleep(LOOK.min(period));
            }
        }
    }

    fn look(&mut self) {
        match self.inner.live() {
            Ok(()) => {
                if let Some(stall) = self.stall.take() {
                    tracing::warn!(after = ?stall.begun.elapsed(), "this node makes progress again");
                }
                self.notify("WATCHDOG=1");
            }
            Err(problem) => {
                let now = Instant::now();
                let stall = self.stall.get_or_insert(Stall { begun: now, said: now });
                if stall.begun == now || now.duration_since(stall.said) >= AGAIN {
                    stall.said = now;
                    tracing::error!("no progress: {problem}");
                }
            }
        }
        if !self.ready && self.inner.has_joined() {
            self.ready = true;
            self.notify("READY=1");
        }
        self.look_for_leaving();
        if self.notifier.is_some() {
            let summary = if self.stopping { "draining".to_owned() } else { self.inner.summary() };
            let said = self.status.as_ref().is_some_and(|(said, at)| *said == summary || at.elapsed() < STATUS);
            if !said {
                self.notify(&format!("STATUS={summary}"));
                self.status = Some((summary, Instant::now()));
            }
        }
    }

    /// The service manager is told that the node leaves, at whoever's request.
    fn look_for_leaving(&mut self) {
        if !self.stopping && self.inner.pulse.is_draining() {
            self.stopping = true;
            self.notify("STOPPING=1");
        }
    }

    fn notify(&self, word: &str) {
        if let Some(notifier) = &self.notifier {
            notifier.notify(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;
    use crate::daemon::health::tests::{block, start, until};

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_log_says_once_what_stands_still_and_when_it_goes_on() {
        let (daemon, _directory) = start(|_| {}).await;
        let inner = daemon.inner.clone();
        let mut watch = Watch { inner, notifier: None, ready: false, stopping: false, status: None, stall: None };
        let mut looks = |times: usize| {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || (0..times).for_each(|_| watch.look()));
            let said = log.0.lock().unwrap().clone();
            String::from_utf8(said).unwrap()
        };
        assert_eq!(looks(2), "", "all is well");
        let release = block(&daemon).await;
        until("it to be noticed", async || daemon.inner.live().err()).await;
        let said = looks(3);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("ERROR") && said.contains("no progress: this node's loop has stood still for"), "{said}");
        assert!(said.contains("while answering a question of the API") && said.contains("restart this node"), "{said}");
        drop(release);
        until("it to go on", async || daemon.inner.live().ok()).await;
        let said = looks(2);
        assert!(said.lines().count() == 1 && said.contains("this node makes progress again"), "{said}");
        daemon.stop().await;
    }
}
