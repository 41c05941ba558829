//! The cluster's secret, and the ring of them that a node accepts while the secret is being changed.
//!
//! Nothing here prints a secret but [`Secret::expose`], and no error repeats what was to be one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use zeroize::Zeroizing;

/// What a secret's text begins with, before the separating `1`.
const PREFIX: &str = "eksec";

/// Most secrets that a node accepts at once: the one before, the current one and the next.
const MOST_SECRETS: usize = 3;

/// Contexts of the key derivations. Changing one changes the cluster that a secret stands for.
const FINGERPRINT_CONTEXT: &str = "evenkeel 2026-01 fingerprint of a cluster secret";

/// The cluster's secret: 32 random bytes. Whoever holds it can join the cluster and run anything there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 32]>);

/// Why a text is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It begins with something else.
    #[error("a secret begins with `eksec1`; `evenkeel secret new` makes one")]
    Prefix,
    /// A letter is wrong, missing or too much.
    #[error("the secret is mistyped or cut off: its checksum does not fit")]
    Checksum,
    /// The checksum is right, and yet it is no secret.
    #[error("the secret has {0} bytes instead of 32")]
    Size(usize),
}

impl Secret {
    /// A new secret from the system's random numbers.
    pub fn generate() -> io::Result<Secret> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Secret(secret))
    }

    /// The secret as text, `eksec1...`. Show it once, and never log it.
    pub fn expose(&self) -> Zeroizing<String> {
        let text = bech32::encode::<Bech32m>(prefix(), &*self.0);
        Zeroizing::new(text.expect("32 bytes fit into a bech32 text"))
    }

    /// A short public name of the secret, to compare nodes by; nothing of the secret can be learnt from it.
    pub fn fingerprint(&self) -> String {
        let hash = blake3::derive_key(FINGERPRINT_CONTEXT, &*self.0);
        hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A key of its own for one purpose.
    pub(crate) fn derive(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, &*self.0))
    }
}

fn prefix() -> Hrp {
    Hrp::parse_unchecked(PREFIX)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(fingerprint {})", self.fingerprint())
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Secret, InvalidSecret> {
        let start = text.get(..PREFIX.len() + 1).ok_or(InvalidSecret::Prefix)?;
        if !start.eq_ignore_ascii_case("eksec1") {
            return Err(InvalidSecret::Prefix);
        }
        let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| InvalidSecret::Checksum)?;
        if parsed.hrp() != prefix() {
            return Err(InvalidSecret::Prefix);
        }
        let bytes = Zeroizing::new(parsed.byte_iter().collect::<Vec<u8>>());
        match bytes.as_slice().try_into() {
            Ok(bytes) => Ok(Secret(Zeroizing::new(bytes))),
            Err(_) => Err(InvalidSecret::Size(bytes.len())),
        }
    }
}

/// One to three secrets. The first is current: its certificates are presented. Certificates of all are accepted.
///
/// To change the secret of a running cluster, give every node first `old, new`, then `new, old`, then `new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring(Vec<Secret>);

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeyring {
    /// The file could not be read.
    #[error("cannot read the secret file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no secret.
    #[error("line {line} of the secrets: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        reason: InvalidSecret,
    },
    /// No secret, or more than three.
    #[error("{0} secrets where 1 to 3 are wanted, one a line, the current one first")]
    Count(usize),
    /// The same secret twice.
    #[error("the same secret is given twice")]
    Twice,
}

impl Keyring {
    /// A keyring of one secret.
    pub fn single(secret: Secret) -> Keyring {
        Keyring(vec![secret])
    }

    /// A keyring of these secrets, the current one first.
    pub fn new(secrets: Vec<Secret>) -> Result<Keyring, InvalidKeyring> {
        if secrets.is_empty() || secrets.len() > MOST_SECRETS {
            return Err(InvalidKeyring::Count(secrets.len()));
        }
        if (1..secrets.len()).any(|place| secrets[..place].contains(&secrets[place])) {
            return Err(InvalidKeyring::Twice);
        }
        Ok(Keyring(secrets))
    }

    /// Reads a secret file: one secret a line, the current one first; `#` starts a comment; blank lines are ignored.
    pub fn read(path: &Path) -> Result<Keyring, InvalidKeyring> {
        let text =
            std::fs::read_to_string(path).map_err(|source| InvalidKeyring::File { path: path.to_owned(), source })?;
        Zeroizing::new(text).parse()
    }

    /// The secret whose certificates this node presents.
    pub fn current(&self) -> &Secret {
        &self.0[0]
    }

    /// All of them, the current one first.
    pub fn secrets(&self) -> &[Secret] {
        &self.0
    }
}

impl FromStr for Keyring {
    type Err = InvalidKeyring;

    fn from_str(text: &str) -> Result<Keyring, InvalidKeyring> {
        let mut secrets = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                secrets.push(line.parse().map_err(|reason| InvalidKeyring::Line { line: index + 1, reason })?);
            }
        }
        Keyring::new(secrets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_secret_survives_its_text() {
        let secret = Secret::generate().unwrap();
        let text = secret.expose();
        assert!(text.starts_with("eksec1"), "unexpected prefix");
        assert_eq!(text.parse(), Ok(secret.clone()));
        assert_eq!(text.to_uppercase().parse(), Ok(secret));
    }

    #[test]
    fn the_text_of_a_secret_is_fixed() {
        assert_eq!(*secret(7).expose(), "eksec1qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qurswpc8qursl6lhve");
        assert_eq!(secret(7).fingerprint(), "95c1abdfac8d931a");
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::generate().unwrap();
        let text = secret.expose();
        let mut mistyped = text.to_string();
        let last = mistyped.pop().unwrap();
        mistyped.push(if last == 'q' { 'p' } else { 'q' });
        let error = mistyped.parse::<Secret>().unwrap_err();
        assert_eq!(error, InvalidSecret::Checksum);
        for printed in [format!("{secret:?}"), format!("{:?}", Keyring::single(secret)), format!("{error} {error:?}")] {
            assert!(!printed.contains(&text[10..20]) && !printed.contains(&mistyped[10..20]));
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert_eq!("".parse::<Secret>(), Err(InvalidSecret::Prefix));
        assert_eq!("hunter2".parse::<Secret>(), Err(InvalidSecret::Prefix));
        assert_eq!("eksec1".parse::<Secret>(), Err(InvalidSecret::Checksum));
        let short = bech32::encode::<Bech32m>(prefix(), &[1; 31]).unwrap();
        assert_eq!(short.parse::<Secret>(), Err(InvalidSecret::Size(31)));
        let other_checksum = bech32::encode::<bech32::Bech32>(prefix(), &[1; 32]).unwrap();
        assert_eq!(other_checksum.parse::<Secret>(), Err(InvalidSecret::Checksum));
    }

    #[test]
    fn a_keyring_has_comments_and_blank_lines() {
        let text = format!("# ring\n\n{}  # new\n  {}\n", *secret(1).expose(), *secret(2).expose());
        let ring: Keyring = text.parse().unwrap();
        assert_eq!(ring.secrets(), [secret(1), secret(2)]);
        assert_eq!(ring.current(), &secret(1));
    }

    #[test]
    fn a_keyring_of_none_of_four_or_of_twins_is_refused() {
        assert!(matches!("# nothing\n".parse::<Keyring>(), Err(InvalidKeyring::Count(0))));
        assert!(matches!(Keyring::new((0..4).map(secret).collect()), Err(InvalidKeyring::Count(4))));
        assert!(matches!(Keyring::new(vec![secret(1), secret(1)]), Err(InvalidKeyring::Twice)));
        let error = "\nhunter2\n".parse::<Keyring>().unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,80}", tail in "[a-z0-9]{0,70}") {
            let _ = (text.parse::<Secret>(), text.parse::<Keyring>(), format!("eksec1{tail}").parse::<Secret>());
        }
    }
}
