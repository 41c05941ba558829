//! The guardian: a small second process that kills the documents of an agent which died without doing so itself.
//!
//! However the agent dies, `kill -9` included, its documents must not live on unwatched: they would run beside their
//! successors on other nodes. A parent-death signal cannot do this: it would need code between fork and exec, which
//! makes every start slower, and it misses grandchildren. So each agent has one guardian, which is the agent's own
//! program, run again with [`GUARDIAN_ARGUMENT`]. It sleeps until a pipe from the agent breaks.
//!
//! What is running stands in a table in memory that both share (`table.rs`). An entry costs one small write, survives
//! the agent, and survives the guardian, which is restarted when it dies.

mod table;
mod watch;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use self::table::{Entry, Table};
use super::environment::hide_private;
use super::places::Places;
use super::running::Run;
use super::stat::since_boot;

pub use self::watch::guardian_main;

/// First argument that makes the program be a guardian; its `main` then calls [`guardian_main`] before all else.
pub const GUARDIAN_ARGUMENT: &str = "__guardian";

/// Pause before a guardian that died young is restarted.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The command that runs this very program as guardian, also after its file has been replaced or removed.
pub fn guardian_command() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), GUARDIAN_ARGUMENT.into()]
}

/// The agent's side. Dropping it lets the guardian go.
#[derive(Debug)]
pub(super) struct Guardian(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    command: Vec<OsString>,
    node: String,
    table: Table,
    state: Mutex<State>,
    closing: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The pipe that breaks when the agent dies. Nothing is ever written to it.
    pipe: Option<ChildStdin>,
    closing: bool,
    /// Rows of the table.
    rows: Places,
}

impl Guardian {
    /// Starts a guardian by this command, to which the name of the node is added.
    pub(super) fn start(command: Vec<OsString>, node: &str) -> io::Result<Guardian> {
        let shared = Arc::new(Shared {
            command,
            node: node.to_owned(),
            table: Table::create()?,
            state: Mutex::default(),
            closing: Condvar::new(),
        });
        let child = shared.spawn()?;
        let minder = shared.clone();
        std::thread::Builder::new().name("guardian".to_owned()).spawn(move || minder.mind(child))?;
        Ok(Guardian(shared))
    }

    /// A row of the table, for one run at a time.
    pub(super) fn row(&self) -> Row {
        let number = self.0.lock().rows.take();
        Row { shared: self.0.clone(), number }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closing = true;
        state.pipe = None;
        self.0.closing.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while holding the guardian's state")
    }

    /// Starts a guardian process: the pipe is its standard input, the table its standard error.
    fn spawn(&self) -> io::Result<Child> {
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        let mut child = hide_private(&mut command)
            .arg0("evenkeel-guardian")
            .args(arguments)
            .arg(&self.node)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(self.table.share()?)
            .spawn()?;
        let mut state = self.lock();
        // If the agent is closing, the pipe is dropped here, and the guardian ends at once.
        state.pipe = child.stdin.take().filter(|_| !state.closing);
        Ok(child)
    }

    /// Waits for the guardian to end, and restarts it until the agent lets it go. The table is the same one, so that
    /// nothing has to be told again.
    fn mind(&self, child: Child) {
        let mut present = Ok(child);
        let mut warned = false;
        loop {
            let started = Instant::now();
            let ending = match present.and_then(|mut child| child.wait()) {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            if self.lock().closing {
                return;
            }
            if !warned {
                tracing::warn!(%ending, "the guardian died and is restarted; until then documents outlive a killed agent");
                warned = true;
            }
            // One that dies young would die again at once.
            if started.elapsed() < RESTART_PAUSE && self.closes_within(RESTART_PAUSE) {
                return;
            }
            present = self.spawn();
        }
    }

    fn closes_within(&self, pause: Duration) -> bool {
        let state = self.lock();
        let waited = self.closing.wait_timeout_while(state, pause, |state| !state.closing).expect("see lock()");
        waited.0.closing
    }
}

/// One row of the table, belonging to one worker.
#[derive(Debug)]
pub(super) struct Row {
    shared: Arc<Shared>,
    number: u32,
}

impl Row {
    /// A process for this run is about to be started. If the agent dies before it can say which, the guardian finds
    /// it by its environment.
    pub(super) fn starting(&self, run: Run) {
        self.set(Entry::Starting { doc: run.0, epoch: run.1 });
    }

    /// It has been started.
    pub(super) fn started(&self, leader: Pid) {
        self.set(Entry::Started { leader, since: since_boot() });
    }

    /// It has ended. To be called before it is reaped: its id may be a stranger's afterwards.
    pub(super) fn ended(&self) {
        self.set(Entry::Free);
    }

    fn set(&self, entry: Entry) {
        if let Err(error) = self.shared.table.set(self.number, entry) {
            tracing::warn!(%error, "the guardian cannot be told of a document, which would outlive a killed agent");
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.ended();
        self.shared.lock().rows.give_back(self.number);
    }
}
