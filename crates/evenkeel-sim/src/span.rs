//! Lengths of time as people write them: `1500ms`, `2s`, `1h 30m`; and ranges of them, `1ms..20ms`.

use std::fmt;
use std::time::Duration;

use evenkeel_core::units::Micros;
use serde::{Deserialize, Serialize};

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Span(pub Micros);

impl Span {
    /// Whether it is no time at all.
    pub fn is_zero(&self) -> bool {
        self.0 == Micros::ZERO
    }
}

impl From<Micros> for Span {
    fn from(time: Micros) -> Span {
        Span(time)
    }
}

impl From<Span> for Micros {
    fn from(span: Span) -> Micros {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from_micros(self.0.0)).fmt(f)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpan {
    /// Not a time.
    #[error("a time is written like 1500ms, 2s or 1h 30m, not {0:?}")]
    Time(String),
    /// Not a range.
    #[error("a range of times is written like 1ms..20ms, not {0:?}")]
    Range(String),
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Span, InvalidSpan> {
        let duration = humantime::parse_duration(&text).map_err(|_| InvalidSpan::Time(text.clone()))?;
        let micros = u64::try_from(duration.as_micros()).map_err(|_| InvalidSpan::Time(text))?;
        Ok(Span(Micros(micros)))
    }
}

/// A range of times, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Spans {
    /// The shortest.
    pub low: Span,
    /// The longest.
    pub high: Span,
}

impl Spans {
    /// From one to the other.
    pub fn new(low: Micros, high: Micros) -> Spans {
        Spans { low: low.into(), high: high.into() }
    }

    /// As the dice take it.
    pub fn range(self) -> (Micros, Micros) {
        (self.low.0, self.high.0)
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.low, self.high)
    }
}

impl From<Spans> for String {
    fn from(spans: Spans) -> String {
        spans.to_string()
    }
}

impl TryFrom<String> for Spans {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Spans, InvalidSpan> {
        let wrong = || InvalidSpan::Range(text.clone());
        let (low, high) = text.split_once("..").unwrap_or((&text, &text));
        let span = |text: &str| Span::try_from(text.trim().to_owned()).map_err(|_| wrong());
        let (low, high) = (span(low)?, span(high)?);
        if low > high {
            return Err(wrong());
        }
        Ok(Spans { low, high })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_survives_printing(low in 0..u64::MAX / 2, more in 0..u64::MAX / 4) {
            let spans = Spans::new(Micros(low), Micros(low + more));
            prop_assert_eq!(Spans::try_from(spans.to_string()), Ok(spans));
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "..", "2s..1s", "1..2", "soon"] {
            assert!(Spans::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!(Spans::try_from("5ms".to_owned()), Ok(Spans::new(Micros(5_000), Micros(5_000))));
    }
}
