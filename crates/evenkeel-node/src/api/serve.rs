//! Serves the API on a socket: bounded in connections and in time, and stops when told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::seldom::Seldom;

/// Connections at the same time; further ones wait to be accepted.
const CONNECTIONS: usize = 1_024;

/// Time that a client has to send the head of a request. An idle connection is closed after it, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a request's head, and of each direction's buffer.
const BUFFER: usize = 128 << 10;

/// Time that requests under way have to end once the server is told to stop: streams of events never end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// Pause after an error of the listener itself, such as no file descriptor being left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves, then lets requests under way end within a grace of 5 s.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(());
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let refused = Seldom::default();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (router, stopped) = (router.clone(), stopped.clone());
                connections.spawn(async move {
                    connection(stream, router, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                if let Some(unsaid) = refused.due() {
                    tracing::warn!(%error, unsaid, "cannot accept HTTP connections; trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stop);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, permit)),
            // The client's doing, not the listener's.
            Err(error) if is_of_connection(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    // Small answers must not wait for one another; without it they only come later.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // An error is the sender's end: the server was told to stop.
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "http connection ended");
    }
}
