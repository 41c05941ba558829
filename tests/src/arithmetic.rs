//! Documents of uneven length that need a shell, a processor and nothing else, and whose output anybody can compute.

use std::borrow::Cow;

use evenkeel_node::api::types::DocumentLine;

/// Modulus and factors of the generator that the documents compute.
const MODULUS: u64 = 1 << 31;
const FACTOR: u64 = 1_103_515_245;
const SUMMAND: u64 = 12_345;

/// Shortest and longest document, in rounds.
const SHORTEST: f64 = 10.0;
const LONGEST: f64 = 5_000.0;

/// Exponent of the distribution of rounds: a few long documents are a good part of all work.
const TAIL: f64 = 1.1;

/// A document: so many rounds of a generator, from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    seed: u64,
    rounds: u64,
}

impl Sum {
    /// What the shell does with the payload in `$1`.
    pub const SCRIPT: &'static str = "set -- $1\nx=$1\ni=$2\n\
        while [ $i -gt 0 ]; do x=$(( (x * 1103515245 + 12345) % 2147483648 )); i=$((i - 1)); done\necho $x";

    /// So many documents, always the same.
    pub fn series(count: u32) -> Vec<Sum> {
        let mut seed = 1;
        let next = |_| {
            seed = step(seed);
            // The low bits of such a generator repeat early; the high ones make a good fraction.
            let fraction = (seed as f64 + 1.0) / MODULUS as f64;
            let rounds = (SHORTEST * fraction.powf(-1.0 / TAIL)).min(LONGEST) as u64;
            Sum { seed, rounds }
        };
        (0..count).map(next).collect()
    }

    /// As it is submitted.
    pub fn document(&self) -> DocumentLine<'static> {
        let payload = format!("{} {}", self.seed, self.rounds);
        DocumentLine { payload: Some(Cow::Owned(payload)), payload_base64: None, length: Some(self.rounds) }
    }

    /// What it must print.
    pub fn output(&self) -> String {
        format!("{}\n", (0..self.rounds).fold(self.seed, |x, _| step(x)))
    }
}

fn step(x: u64) -> u64 {
    (x * FACTOR + SUMMAND) % MODULUS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_uneven_and_a_shell_agrees() {
        let series = Sum::series(1_000);
        let rounds: Vec<u64> = series.iter().map(|sum| sum.rounds).collect();
        assert!(rounds.iter().max() > Some(&1_000) && rounds.iter().min() < Some(&20), "{rounds:?}");
        let payload = series[7].document().payload.expect("text").into_owned();
        let output =
            std::process::Command::new("sh").args(["-c", Sum::SCRIPT, "sh", &payload]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), series[7].output());
    }
}
