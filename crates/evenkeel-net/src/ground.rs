//! What a network stands on: a socket, and the runtime that its tasks run on.
//!
//! Usually that is the system's, and a thread of its own: gossip must go on, and packets be answered, whatever the rest
//! of the program is busy with. A simulation brings its own socket, and all that a simulated host does runs on the one
//! runtime that has the host's time. Nothing above this file can tell the difference.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use quinn::AsyncUdpSocket;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{self, JoinHandle};

use crate::endpoint;
use crate::error::StartError;

/// See above.
pub(crate) struct Ground {
    pub(crate) socket: Arc<dyn AsyncUdpSocket>,
    pub(crate) runtime: Handle,
    /// The network's own; `None`: it is a guest on somebody else's.
    own: Option<Runtime>,
}

impl Ground {
    /// A socket of the system, and a runtime that will get a thread.
    pub(crate) fn of_the_system(listen: SocketAddr) -> Result<Ground, StartError> {
        let socket = endpoint::bind(listen)?;
        let own = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let socket = endpoint::wrap(socket, own.handle()).map_err(|source| StartError::Bind { listen, source })?;
        Ok(Ground { socket, runtime: own.handle().clone(), own: Some(own) })
    }

    /// Somebody's socket, and the runtime that this is called in.
    pub(crate) fn here(socket: Arc<dyn AsyncUdpSocket>) -> Ground {
        Ground { socket, runtime: Handle::current(), own: None }
    }

    /// Runs the network's main task.
    pub(crate) fn run(mut self, main: impl Future<Output = ()> + Send + 'static) -> Result<Ended, StartError> {
        let Some(runtime) = self.own.take() else { return Ok(Ended::Task(self.runtime.spawn(main))) };
        let thread = thread::Builder::new().name("evenkeel-net".to_owned()).spawn(move || {
            runtime.block_on(main);
            // The system may take minutes over the name of a seed. Nobody waits for the answer any more.
            runtime.shutdown_background();
        });
        Ok(Ended::Thread(thread.map_err(StartError::Thread)?))
    }
}

impl Drop for Ground {
    /// The network did not come to run: its runtime may not be waited for where other tasks run.
    fn drop(&mut self) {
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}

/// Tells when the main task has ended.
pub(crate) enum Ended {
    Thread(thread::JoinHandle<()>),
    Task(JoinHandle<()>),
}

impl Ended {
    /// Waits for that. An error would mean that it panicked, which has been said.
    pub(crate) async fn wait(self) {
        match self {
            // Joined elsewhere, so that this runtime is not held up.
            Ended::Thread(thread) => drop(task::spawn_blocking(move || thread.join()).await),
            Ended::Task(task) => drop(task.await),
        }
    }
}
