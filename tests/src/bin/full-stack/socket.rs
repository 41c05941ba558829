//! The simulated UDP socket as QUIC wants it.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use turmoil::net::UdpSocket;

use crate::schedule::Schedule;

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A socket of a simulated host, whose datagrams are noted.
pub(crate) struct SimulatedSocket {
    socket: Arc<UdpSocket>,
    host: String,
    schedule: Schedule,
    /// What the reader waits for. It has the queue to itself, so it must be gone before anything is read.
    readable: Mutex<Option<Readable>>,
}

impl SimulatedSocket {
    /// Binds a port of the host that this is called on.
    pub(crate) async fn bind(port: u16, host: &str, schedule: Schedule) -> io::Result<SimulatedSocket> {
        let socket = Arc::new(UdpSocket::bind(("0.0.0.0", port)).await?);
        Ok(SimulatedSocket { socket, host: host.to_owned(), schedule, readable: Mutex::default() })
    }
}

impl fmt::Debug for SimulatedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedSocket").field(&self.socket).finish()
    }
}

impl AsyncUdpSocket for SimulatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (bytes, to) = (transmit.contents.len(), transmit.destination);
        self.schedule.note(&self.host, format_args!("sends {bytes} bytes to {to}"));
        self.socket.try_send_to(transmit.contents, to).map(drop)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut readable = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let waiting = readable.get_or_insert_with(|| {
                let socket = self.socket.clone();
                Box::pin(async move { socket.readable().await })
            });
            let outcome = ready!(waiting.as_mut().poll(cx));
            *readable = None;
            outcome?;
            match self.socket.try_recv_from(&mut buffers[0]) {
                Ok((bytes, from)) => {
                    self.schedule.note(&self.host, format_args!("gets {bytes} bytes from {from}"));
                    meta[0] = RecvMeta { addr: from, len: bytes, stride: bytes, ..RecvMeta::default() };
                    return Poll::Ready(Ok(1));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// A simulated socket has no buffer that could be full.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
