//! Seeds as people give them: a number, a commit hash, or what a failed run has told, which knows the version that it failed
//! in.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::check::Checkers;
use crate::run::simulate;
use crate::swarm;
use crate::trace::Subject;

/// What tells versions of the program apart that may tell different stories of one seed: the trace of one small world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// Of this program.
    pub fn own() -> Fingerprint {
        static OWN: OnceLock<Fingerprint> = OnceLock::new();
        /// A world of four nodes, with faults of most kinds, that is over in an instant.
        const SEED: u64 = 0;
        *OWN.get_or_init(|| {
            let options = swarm::draw(SEED);
            Fingerprint(simulate(&options, SEED, Subject::Nothing, Checkers::all()).hash as u32)
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// One seed, and the version that it was seen in, if that is told: `17`, `17@8c2f01aa`, or a commit hash of seven hexadecimal
/// digits or more. What consists of decimal digits only is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// Its number.
    pub number: u64,
    /// The version.
    pub of: Option<Fingerprint>,
}

/// Text that names no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a seed is a number, like 17, or a commit hash of at least seven hexadecimal digits, not {0:?}")]
pub struct InvalidSeed(String);

impl FromStr for Seed {
    type Err = InvalidSeed;

    fn from_str(text: &str) -> Result<Seed, InvalidSeed> {
        let invalid = || InvalidSeed(text.to_owned());
        let (seed, of) = match text.split_once('@') {
            Some((seed, of)) => (seed, Some(u32::from_str_radix(of, 16).map_err(|_| invalid())?)),
            None => (text, None),
        };
        Ok(Seed { number: number(seed).ok_or_else(invalid)?, of: of.map(Fingerprint) })
    }
}

/// The number that a text stands for: itself, or a hash of the hash of a commit.
fn number(text: &str) -> Option<u64> {
    let is_hash = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    plain.or_else(|| is_hash.then(|| xxh3_64(text.to_ascii_lowercase().as_bytes())))
}

/// Seeds, written `17`, `0..200`, or as a commit hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Seeds(pub Range<u64>);

/// Text that names no seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seeds are written like 17, or 0..200 for the first two hundred, or as a commit hash, not {0:?}")]
pub struct InvalidSeeds(String);

impl FromStr for Seeds {
    type Err = InvalidSeeds;

    fn from_str(text: &str) -> Result<Seeds, InvalidSeeds> {
        let invalid = || InvalidSeeds(text.to_owned());
        let seeds = match text.split_once("..") {
            Some((from, to)) => {
                let bound = |text: &str| text.trim().parse::<u64>().map_err(|_| invalid());
                bound(from)?..bound(to)?
            }
            None => {
                let seed = number(text.trim()).ok_or_else(invalid)?;
                seed..seed.checked_add(1).ok_or_else(invalid)?
            }
        };
        if seeds.is_empty() { Err(invalid()) } else { Ok(Seeds(seeds)) }
    }
}

impl TryFrom<String> for Seeds {
    type Error = InvalidSeeds;

    fn try_from(text: String) -> Result<Seeds, InvalidSeeds> {
        text.parse()
    }
}

impl From<Seeds> for String {
    fn from(Seeds(range): Seeds) -> String {
        if range.end == range.start + 1 { range.start.to_string() } else { format!("{}..{}", range.start, range.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range_or_a_commit() {
        assert_eq!("17".parse(), Ok(Seeds(17..18)));
        assert_eq!("3..5".parse(), Ok(Seeds(3..5)));
        let commit: Seeds = "c72ade2d90b1".parse().unwrap();
        assert_eq!(commit.0.end - commit.0.start, 1);
        for text in ["", "x", "5..3", "1..", "-1", "abc", "18446744073709551616", "18446744073709551615"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
        for seeds in [Seeds(4..5), Seeds(4..9)] {
            assert_eq!(String::from(seeds.clone()).parse(), Ok(seeds));
        }
    }

    #[test]
    fn a_seed_may_name_the_version_that_it_was_seen_in() {
        assert_eq!("17".parse(), Ok(Seed { number: 17, of: None }));
        assert_eq!("17@0000002a".parse(), Ok(Seed { number: 17, of: Some(Fingerprint(42)) }));
        let own = Seed { number: 17, of: Some(Fingerprint::own()) };
        assert_eq!(format!("17@{}", Fingerprint::own()).parse(), Ok(own));
        let commit = |text: &str| text.parse::<Seed>().unwrap().number;
        assert_eq!(commit("C72ADE2"), commit("c72ade2"));
        assert_ne!(commit("c72ade2"), commit("c72ade3"));
        for text in ["17@", "17@x", "@1", "abcdef", "seventeen"] {
            assert!(text.parse::<Seed>().is_err(), "{text}");
        }
    }
}
