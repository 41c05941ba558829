//! Signals that ask `run` to stop. The first is told to the job, which stops its processes and says what is left. A second
//! one ends the program at once, wherever the job is held up; the guardian then kills the processes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::output::exit::ExitStatus;

/// Listens for signals.
pub(in crate::command) struct Stop {
    asked: oneshot::Receiver<()>,
    directory: Arc<OnceLock<PathBuf>>,
}

impl Stop {
    /// Begins to listen. Must be called within the runtime.
    pub(in crate::command) fn listen() -> io::Result<Stop> {
        let signals = Signals::listen()?;
        let (sender, asked) = oneshot::channel();
        let directory = Arc::<OnceLock<PathBuf>>::default();
        tokio::spawn(watch(signals, sender, directory.clone()));
        Ok(Stop { asked, directory })
    }

    /// Names the directory that must not outlive the program.
    pub(in crate::command) fn will_remove(&self, directory: PathBuf) {
        let _ = self.directory.set(directory);
    }

    /// Waits until the job is to stop.
    pub(in crate::command) async fn asked(&mut self) {
        // The task that holds the sender ends with the program.
        let _ = (&mut self.asked).await;
    }
}

async fn watch(mut signals: Signals, sender: oneshot::Sender<()>, directory: Arc<OnceLock<PathBuf>>) {
    signals.next().await;
    let _ = sender.send(());
    signals.next().await;
    if let Some(directory) = directory.get() {
        let _ = std::fs::remove_dir_all(directory);
    }
    std::process::exit(ExitStatus::Interrupted.code().into());
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        // `nohup` has it ignored, and means it.
        let hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up,
        })
    }

    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| hang_up_is_ignored_in(&status))
}

/// Reads the mask of ignored signals, of which the lowest bit is signal 1, SIGHUP.
fn hang_up_is_ignored_in(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_has_ignored_is_known() {
        assert!(hang_up_is_ignored_in("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!hang_up_is_ignored_in("SigIgn:\t0000000000001000\n"));
        assert!(!hang_up_is_ignored_in(""));
    }
}
