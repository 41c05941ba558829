//! The one QUIC endpoint of a node, and its limits.
//!
//! Its driver, and those of all its connections, run on the network's own runtime, wherever a connection is begun.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    AckFrequencyConfig, AsyncTimer, AsyncUdpSocket, ClientConfig, Endpoint, EndpointConfig, IdleTimeout, Runtime,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::runtime::Handle;

use crate::config::NetworkConfig;
use crate::error::StartError;
use crate::ground::Ground;
use crate::refusals::Refusals;
use crate::socket::{ConnectionIds, QUIC_VERSION, WatchedSocket};
use crate::tls::Tls;
use crate::traffic::Counters;

/// Handshakes under way at once; more dialling peers are refused, and try again later.
pub(crate) const MAX_HANDSHAKES: usize = 256;

/// Handshakes under way above which a dialling peer must first prove its address, so that a forged one costs nothing.
pub(crate) const MAX_UNPROVEN: usize = 32;

/// Time for a handshake. Lost first packets are sent again after 0.3, 0.9 and 2.1 s: a peer that starts meanwhile is met.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Streams that a peer may have open: two lanes and its gossip, and requests.
const MAX_UNI_STREAMS: u32 = 64;
const MAX_BI_STREAMS: u32 = 32;

/// Bytes that a peer may have sent which have not been read here, per stream and together; and bytes that may be
/// waiting here to be sent to it. A megabyte per stream fills a link of 1 Gbit/s up to 8 ms away.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
const SEND_WINDOW: u64 = 8 << 20;

/// Contexts of keys derived from the node's own.
const RESET_CONTEXT: &str = "evenkeel 2026-01 stateless reset key of a node";
const CONNECTION_ID_CONTEXT: &str = "evenkeel 2026-01 connection id key of a node";

/// Binds the socket. Done first of all, since it is what most often fails.
pub(crate) fn bind(listen: SocketAddr) -> Result<UdpSocket, StartError> {
    let failed = |source| StartError::Bind { listen, source };
    let socket = UdpSocket::bind(listen).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

/// A bound socket as QUIC wants it, served by the runtime of `net`.
pub(crate) fn wrap(socket: UdpSocket, net: &Handle) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    NetRuntime(net.clone()).wrap_udp_socket(socket)
}

/// Opens the endpoint, with its drivers on the runtime of the ground.
pub(crate) fn open(
    config: &NetworkConfig,
    ground: &Ground,
    tls: &Tls,
    counters: &Arc<Counters>,
    refusals: &Arc<Refusals>,
) -> Result<Endpoint, StartError> {
    let failed = |source| StartError::Bind { listen: config.listen, source };
    let first = getrandom::u32().map_err(|error| failed(io::Error::other(error.to_string())))?;
    let ids = ConnectionIds::new(config.key.derive(CONNECTION_ID_CONTEXT), first);

    // With a key that survives restarts, a peer learns from this node's first answer that its connection is gone.
    let mut endpoint = EndpointConfig::new(Arc::new(ResetKey(config.key.derive(RESET_CONTEXT))));
    endpoint.supported_versions(vec![QUIC_VERSION]);
    let generator = ids.clone();
    endpoint.cid_generator(move || Box::new(generator.clone()));

    let mut server = ServerConfig::with_crypto(tls.server.clone());
    server.transport_config(Arc::new(transport(config.detection, None)));
    server.max_incoming(MAX_HANDSHAKES);
    server.incoming_buffer_size(64 << 10);
    server.incoming_buffer_size_total(4 << 20);
    // Nodes do not roam: an address that changes under a connection is a forgery, or a new connection's business.
    server.migration(false);

    let runtime = Arc::new(NetRuntime(ground.runtime.clone()));
    let socket = WatchedSocket::new(ground.socket.clone(), ids, counters.clone(), refusals.clone());
    Endpoint::new_with_abstract_socket(endpoint, Some(server), Arc::new(socket), runtime).map_err(failed)
}

/// Configuration of connections that this node dials. The dialling side keeps a connection alive.
pub(crate) fn client_config(tls: &Tls, detection: Duration) -> ClientConfig {
    let mut client = ClientConfig::new(tls.client.clone());
    client.transport_config(Arc::new(transport(detection, Some(detection / 3))));
    client
}

fn transport(detection: Duration, keep_alive: Option<Duration>) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_UNI_STREAMS))
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_BI_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IdleTimeout::try_from(detection).ok())
        .keep_alive_interval(keep_alive)
        // Nodes of a cluster are near each other; this matters for the first packet only, until the time is measured.
        .initial_rtt(Duration::from_millis(100))
        // Thousands of small messages a second: one acknowledgement for ten packets is enough.
        .ack_frequency_config(Some({
            let mut frequency = AckFrequencyConfig::default();
            frequency.ack_eliciting_threshold(VarInt::from_u32(10));
            frequency
        }))
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(true);
    config
}

/// Key of the tokens by which a node tells that it does not know a connection (RFC 9000, 10.3).
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        blake3::Hasher::new_keyed(&self.0).update(data).finalize_xof().fill(signature);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let wanted = blake3::keyed_hash(&self.0, data);
        // Comparing hashes takes the same time wherever they differ.
        match <[u8; 32]>::try_from(signature) {
            Ok(signature) if wanted == signature => Ok(()),
            _ => Err(CryptoError),
        }
    }
}

/// Runs quinn's tasks on the network's runtime, whichever thread asks for them.
struct NetRuntime(Handle);

impl fmt::Debug for NetRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetRuntime")
    }
}

impl Runtime for NetRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _net = self.0.enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _net = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
