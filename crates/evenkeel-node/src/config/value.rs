//! Values as they are written, and how each kind is read: every refusal says what was found and what is asked for.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// From the environment or a flag: has no type yet.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML float.
    Float(f64),
    /// A TOML array.
    List(Vec<Value>),
    /// Any other TOML value: no key takes one.
    Other(&'static str),
}

impl Value {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            // Radix and underscores are the parser's business; what is left here are digits.
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("an integer beyond 64 bits"),
            },
            DeValue::Float(float) => float.as_str().parse().map_or(Value::Other("a float"), Value::Float),
            DeValue::Boolean(_) => Value::Other("a boolean"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(values) => Value::List(values.iter().map(|item| Value::from_toml(item.get_ref())).collect()),
            DeValue::Table(_) => Value::Other("a table"),
        }
    }

    /// Text of at least one character, or `None` for the empty text.
    pub(super) fn text(&self) -> Result<Option<String>, String> {
        match self {
            Value::Word(text) | Value::Text(text) if text.contains('\0') => Err("holds a NUL character".to_owned()),
            Value::Word(text) | Value::Text(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            other => Err(format!("found {other}, expected text in quotes")),
        }
    }

    pub(super) fn path(&self) -> Result<Option<PathBuf>, String> {
        Ok(self.text()?.map(PathBuf::from))
    }

    pub(super) fn integer(&self, bounds: RangeInclusive<u32>) -> Result<u32, String> {
        let (least, most) = (bounds.start(), bounds.end());
        let number = match self {
            Value::Integer(number) => Some(*number),
            Value::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.map(u32::try_from) {
            Some(Ok(number)) if bounds.contains(&number) => Ok(number),
            Some(_) => Err(format!("{self} is out of bounds: choose from {least} to {most}")),
            None => Err(format!("found {self}, expected a whole number from {least} to {most}, without quotes")),
        }
    }

    pub(super) fn fraction(&self) -> Result<f64, String> {
        let number = match self {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            Value::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (0.0..=1.0).contains(&number) => Ok(number),
            Some(_) => Err(format!("{self} is out of bounds: choose from 0 to 1")),
            None => Err(format!("found {self}, expected a number from 0 to 1, without quotes")),
        }
    }

    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Result<Duration, String> {
        let expected = || format!("expected a number and its unit, like {:?}", show_duration(*bounds.start()));
        let (Value::Word(text) | Value::Text(text)) = self else {
            return Err(format!("found {self}, {} in quotes", expected()));
        };
        let duration = humantime::parse_duration(text.trim()).map_err(|_| format!("found {self}, {}", expected()))?;
        if !bounds.contains(&duration) {
            let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
            return Err(format!("{self} is out of bounds: choose from {least} to {most}"));
        }
        Ok(duration)
    }

    /// A duration, or `None` for "never".
    pub(super) fn duration_or_never(&self, bounds: RangeInclusive<Duration>) -> Result<Option<Duration>, String> {
        match self {
            Value::Word(text) | Value::Text(text) if text.trim() == "never" => Ok(None),
            _ => self.duration(bounds).map(Some).map_err(|message| format!("{message}, or \"never\"")),
        }
    }

    /// A number of bytes: bare, or with a unit.
    pub(super) fn bytes(&self, bounds: RangeInclusive<u64>) -> Result<u64, String> {
        let bytes = match self {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Word(text) | Value::Text(text) => parse_bytes(text),
            _ => None,
        };
        let (least, most) = (show_bytes(*bounds.start()), show_bytes(*bounds.end()));
        match bytes {
            Some(bytes) if bounds.contains(&bytes) => Ok(bytes),
            Some(_) => Err(format!("{self} is out of bounds: choose from {least} to {most}")),
            None => Err(format!("found {self}, expected a number of bytes like \"8MiB\", from {least} to {most}")),
        }
    }

    /// An address with a port. A name would not do: a socket is bound to an address.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        let text = self.text()?.unwrap_or_default();
        text.parse().map_err(|_| {
            format!("found {self}, expected an IP address and a port, like \"127.0.0.1:7116\" or \"[::1]:7116\"")
        })
    }

    /// Host and port, each; from the environment and flags, separated by commas.
    pub(super) fn hosts(&self) -> Result<Vec<String>, String> {
        let items = match self {
            Value::Word(text) => text.split(',').map(|item| Value::Word(item.to_owned())).collect(),
            Value::List(items) => items.clone(),
            other => return Err(format!("found {other}, expected a list, like [\"node1:7116\", \"10.0.0.2:7116\"]")),
        };
        let texts: Vec<String> = items.iter().filter_map(|item| item.text().transpose()).collect::<Result<_, _>>()?;
        match texts.iter().find(|text| !is_host_and_port(text)) {
            Some(text) => Err(format!("{text:?} is not HOST:PORT, like \"node1:7116\" or \"[::1]:7116\"")),
            None => Ok(texts),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, String> {
        let found = match self {
            Value::Word(text) | Value::Text(text) => choices.iter().find(|(name, _)| *name == text.trim()),
            _ => None,
        };
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            format!("found {self}, expected {}", names.join(" or "))
        })
    }
}

/// As it was written, for messages.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Word(text) | Value::Text(text) => write!(f, "{text:?}"),
            Value::Integer(number) => number.fmt(f),
            Value::Float(number) => number.fmt(f),
            Value::List(_) => f.write_str("a list"),
            Value::Other(kind) => f.write_str(kind),
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_is_good = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    host_is_good && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Units of bytes, largest first among those of a kind.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, size)));
    let (digits, size) = unit.unwrap_or((text, &1));
    digits.trim_end().replace('_', "").parse::<u64>().ok()?.checked_mul(*size)
}

/// In the largest binary unit that is exact.
pub(super) fn show_bytes(bytes: u64) -> String {
    let unit = UNITS[..4].iter().find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| bytes.to_string(), |(name, size)| format!("{}{name}", bytes / size))
}

pub(super) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    proptest! {
        #[test]
        fn sizes_survive_printing_and_parsing(bytes: u64, shift in 0u32..60) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            for value in [word(&text), Value::Text(text)] {
                let second = Duration::from_secs(1);
                let _ = (value.bytes(0..=u64::MAX), value.duration(second..=second), value.hosts(), value.address());
                let _ = (value.integer(0..=9), value.fraction(), value.text(), value.choice(&[("a", 1)]));
            }
        }
    }

    #[test]
    fn sizes_are_bare_or_have_a_unit() {
        for (text, bytes) in [("8MiB", 8 << 20), ("8 MiB", 8 << 20), ("3kB", 3_000), ("17", 17), ("1_000B", 1_000)] {
            assert_eq!(word(text).bytes(0..=u64::MAX), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "8 mib", "99999999TiB"] {
            assert!(word(text).bytes(0..=u64::MAX).is_err(), "{text}");
        }
    }

    #[test]
    fn a_seed_is_a_host_and_a_port() {
        for good in ["node1:7116", "10.0.0.1:1", "[::1]:7116", "a.b-c_d:65535"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in ["", "node1", "node1:", ":7116", "node1:0", "node1:65536", "::1:7116", "a b:1", "http://a:1"] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
        assert_eq!(word("a:1, b:2,").hosts(), Ok(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert_eq!(word("").hosts(), Ok(vec![]));
    }

    #[test]
    fn nan_is_no_fraction() {
        assert!(word("nan").fraction().is_err() && Value::Float(f64::NAN).fraction().is_err());
        assert!(word("inf").fraction().is_err() && word("-0.1").fraction().is_err());
        assert_eq!(word("1").fraction(), Ok(1.0));
    }
}
