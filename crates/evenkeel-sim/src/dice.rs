//! Chance: a seeded generator, and probabilities as ratios, so that a simulation is the same on every machine.

use std::fmt;
use std::str::FromStr;

use evenkeel_core::units::Micros;
use serde::{Deserialize, Serialize};

/// A splitmix64 generator.
///
/// Every part of a world has one of its own, forked from the seed by a label: what one part draws does not change what
/// another does, so that a fault can be taken away, or a checker added, without anything else becoming different.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// An independent generator for the part of the world called `label`.
    pub fn fork(&self, label: &str) -> Dice {
        Dice(xxhash_rust::xxh3::xxh3_64_with_seed(label.as_bytes(), self.0))
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product: without the bias of a remainder that a bound near 2^64 would have.
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` if they are the wrong way round.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A time from a range.
    pub fn time(&mut self, range: (Micros, Micros)) -> Micros {
        Micros(self.between(range.0.0, range.1.0))
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, ratio: Ratio) -> bool {
        // No number is drawn for what cannot happen, which is most of what is asked.
        ratio.of > 0 && self.below(u64::from(ratio.among)) < u64::from(ratio.of)
    }

    /// One of these; `None` if there are none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let place = self.below(among.len() as u64) as usize;
        among.get(place)
    }

    /// A fraction in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.fraction())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.fraction())
    }

    /// Time until the next of events that come once in `mean` on average, independently of each other.
    pub fn until_next(&mut self, mean: Micros) -> Micros {
        Micros((-libm::log(1.0 - self.fraction()) * mean.0 as f64) as u64)
    }
}

/// A probability, written `1/100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Ratio {
    of: u32,
    among: u32,
}

impl Ratio {
    /// Never.
    pub const NEVER: Ratio = Ratio { of: 0, among: 1 };

    /// `of` times in `among`.
    ///
    /// # Panics
    /// If that is more than always.
    pub fn new(of: u32, among: u32) -> Ratio {
        assert!(of <= among && among > 0, "{of}/{among} is no probability");
        Ratio { of, among }
    }

    /// Whether it is 0.
    pub fn is_never(&self) -> bool {
        self.of == 0
    }
}

impl Default for Ratio {
    fn default() -> Ratio {
        Ratio::NEVER
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of, self.among)
    }
}

impl From<Ratio> for String {
    fn from(ratio: Ratio) -> String {
        ratio.to_string()
    }
}

/// Text that is no probability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a probability is written like 1/100, from 0/1 to 1/1, not {0:?}")]
pub struct InvalidRatio(String);

impl FromStr for Ratio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Ratio, InvalidRatio> {
        let wrong = || InvalidRatio(text.to_owned());
        let (of, among) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
        let (of, among) = (number(of)?, number(among)?);
        if of > among || among == 0 {
            return Err(wrong());
        }
        Ok(Ratio { of, among })
    }
}

impl TryFrom<String> for Ratio {
    type Error = InvalidRatio;

    fn try_from(text: String) -> Result<Ratio, InvalidRatio> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_within_its_bounds(seed: u64, low: u64, high: u64) {
            let (low, high) = (low.min(high), low.max(high));
            prop_assume!(high - low < u64::MAX);
            let drawn = Dice::new(seed).between(low, high);
            prop_assert!((low..=high).contains(&drawn));
        }

        #[test]
        fn a_ratio_survives_printing(among in 1..u32::MAX, of: u32) {
            let ratio = Ratio::new(of % (among + 1), among);
            prop_assert_eq!(ratio.to_string().parse(), Ok(ratio));
        }
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for text in ["", "1", "2/1", "1/0", "-1/2", "a/b", "0.5"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_ratio_is_about_as_frequent_as_it_says() {
        let mut dice = Dice::new(1);
        let ratio = Ratio::new(1, 20);
        let times = (0..100_000).filter(|_| dice.happens(ratio)).count();
        assert!((4_700..5_300).contains(&times), "{times}");
    }

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn() {
        let dice = Dice::new(7);
        let (mut a, mut b) = (dice.fork("network"), dice.fork("network"));
        assert_eq!(a.draw(), b.draw());
        assert_ne!(dice.fork("network").draw(), dice.fork("gossip").draw());
    }
}
