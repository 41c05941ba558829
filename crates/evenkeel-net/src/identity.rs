//! Who a node is: its own key, and the certificates that prove that it holds the cluster's secret.
//!
//! There is no join protocol. Every holder of the secret derives the same certificate authority from it, and issues a
//! certificate for its own key. Two nodes that verify each other's certificates have proved the secret to each other,
//! and nothing secret was on the wire. A node's identity is its public key's hash, so it cannot be claimed by another.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use evenkeel_core::ids::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::secret::Secret;

/// The name in every node's certificate. Which node it is follows from the key alone.
pub(crate) const SERVER_NAME: &str = "node.evenkeel";

/// Context of the derivation of a cluster's authority. Changing it makes nodes of different versions strangers.
const AUTHORITY_CONTEXT: &str = "evenkeel 2026-01 Ed25519 seed of a cluster's certificate authority";

/// What an Ed25519 private key begins with in PKCS #8, before the 32 bytes of its seed (RFC 8410).
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A node's own Ed25519 key. It never leaves the node.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// Makes a new key.
    pub fn generate() -> Result<NodeKey, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| KeyError::Generate(error.to_string()))?;
        key_of_seed(&seed).map(NodeKey).map_err(|error| KeyError::Generate(error.to_string()))
    }

    /// Reads the key from a file; if there is none, makes a key and writes it there, for its owner's eyes only.
    pub fn load_or_create(path: &Path) -> Result<NodeKey, KeyError> {
        match fs::read_to_string(path) {
            Ok(text) => NodeKey::parse(path, Zeroizing::new(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = NodeKey::generate()?;
                key.write(path).map_err(|source| KeyError::File { action: "write", path: path.to_owned(), source })?;
                Ok(key)
            }
            Err(source) if source.kind() == io::ErrorKind::InvalidData => {
                Err(KeyError::Invalid { path: path.to_owned(), reason: source.to_string() })
            }
            Err(source) => Err(KeyError::File { action: "read", path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, text: Zeroizing<String>) -> Result<NodeKey, KeyError> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&text, &PKCS_ED25519)
            .map_err(|error| KeyError::Invalid { path: path.to_owned(), reason: error.to_string() })?;
        let readable_by_others = |data: fs::Metadata| data.permissions().mode() & 0o077 != 0;
        if fs::metadata(path).is_ok_and(readable_by_others) {
            tracing::warn!(path = %path.display(), "the node key can be read by others: chmod 600 it");
        }
        Ok(NodeKey(key))
    }

    /// Writes the key whole or not at all: a torn key file would be another identity lost.
    fn write(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let scratch = path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch)?;
            file.write_all(Zeroizing::new(self.0.serialize_pem()).as_bytes())?;
            file.sync_all()?;
            fs::rename(&scratch, path)?;
            File::open(directory)?.sync_all()
        })();
        if written.is_err() {
            // Nothing is lost if it cannot be removed: the name is not used again but by this process.
            let _ = fs::remove_file(&scratch);
        }
        written
    }

    /// The node's identity.
    pub fn node_id(&self) -> NodeId {
        node_id_of(self.0.public_key_raw())
    }

    /// The private key as TLS wants it.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }

    /// A key of its own for one purpose, that survives restarts as the node's key does.
    pub(crate) fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.0.serialized_der())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.node_id())
    }
}

/// The Ed25519 key that 32 bytes stand for.
fn key_of_seed(seed: &[u8; 32]) -> Result<KeyPair, rcgen::Error> {
    let der = Zeroizing::new([&PKCS8_ED25519[..], seed].concat());
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der.as_slice()), &PKCS_ED25519)
}

fn node_id_of(public_key: &[u8]) -> NodeId {
    let hash = blake3::hash(public_key);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    NodeId(id)
}

/// The node that a verified certificate belongs to; `None` if it is none of ours.
pub(crate) fn node_of_certificate(certificate: &CertificateDer<'_>) -> Option<NodeId> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    let key = &parsed.public_key().subject_public_key.data;
    (rest.is_empty() && key.len() == 32).then(|| node_id_of(key))
}

/// A cluster's certificate authority: the same, byte by byte, on every node that derives it from the same secret.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The authority of a secret.
    pub(crate) fn of(secret: &Secret) -> Result<Authority, rcgen::Error> {
        Authority::from_seed(&secret.derive(AUTHORITY_CONTEXT), &secret.fingerprint())
    }

    /// The authority of nodes without a secret. Everybody has it: it proves nothing, but the code path is the same.
    pub(crate) fn public() -> Result<Authority, rcgen::Error> {
        Authority::from_seed(&blake3::derive_key(AUTHORITY_CONTEXT, b"no secret"), "without a secret")
    }

    fn from_seed(seed: &[u8; 32], label: &str) -> Result<Authority, rcgen::Error> {
        let key = key_of_seed(seed)?;
        let mut params = params(&format!("evenkeel cluster {label}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(SerialNumber::from(1));
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Authority { issuer: Issuer::new(params, key), certificate })
    }

    /// What peers' certificates are verified against.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// A certificate for a node's key.
    pub(crate) fn issue(&self, node: &NodeKey) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = params(&node.node_id().to_string());
        params.subject_alt_names = vec![rcgen::SanType::DnsName(SERVER_NAME.try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&node.0, &self.issuer)?.der().clone())
    }
}

/// Certificates are valid from 1975 to 4096, so that no clock, however wrong, keeps a node out: they live as long as the
/// secret, and are revoked by changing it.
fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let made = NodeKey::load_or_create(&path).unwrap().node_id();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(NodeKey::load_or_create(&path).unwrap().node_id(), made);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn what_is_no_key_is_left_alone_and_named() {
        let directory = tempfile::tempdir().unwrap();
        for junk in [&b"hello"[..], &[0xff, 0xfe]] {
            let path = directory.path().join("node.key");
            fs::write(&path, junk).unwrap();
            let error = NodeKey::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("node.key is not a node key"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), junk);
        }
        let error = NodeKey::load_or_create(&directory.path().join("missing/node.key")).unwrap_err().to_string();
        assert!(error.contains("cannot write the node key"), "{error}");
    }

    #[test]
    fn the_authority_is_the_same_everywhere() {
        let secret = "eksec1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursl6lhve".parse().unwrap();
        let authority = Authority::of(&secret).unwrap();
        assert_eq!(authority.certificate(), Authority::of(&secret).unwrap().certificate());
        assert_ne!(authority.certificate(), Authority::public().unwrap().certificate());
        assert_eq!(
            blake3::hash(&authority.certificate()).to_hex().as_str(),
            "99dad902fcaea5905f9d11a1414d3d8c21fa14e89232ac78a5dd3e1991dd92b6",
            "nodes of other versions derive another authority"
        );
    }

    #[test]
    fn a_certificate_names_its_node() {
        let key = NodeKey::generate().unwrap();
        let certificate = Authority::public().unwrap().issue(&key).unwrap();
        assert_eq!(node_of_certificate(&certificate), Some(key.node_id()));
        assert_eq!(node_of_certificate(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
