//! Runs documents as processes: the command template, the slots' threads, time-outs, capture, and the end of orphans.
//!
//! Knows nothing of who owns a document or why it is run. It is told `run`, `kill` and `stop_all`, and reports each
//! document's end exactly once, also that of one that never started. It sets no limit to how many run at once: whoever
//! calls it counts slots.
//!
//! A document owns its process group. When its process has ended, whatever else is left in the group is killed, so that
//! nothing runs that no slot stands for (a process that moves itself to another session, as daemons do, escapes). If
//! the agent dies, the guardian does the same; if both die, the agent does when it is started again, by its journal.

mod attend;
mod capture;
mod document;
mod environment;
mod execute;
mod feed;
mod fields;
mod files;
mod group;
mod guardian;
mod journal;
mod marks;
mod memory;
mod placeholder;
mod places;
mod pool;
mod program;
mod running;
mod spawn;
mod stat;
mod sys;
mod template;
mod tracks;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use evenkeel_core::ids::{Attempt, DocId, Epoch};
use evenkeel_net::records::{Captured, Exit};
use rustix::process::Signal;

use self::attend::Patience;
use self::guardian::Guardian;
use self::journal::Journal;
use self::pool::Pool;
use self::running::Running;
use self::tracks::Tracks;

pub use self::execute::Execute;
pub use self::files::raise_file_limit;
pub use self::guardian::{GUARDIAN_ARGUMENT, guardian_command, guardian_main};
pub use self::template::{RenderError, Rendered, Template, TemplateError};

/// Bytes read from a pipe at once: what a pipe holds.
const SCRATCH: usize = 64 << 10;

/// How long is waited for processes after SIGKILL. One that hangs in the kernel cannot be waited for.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How documents are run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the node, which processes see as `EVENKEEL_NODE`.
    pub node: String,
    /// Niceness added to processes, 0 to 19: workers saturate the processor by design, and must not make their own node
    /// look dead.
    pub nice: i32,
    /// Command of the guardian, usually [`guardian_command`]; `None`: processes outlive an agent that is killed.
    pub guardian: Option<Vec<OsString>>,
    /// File that says what runs, for the next executor with the same file: it first ends what this one has left, should its
    /// guardian die with it. No two may have it at once. `None`: there is no next one.
    pub journal: Option<PathBuf>,
    /// Time between asking a group to end (SIGTERM), when its time is out, and killing it.
    pub term_grace: Duration,
    /// Time that is given to what a process leaves behind and that holds its output open.
    pub pipe_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            node: String::new(),
            nice: 5,
            guardian: None,
            journal: None,
            term_grace: Duration::from_secs(2),
            pipe_grace: Duration::from_millis(250),
        }
    }
}

/// A document to be run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it is owned.
    pub epoch: Epoch,
    /// Which attempt this is.
    pub attempt: Attempt,
    /// Its batch's command.
    pub template: Arc<Template>,
    /// Its payload.
    pub payload: Bytes,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Most bytes kept of each of standard output and standard error.
    pub capture_bytes: u64,
}

/// How a document ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The document.
    pub doc: DocId,
    /// The epoch under which it was run.
    pub epoch: Epoch,
    /// Which attempt it was.
    pub attempt: Attempt,
    /// How its process ended.
    pub exit: Exit,
    /// Whether it was asked to stop, by `kill` or `stop_all`: its end is then not its own doing.
    pub stopped: bool,
    /// When it was started, in microseconds since 1970 by this machine's clock.
    pub started_unix_micros: u64,
    /// Wall time in microseconds.
    pub wall_micros: u64,
    /// User CPU time in microseconds, that of descendants which the process waited for included.
    pub user_micros: u64,
    /// System CPU time in microseconds, likewise.
    pub system_micros: u64,
    /// Peak resident memory in bytes; 0 if not known, which is so for a process that was over in some hundredths of a
    /// second and used less than the agent itself.
    pub max_rss_bytes: u64,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}

/// An executor that could not be started. Nothing is running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// No guardian.
    #[error("cannot start the guardian, `{}`: {error}", command.display())]
    Guardian {
        /// Its program.
        command: OsString,
        /// Why not.
        error: io::Error,
    },
    /// No journal.
    #[error("cannot write {}, the journal of children: {error}", path.display())]
    Journal {
        /// Its file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Runs documents. Dropping it kills those that run; their ends are still reported.
pub struct Executor {
    shared: Arc<Shared>,
}

/// What the workers share with the executor. The guardian goes when the last of them has.
struct Shared {
    node: String,
    nice: i32,
    term_grace: Duration,
    pipe_grace: Duration,
    guardian: Option<Guardian>,
    journal: Option<Journal>,
    running: Running,
    pool: Pool<Job>,
    on_end: Box<dyn Fn(Ended) + Send + Sync>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("node", &self.shared.node).field("running", &self.running()).finish()
    }
}

impl Executor {
    /// Ends what an earlier executor with the same journal has left, which may take a moment, and has nothing to run yet.
    /// `on_end` is called for every document that `run` was called for, once, on a thread of the executor that is as nice
    /// as the processes; it should hand the news on and not linger.
    pub fn start(settings: Settings, on_end: impl Fn(Ended) + Send + Sync + 'static) -> Result<Executor, StartError> {
        sys::keep_exit_statuses();
        let journal = match settings.journal {
            None => None,
            Some(path) => match Journal::open(&path, &settings.node) {
                Ok(journal) => Some(journal),
                Err(error) => return Err(StartError::Journal { path, error }),
            },
        };
        let guardian = match settings.guardian {
            None => None,
            Some(command) => {
                let program = command.first().cloned().unwrap_or_default();
                let started = Guardian::start(command, &settings.node);
                Some(started.map_err(|error| StartError::Guardian { command: program, error })?)
            }
        };
        let shared = Arc::new(Shared {
            node: settings.node,
            nice: settings.nice,
            term_grace: settings.term_grace,
            pipe_grace: settings.pipe_grace,
            guardian,
            journal,
            running: Running::default(),
            pool: Pool::with_one_thread(),
            on_end: Box::new(on_end),
        });
        shared.start_worker().map_err(StartError::Thread)?;
        Ok(Executor { shared })
    }

    /// Runs a document, now: there is no queue. Its end is reported to `on_end`.
    ///
    /// # Panics
    /// If the document is being run under this very epoch already.
    pub fn run(&self, job: Job) {
        self.shared.running.enter((job.doc, job.epoch));
        if self.shared.pool.put(job)
            && let Err(error) = self.shared.start_worker()
        {
            tracing::warn!(%error, "no thread for a further document, which waits for another one to end");
            self.shared.pool.no_thread();
        }
    }

    /// Kills a document's process group at once. False: it is not running, or its end is about to be reported.
    pub fn kill(&self, doc: DocId, epoch: Epoch) -> bool {
        self.shared.running.kill((doc, epoch))
    }

    /// Asks all documents to end, kills them after `grace`, and waits for that. From now on a document that is run ends
    /// at once as stopped. Returns how many have not been reported as ended: 0 unless the kernel holds one.
    pub fn stop_all(&self, grace: Duration) -> usize {
        self.shared.stop_all(grace)
    }

    /// Number of documents whose end has not been reported.
    pub fn running(&self) -> usize {
        self.shared.running.count()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // Not waited for: this may be a worker's own thread.
        self.shared.running.stop_all(Signal::KILL);
        self.shared.pool.close();
    }
}

impl Shared {
    fn start_worker(self: &Arc<Self>) -> io::Result<()> {
        let shared = self.clone();
        thread::Builder::new().name("document".to_owned()).spawn(move || shared.work())?;
        Ok(())
    }

    /// Life of a worker thread.
    fn work(&self) {
        // Linux keeps niceness for each thread, and a process inherits that of the thread that starts it. So this one
        // call makes all processes nice, from their first instruction.
        if self.nice != 0
            && let Err(error) = rustix::process::nice(self.nice)
        {
            tracing::debug!(%error, "documents run at the agent's own priority");
        }
        let tracks = Tracks::new(self.guardian.as_ref(), self.journal.as_ref());
        let mut scratch = vec![0; SCRATCH];
        while let Some(job) = self.pool.take() {
            let ended = document::run(self, &job, &tracks, &mut scratch);
            drop(job);
            (self.on_end)(ended);
            self.running.reported();
        }
    }

    fn stop_all(&self, grace: Duration) -> usize {
        if !grace.is_zero() {
            self.running.stop_all(Signal::TERM);
            if self.running.wait_until_none(grace) == 0 {
                return 0;
            }
        }
        self.running.stop_all(Signal::KILL);
        self.running.wait_until_none(KILL_WAIT)
    }

    fn patience(&self, timeout: Option<Duration>) -> Patience {
        Patience { timeout, term_grace: self.term_grace, pipe_grace: self.pipe_grace }
    }
}

#[cfg(test)]
mod tests;
