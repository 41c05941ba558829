//! Which documents have a process, and the only way for other threads to signal one.
//!
//! A process id is free for reuse as soon as its process is reaped. So the worker of a document takes its entry out
//! of this table *before* it reaps, and everybody else signals with the table locked and the entry in it: a signal
//! can reach a zombie, which does no harm, but never a stranger.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use evenkeel_core::ids::{DocId, Epoch};
use rustix::process::{Pid, Signal, kill_process_group};

/// Names one run.
pub(super) type Run = (DocId, Epoch);

/// All runs that were asked for and have not ended.
#[derive(Debug, Default)]
pub(super) struct Running {
    state: Mutex<State>,
    /// Signalled when a run has been reported.
    reported: Condvar,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<Run, Group>,
    /// Runs asked for and not yet reported as ended. More than there are entries: reporting comes after removal.
    unreported: usize,
    /// The signal with which everything, also what is yet to come, is being stopped.
    stopping: Option<Signal>,
}

#[derive(Debug, Default)]
struct Group {
    /// Leader and id of the process group, once it has been started.
    leader: Option<Pid>,
    /// The signal with which it was asked to stop.
    stopped_by: Option<Signal>,
}

impl Group {
    fn stop(&mut self, signal: Signal) {
        self.stopped_by = Some(signal);
        if let Some(leader) = self.leader {
            signal_group(leader, signal);
        }
    }
}

/// Signals a process group whose leader has not been reaped. It may be a zombie, which is no error.
pub(super) fn signal_group(leader: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(leader, signal) {
        // A command that has become another user's (sudo) is out of reach; the executor goes on waiting for it.
        tracing::debug!(group = leader.as_raw_nonzero().get(), %error, "a process group cannot be signalled");
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while holding the table of running documents")
    }

    /// Notes a run that has been asked for.
    ///
    /// # Panics
    /// If it is there already: the epoch and the core's bookkeeping exist to prevent just that.
    pub(super) fn enter(&self, run: Run) {
        let mut state = self.lock();
        if state.runs.contains_key(&run) {
            drop(state);
            panic!("document {} runs already under epoch {}", run.0, run.1);
        }
        let group = Group { leader: None, stopped_by: state.stopping };
        state.runs.insert(run, group);
        state.unreported += 1;
    }

    /// Whether the run has been asked to stop.
    pub(super) fn is_stopped(&self, run: Run) -> bool {
        self.lock().runs.get(&run).is_some_and(|group| group.stopped_by.is_some())
    }

    /// The run has a process. If it was asked to stop in the meantime, it is told now.
    pub(super) fn started(&self, run: Run, leader: Pid) {
        if let Some(group) = self.lock().runs.get_mut(&run) {
            group.leader = Some(leader);
            if let Some(signal) = group.stopped_by {
                group.stop(signal);
            }
        }
    }

    /// Takes the run out; from now on nobody but its own worker signals it. Whether it had been asked to stop.
    pub(super) fn leave(&self, run: Run) -> bool {
        self.lock().runs.remove(&run).is_some_and(|group| group.stopped_by.is_some())
    }

    /// A run that was taken out has been reported.
    pub(super) fn reported(&self) {
        let mut state = self.lock();
        state.unreported -= 1;
        if state.unreported == 0 {
            self.reported.notify_all();
        }
    }

    /// Kills one run at once. Whether there is such a run.
    pub(super) fn kill(&self, run: Run) -> bool {
        self.lock().runs.get_mut(&run).map(|group| group.stop(Signal::KILL)).is_some()
    }

    /// Signals all runs, and those to come as soon as they are asked for.
    pub(super) fn stop_all(&self, signal: Signal) {
        let mut state = self.lock();
        state.stopping = Some(signal);
        state.runs.values_mut().for_each(|group| group.stop(signal));
    }

    /// Waits until every run has been reported, for so long at most. How many have not been.
    pub(super) fn wait_until_none(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while state.unreported > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.reported.wait_timeout(state, left).expect("see lock()").0;
        }
        state.unreported
    }

    /// Number of runs that have not been reported as ended.
    pub(super) fn count(&self) -> usize {
        self.lock().unreported
    }
}
