//! TLS for QUIC: version 1.3, both sides authenticated, one protocol name, nothing resumed and nothing sent early.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::error::StartError;
use crate::identity::{Authority, NodeKey};
use crate::secret::Keyring;

/// Name and version of the protocol. Nodes of different versions refuse each other in the handshake.
pub(crate) const ALPN: &[u8] = b"evenkeel/1";

/// Both sides of TLS.
pub(crate) struct Tls {
    /// For connections that this node dials.
    pub(crate) client: Arc<QuicClientConfig>,
    /// For connections that it accepts.
    pub(crate) server: Arc<QuicServerConfig>,
}

impl Tls {
    /// TLS for a node: it accepts certificates of every secret of the keyring, and presents one of the first.
    pub(crate) fn new(key: &NodeKey, keyring: Option<&Keyring>) -> Result<Tls, StartError> {
        let authorities = match keyring {
            Some(keyring) => keyring.secrets().iter().map(Authority::of).collect(),
            None => Authority::public().map(|authority| vec![authority]),
        };
        let authorities: Vec<Authority> = authorities.map_err(certificate_error)?;
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.certificate()).map_err(certificate_error)?;
        }
        let roots = Arc::new(roots);
        let chain = vec![authorities[0].issue(key).map_err(certificate_error)?];

        let provider = Arc::new(ring::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(certificate_error)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key.private_key())
            .map_err(certificate_error)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_early_data = false;

        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().map_err(certificate_error)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(certificate_error)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key.private_key())
            .map_err(certificate_error)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;

        Ok(Tls {
            client: Arc::new(QuicClientConfig::try_from(client).map_err(certificate_error)?),
            server: Arc::new(QuicServerConfig::try_from(server).map_err(certificate_error)?),
        })
    }
}

fn certificate_error(error: impl std::fmt::Display) -> StartError {
    StartError::Certificate(error.to_string())
}
