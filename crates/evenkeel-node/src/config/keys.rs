//! The table of keys: the one place that says what a key is called, how it is read, within which bounds, and where it
//! goes.

use std::time::Duration;

use evenkeel_core::settings::{Averaging, Metric, Partition};
use evenkeel_net::{MAX_CAPTURE, MAX_PAYLOAD};
use tracing_subscriber::EnvFilter;

use super::value::Value;
use super::{Config, LogFormat, MaxProcess};

/// One key.
pub(super) struct Key {
    /// Section and name, with a dot between them.
    pub(super) name: &'static str,
    /// Reads a value into its place.
    pub(super) set: fn(&mut Config, &Value) -> Result<(), String>,
}

/// A key whose name is that of its field: the compiler keeps the two alike.
macro_rules! key {
    ($section:ident.$field:ident, $read:expr) => {
        Key {
            name: concat!(stringify!($section), ".", stringify!($field)),
            set: |config, value| {
                let read: fn(&Value) -> Result<_, String> = $read;
                config.$section.$field = read(value)?;
                Ok(())
            },
        }
    };
}

/// Every key.
pub(super) const KEYS: &[Key] = &[
    key!(node.name, node_name),
    key!(node.data_dir, Value::path),
    key!(node.max_process, max_process),
    key!(node.max_process_limit, |value| value.integer(1..=MOST_PROCESSES)),
    key!(network.listen, Value::address),
    key!(network.advertise, |value| value.text()?.map(|_| value.address()).transpose()),
    key!(network.seeds, Value::hosts),
    key!(network.secret_file, Value::path),
    key!(http.listen, Value::address),
    key!(http.token_file, Value::path),
    key!(http.max_upload, |value| value.bytes(1 << 20..=1 << 50)),
    key!(http.max_documents, |value| value.integer(1..=u32::MAX)),
    key!(http.max_uploads, |value| value.integer(1..=1_024)),
    key!(http.upload_idle, |value| value.duration(SECOND..=HOUR)),
    key!(gossip.interval, |value| value.duration(MILLISECOND * 10..=SECOND * 60)),
    key!(gossip.detection, |value| value.duration(MILLISECOND * 100..=HOUR)),
    key!(gossip.dead_node_grace, |value| value.duration(SECOND..=HOUR * 24 * 7)),
    key!(balance.metric, |value| value.choice(&[("length", Metric::Length), ("count", Metric::Count)])),
    key!(balance.averaging, |value| value.choice(&[("carry", Averaging::Carry), ("halves", Averaging::Halves)])),
    key!(balance.partition, |value| {
        value.choice(&[("available", Partition::Available), ("cautious", Partition::Cautious)])
    }),
    key!(balance.rebalance_interval, |value| value.duration(MILLISECOND * 10..=HOUR)),
    key!(balance.hysteresis, Value::fraction),
    key!(balance.takeover_delay, |value| value.duration(MILLISECOND..=HOUR)),
    key!(balance.minority_delay, |value| value.duration_or_never(SECOND..=HOUR * 24 * 7)),
    key!(processes.nice, |value| value.integer(0..=19)),
    key!(processes.capture, |value| value.bytes(0..=MAX_CAPTURE)),
    key!(processes.capture_max, |value| value.bytes(0..=MAX_CAPTURE)),
    key!(documents.max_payload, |value| value.bytes(1..=MAX_PAYLOAD)),
    key!(documents.copies, |value| value.integer(COPIES)),
    key!(store.sync, |value| value.choice(&[("always", true), ("never", false)])),
    key!(store.gather, |value| value.duration(Duration::ZERO..=SECOND)),
    key!(store.keep, |value| value.duration_or_never(SECOND..=HOUR * 24 * 3_650)),
    key!(store.low_water, |value| value.bytes(0..=1 << 50)),
    key!(health.stall, |value| value.duration(MILLISECOND * 100..=HOUR)),
    key!(health.idle, |value| value.duration(MILLISECOND * 100..=HOUR * 24)),
    key!(autoscale.target_drain, |value| value.duration(SECOND..=HOUR * 24 * 7)),
    key!(telemetry.otlp, collector),
    key!(telemetry.sample, Value::fraction),
    key!(log.level, log_level),
    key!(log.format, |value| value.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])),
];

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Nodes that may keep each payload and result.
pub const COPIES: std::ops::RangeInclusive<u32> = 1..=16;

/// Longest name of a node: it is gossiped, and a column of tables.
const NAME_BYTES: usize = 64;

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known key that somebody most likely meant by this name.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let likeness = |known: &str| {
        // The right name in the wrong section is the likelier slip than the wrong name in the right one.
        let ((section, field), (known_section, known_field)) = (parts(name), parts(known));
        0.8 * strsim::normalized_damerau_levenshtein(known_field, field)
            + 0.2 * strsim::normalized_damerau_levenshtein(known_section, section)
    };
    KEYS.iter()
        .map(|key| (likeness(key.name), key.name))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// Section and field; a name without a dot is a field's.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("", name))
}

/// Number of CPUs that this process may use.
pub(super) fn cpus() -> u32 {
    crate::machine::usable_processors().min(MOST_PROCESSES)
}

const MOST_PROCESSES: u32 = 65_535;

fn max_process(value: &Value) -> Result<MaxProcess, String> {
    match value {
        Value::Word(text) | Value::Text(text) if text.trim() == "cpus" => Ok(MaxProcess::Fixed(cpus())),
        Value::Word(text) | Value::Text(text) if text.trim() == "auto" => Ok(MaxProcess::Auto),
        _ => value
            .integer(1..=MOST_PROCESSES)
            .map(MaxProcess::Fixed)
            .map_err(|message| format!("{message}, or \"cpus\", or \"auto\"")),
    }
}

fn node_name(value: &Value) -> Result<Option<String>, String> {
    let Some(name) = value.text()? else {
        return Ok(None);
    };
    if name.len() > NAME_BYTES {
        return Err(format!("{value} has {} bytes, and a name has at most {NAME_BYTES}", name.len()));
    }
    if !name.chars().all(|letter| letter.is_alphanumeric() || "-._".contains(letter)) {
        return Err(format!("{value} may hold only letters, digits, '-', '.' and '_'"));
    }
    if name == "self" {
        return Err("\"self\" means the node that is asked: choose another name".to_owned());
    }
    Ok(Some(name))
}

fn collector(value: &Value) -> Result<Option<String>, String> {
    let Some(url) = value.text()? else { return Ok(None) };
    let example = "expected the URL of a collector, such as \"http://127.0.0.1:4318\"";
    match url.parse::<axum::http::Uri>() {
        Ok(parsed) if parsed.scheme_str() == Some("http") && parsed.host().is_some() => Ok(Some(url)),
        Ok(parsed) if parsed.scheme_str() == Some("https") => Err(format!(
            "found {value}, and nodes speak no TLS to collectors: run one on this host that passes on what it gets"
        )),
        _ => Err(format!("found {value}, {example}")),
    }
}

fn log_level(value: &Value) -> Result<String, String> {
    let example = "expected a level (error, warn, info, debug, trace) or a filter like \"info,evenkeel_net=debug\"";
    let level = value.text()?.ok_or_else(|| format!("empty: {example}"))?;
    // The filter's own parser takes any single word for the name of a module, and then logs nothing at all.
    let known = |level: &str| level.eq_ignore_ascii_case("off") || level.parse::<tracing::Level>().is_ok();
    if !level.contains(['=', ',', '[']) && !known(&level) {
        return Err(format!("found {value}, {example}"));
    }
    EnvFilter::try_new(&level).map_err(|error| format!("found {value} ({error}), {example}"))?;
    Ok(level)
}
