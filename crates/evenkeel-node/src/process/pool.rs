//! Threads that wait for work: one for each running document, grown on demand and reused.
//!
//! Starting a thread costs a tenth of starting a process, so that a new one for every document would be felt.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long a thread waits for work before it ends. The last one never does.
const IDLE: Duration = Duration::from_secs(10);

/// Work to be done and the threads that wait for it. It starts no thread itself.
#[derive(Debug)]
pub(super) struct Pool<T> {
    state: Mutex<State<T>>,
    work: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl<T> Pool<T> {
    /// A pool that will have one thread, which the caller is about to start.
    pub(super) fn with_one_thread() -> Pool<T> {
        let state = State { queue: VecDeque::new(), idle: 0, threads: 1, closed: false };
        Pool { state: Mutex::new(state), work: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics while holding the queue")
    }

    /// Puts work in. Whether one more thread is needed, so that every piece of work has its own.
    #[must_use]
    pub(super) fn put(&self, work: T) -> bool {
        let mut state = self.lock();
        state.queue.push_back(work);
        if state.queue.len() <= state.idle {
            self.work.notify_one();
            return false;
        }
        state.threads += 1;
        true
    }

    /// The thread that `put` asked for could not be started. Its work waits for the next one that is free.
    pub(super) fn no_thread(&self) {
        self.lock().threads -= 1;
    }

    /// Waits for work. `None`: the thread is not needed any more and must end.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                return Some(work);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, IDLE).expect("see lock()");
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.queue.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
        None
    }

    /// No more work will come: threads end when what is queued is done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_work_gets_a_thread_and_the_last_thread_stays() {
        let pool = Pool::with_one_thread();
        assert!(pool.put(1), "its thread may be busy with something else");
        assert!(pool.put(2));
        pool.no_thread();
        assert_eq!((pool.take(), pool.take()), (Some(1), Some(2)));
        pool.close();
        assert_eq!(pool.take(), None);
    }
}
