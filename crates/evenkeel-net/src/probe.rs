//! A look at an address from outside, for `evenkeel doctor`: whether a node of this cluster is there, and if not, what is.
//!
//! Dials as a node would, with a key of its own that is thrown away, and hangs up: the peer notices a connection that ends,
//! and nothing else.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::ids::NodeId;
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};
use tokio::net::UdpSocket;

use crate::endpoint::{HANDSHAKE_TIMEOUT, client_config};
use crate::error::StartError;
use crate::identity::{NodeKey, SERVER_NAME};
use crate::peers::{CLOSE_LEAVING, NO_APPLICATION_PROTOCOL, peer_of, tls_alert};
use crate::secret::Keyring;
use crate::tls::Tls;

/// Time that a peer has to refuse our certificate after we have accepted its own: some round trips, and no less than this.
const SECOND_THOUGHTS: Duration = Duration::from_millis(200);

/// Time in which the system of the peer tells that nothing listens there.
const NOTHING_THERE: Duration = Duration::from_millis(500);

/// Silence after which the connection would be given up; it does not live that long.
const IDLE: Duration = Duration::from_secs(10);

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A node of this cluster.
    Node {
        /// Which.
        id: NodeId,
        /// Time to it and back.
        round_trip: Duration,
    },
    /// A node that does not hold our secret, or does not accept it any more.
    Stranger,
    /// A node that speaks another version of the protocol.
    OtherVersion,
    /// Its system says that nothing listens on this port.
    Nothing,
    /// No answer at all: the host is down, a firewall drops what is sent, or something listens that is no node.
    Silence,
    /// It cannot even be sent anything, or what answers makes no sense: in words.
    Unreachable(String),
}

/// Looks what is at an address. Must be called within a tokio runtime.
///
/// # Errors
/// If no socket or certificate can be made here.
pub async fn probe(address: SocketAddr, keyring: Option<&Keyring>) -> Result<Found, StartError> {
    let key = NodeKey::generate().map_err(|error| StartError::Certificate(error.to_string()))?;
    let tls = Tls::new(&key, keyring)?;
    let listen = any_like(address);
    let failed = |source| StartError::Bind { listen, source };
    let socket = std::net::UdpSocket::bind(listen).map_err(failed)?;
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).map_err(failed)?;
    let connecting = match endpoint.connect_with(client_config(&tls, IDLE), address, SERVER_NAME) {
        Ok(connecting) => connecting,
        Err(error) => return Ok(Found::Unreachable(error.to_string())),
    };
    let found = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => accepted(&connection).await,
        Ok(Err(ConnectionError::TimedOut)) | Err(_) => unanswered(address).await,
        Ok(Err(error)) => refused(&error),
    };
    endpoint.close(CLOSE_LEAVING, b"only looking");
    // That the peer hears of it is a courtesy.
    let _ = tokio::time::timeout(SECOND_THOUGHTS, endpoint.wait_idle()).await;
    Ok(found)
}

fn any_like(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// We accept the peer. It looks at our certificate only afterwards, and hangs up if it does not accept that.
async fn accepted(connection: &Connection) -> Found {
    let round_trip = connection.rtt();
    if let Ok(error) = tokio::time::timeout(SECOND_THOUGHTS.max(round_trip * 3), connection.closed()).await {
        return refused(&error);
    }
    match peer_of(connection) {
        Some(id) => Found::Node { id, round_trip },
        None => Found::Stranger,
    }
}

fn refused(error: &ConnectionError) -> Found {
    match tls_alert(error) {
        Some(NO_APPLICATION_PROTOCOL) => Found::OtherVersion,
        Some(_) => Found::Stranger,
        None => match error {
            ConnectionError::VersionMismatch => Found::OtherVersion,
            error => Found::Unreachable(error.to_string()),
        },
    }
}

/// Why nobody answered. QUIC does not hear of it when a system says that nothing listens; a plain socket does.
async fn unanswered(address: SocketAddr) -> Found {
    let told = async {
        let socket = UdpSocket::bind(any_like(address)).await?;
        socket.connect(address).await?;
        // Nothing is in it: whatever listens there after all has nothing to complain of.
        socket.send(&[]).await?;
        let mut buffer = [0; 1];
        loop {
            socket.recv(&mut buffer).await?;
        }
    };
    let told: Result<io::Result<()>, _> = tokio::time::timeout(NOTHING_THERE, told).await;
    match told {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Found::Nothing,
        Ok(Err(error)) => Found::Unreachable(error.to_string()),
        Ok(Ok(())) | Err(_) => Found::Silence,
    }
}

#[cfg(test)]
mod tests {
    use quinn::ServerConfig;
    use quinn::crypto::rustls::QuicServerConfig;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::identity::Authority;
    use crate::secret::Secret;

    fn keyring() -> Keyring {
        Keyring::single(Secret::generate().unwrap())
    }

    /// A peer that accepts connections, with this server's side of TLS.
    fn peer(server: Arc<QuicServerConfig>) -> (Endpoint, SocketAddr) {
        let config = ServerConfig::with_crypto(server);
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        let accepting = endpoint.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        connection.closed().await;
                    }
                });
            }
        });
        (endpoint, address)
    }

    #[tokio::test]
    async fn what_is_at_an_address_is_told_apart() {
        let ours = keyring();
        let key = NodeKey::generate().unwrap();
        let (_node, address) = peer(Tls::new(&key, Some(&ours)).unwrap().server);
        match probe(address, Some(&ours)).await.unwrap() {
            Found::Node { id, round_trip } => {
                assert_eq!(id, key.node_id());
                assert!(round_trip < Duration::from_secs(1));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(probe(address, Some(&keyring())).await.unwrap(), Found::Stranger);
        assert_eq!(probe(address, None).await.unwrap(), Found::Stranger);

        let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(probe(silent.local_addr().unwrap(), Some(&ours)).await.unwrap(), Found::Silence);
        let closed = silent.local_addr().unwrap();
        drop(silent);
        assert_eq!(probe(closed, Some(&ours)).await.unwrap(), Found::Nothing);
    }

    #[tokio::test]
    async fn a_peer_that_takes_our_secret_no_more_is_a_stranger_although_we_know_its_own() {
        let [old, new] = [(), ()].map(|()| Secret::generate().unwrap());
        let key = NodeKey::generate().unwrap();
        let (_node, address) = peer(Tls::new(&key, Some(&Keyring::single(new.clone()))).unwrap().server);
        let late = Keyring::new(vec![old, new]).unwrap();
        assert_eq!(probe(address, Some(&late)).await.unwrap(), Found::Stranger);
    }

    #[tokio::test]
    async fn another_version_is_told_from_another_secret() {
        let ours = keyring();
        let key = NodeKey::generate().unwrap();
        let chain = vec![Authority::of(ours.current()).unwrap().issue(&key).unwrap()];
        let private: PrivateKeyDer<'static> = key.private_key();
        let mut server =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, private)
                .unwrap();
        server.alpn_protocols = vec![b"evenkeel/99".to_vec()];
        let (_node, address) = peer(Arc::new(QuicServerConfig::try_from(server).unwrap()));
        assert_eq!(probe(address, Some(&ours)).await.unwrap(), Found::OtherVersion);
    }
}
