//! Kinds of values that arguments take: durations, sizes, slots, addresses.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use evenkeel_net::{MAX_CAPTURE, MAX_PAYLOAD};
use evenkeel_node::config::{self, COPIES};
use reqwest::Url;

/// Most slots of one node: more processes than any kernel is set up for by default.
const MOST_SLOTS: u32 = 65_536;

/// Most retries of one document: more are a loop, not a remedy.
const MOST_RETRIES: u32 = 1_000;

/// Reads a duration that is more than nothing, such as `30s`, `5m` or `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) if text.parse::<f64>().is_ok() => Err(format!("the unit is missing: for example {text}s or {text}m")),
        Err(error) => Err(format!("not a duration such as 30s, 5m or 1h30m: {error}")),
    }
}

/// Reads a number of seconds, from a tenth to a day.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().strip_suffix('s').unwrap_or(text).trim().parse::<f64>();
    let seconds = seconds.ok().filter(|seconds| (0.1..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("`{text}` is not a number of seconds from 0.1 to 86400"))
}

/// Reads a number of bytes: `1000`, or with K, M or G and perhaps `B` or `iB`, all powers of 1,024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "not a size such as 1000, 64K, 16M or 2GiB".to_owned();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(wrong()),
    };
    match number.checked_mul(1 << shift) {
        Some(0) => Err("it must be more than zero".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("that is more than 2^64 bytes".to_owned()),
    }
}

/// Reads the size of the longest document.
pub fn payload_size(text: &str) -> Result<u64, String> {
    at_most(MAX_PAYLOAD, text, "between nodes a document travels in one piece; put larger ones into files")
}

/// Reads how much is kept of each output.
pub fn capture_size(text: &str) -> Result<u64, String> {
    at_most(MAX_CAPTURE, text, "between nodes both outputs travel in one piece; let the command write more to a file")
}

fn at_most(limit: u64, text: &str, reason: &str) -> Result<u64, String> {
    match bytes(text)? {
        size if size > limit => Err(format!("at most {}M: {reason}", limit >> 20)),
        size => Ok(size),
    }
}

/// How many documents nodes run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaxProcess {
    /// As many as the node finds out to be good while it works.
    Auto,
    /// So many on every node.
    Same(u32),
    /// So many on the first, on the second, and so on.
    Each(Vec<u32>),
}

/// Reads the slots of one node.
pub fn slots(text: &str) -> Result<u32, String> {
    match text.trim().parse::<u32>() {
        Ok(0) => Err("a node needs at least one process to run anything: give 1 or more".to_owned()),
        Ok(number) if number > MOST_SLOTS => Err(format!("at most {MOST_SLOTS} processes run on a node")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("`{text}` is not a number of processes: give 1 to {MOST_SLOTS}, such as 8")),
    }
}

/// In place of a number of slots: the node finds it out.
const AUTO: &str = "auto";

/// Reads the slots of one node, or that it is to find them out.
pub fn slots_or_auto(text: &str) -> Result<config::MaxProcess, String> {
    match text.trim() {
        AUTO => Ok(config::MaxProcess::Auto),
        _ => slots(text).map(config::MaxProcess::Fixed).map_err(|message| format!("{message}, or {AUTO}")),
    }
}

impl FromStr for MaxProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxProcess, String> {
        if text.trim() == AUTO {
            return Ok(MaxProcess::Auto);
        }
        if !text.contains(',') {
            return slots(text).map(MaxProcess::Same);
        }
        text.split(',').map(slots).collect::<Result<_, _>>().map(MaxProcess::Each)
    }
}

/// Reads how many nodes keep a batch.
pub fn copies(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number from {} to {}", COPIES.start(), COPIES.end());
    text.parse().ok().filter(|copies| COPIES.contains(copies)).ok_or_else(wrong)
}

/// Reads how often a document is tried again.
pub fn retries(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number from 0 to {MOST_RETRIES}");
    text.parse().ok().filter(|retries| *retries <= MOST_RETRIES).ok_or_else(wrong)
}

/// A host and a port; the host is resolved when it is used, and again whenever that may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort(String);

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPort, String> {
        let (host, port) =
            text.rsplit_once(':').ok_or("the port is missing: HOST:PORT, for example node1.example:7116")?;
        if host.is_empty() {
            return Err("the host is missing: HOST:PORT, for example node1.example:7116".to_owned());
        }
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return Err(format!("an IPv6 address stands in brackets: [{host}]:{port}"));
        }
        if host.contains(|letter: char| letter.is_whitespace() || letter == '/') {
            return Err(format!("`{host}` is not a host: HOST:PORT, without http:// and without a path"));
        }
        match port.parse::<u16>() {
            Ok(1..) => Ok(HostPort(text.to_owned())),
            _ => Err(format!("`{port}` is not a port: a number from 1 to 65535")),
        }
    }
}

impl HostPort {
    /// As text, `HOST:PORT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the UDP address that a node listens on.
pub fn udp_address(text: &str) -> Result<SocketAddr, String> {
    address(text, 7116)
}

/// Reads the TCP address of a node's HTTP API.
pub fn tcp_address(text: &str) -> Result<SocketAddr, String> {
    address(text, 7117)
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    // Which of a host's addresses is meant is not ours to choose.
    text.parse().map_err(|_| format!("expected IP:PORT, for example 10.0.0.1:{port}, 0.0.0.0:{port} or [::1]:{port}"))
}

/// Where the HTTP API of this host's node is by default.
pub const DEFAULT_HTTP: &str = "http://127.0.0.1:7117";

/// Reads the URL of a node's HTTP API; `http://` may be left out. An empty text, which is what an environment variable that
/// is to say nothing holds, is the default.
pub fn http_url(text: &str) -> Result<Url, String> {
    const EXAMPLE: &str = "give HOST:PORT or a URL such as http://127.0.0.1:7117";
    let whole = match text {
        "" => DEFAULT_HTTP.to_owned(),
        _ if text.contains("://") => text.to_owned(),
        _ => format!("http://{text}"),
    };
    let url = Url::parse(&whole).map_err(|error| format!("{error}; {EXAMPLE}"))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => {
            Err("nodes speak plain HTTP; put http://, and a tunnel or proxy where the way is not safe".to_owned())
        }
        _ => Err(format!("not an HTTP address; {EXAMPLE}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_length() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("30").unwrap_err(), "the unit is missing: for example 30s or 30m");
        assert_eq!(duration("0s").unwrap_err(), "it must be more than zero");
        assert!(duration("soon").unwrap_err().starts_with("not a duration such as 30s"));
    }

    #[test]
    fn seconds_are_a_number() {
        assert_eq!((seconds("5"), seconds("0.5s")), (Ok(Duration::from_secs(5)), Ok(Duration::from_millis(500))));
        for text in ["", "0", "-1", "nan", "inf", "5m", "1e9"] {
            assert!(seconds(text).unwrap_err().contains("from 0.1 to 86400"), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (text, size) in [("1000", 1_000), ("64K", 64 << 10), ("16 MiB", 16 << 20), ("2gb", 2 << 30)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "1T", "0", "18446744073709551616", "99999999999999G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_no_larger_than_what_nodes_can_send() {
        assert_eq!((payload_size("32M"), capture_size("16M")), (Ok(32 << 20), Ok(16 << 20)));
        assert!(payload_size("33M").unwrap_err().starts_with("at most 32M: "));
        assert!(capture_size("17M").unwrap_err().starts_with("at most 16M: "));
    }

    #[test]
    fn slots_are_one_number_or_one_for_each_node() {
        assert_eq!("8".parse(), Ok(MaxProcess::Same(8)));
        assert_eq!("auto".parse(), Ok(MaxProcess::Auto));
        assert_eq!(slots_or_auto("auto"), Ok(config::MaxProcess::Auto));
        assert_eq!(slots_or_auto("8"), Ok(config::MaxProcess::Fixed(8)));
        assert!(slots_or_auto("many").unwrap_err().ends_with("such as 8, or auto"));
        assert_eq!("4,10, 10,16".parse(), Ok(MaxProcess::Each(vec![4, 10, 10, 16])));
        for (text, part) in [
            ("0", "at least one process"),
            ("4,0", "at least one process"),
            ("-1", "not a number of processes"),
            ("200%", "not a number of processes"),
            ("", "not a number"),
            ("1,", "not a number"),
            ("100000", "at most 65536"),
        ] {
            let error = text.parse::<MaxProcess>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for text in ["node1:7117", "10.0.0.1:1", "[::1]:7117", "a.b.example:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().as_str(), text);
        }
        for (text, part) in [
            ("node1", "port is missing"),
            (":7117", "host is missing"),
            ("::1:7117", "[::1]:7117"),
            ("http://node1:7117", "not a host"),
            ("node1:0", "not a port"),
            ("node1:65536", "not a port"),
        ] {
            let error = text.parse::<HostPort>().unwrap_err();
            assert!(error.contains(part) || part == "not a host" && error.contains("brackets"), "{text}: {error}");
        }
        for text in ["http://127.0.0.1:7117", "127.0.0.1:7117", ""] {
            assert_eq!(http_url(text).unwrap().as_str(), "http://127.0.0.1:7117/", "{text}");
        }
        assert_eq!(http_url("localhost:80/x").unwrap().as_str(), "http://localhost/x");
        for text in ["https://node1:7117", "ftp://node1", ":7117", "node1:port", "a b", "http://"] {
            assert!(http_url(text).is_err(), "{text}");
        }
        assert_eq!(udp_address("[::1]:0"), Ok("[::1]:0".parse().unwrap()));
        for text in ["7116", "10.0.0.1", "node1:7116", "::1:x", ""] {
            assert!(
                udp_address(text).unwrap_err().starts_with("expected IP:PORT, for example 10.0.0.1:7116"),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_refused(text in "\\PC{0,20}|[0-9a-zA-Z:,.\\[\\] ]{0,12}") {
            let _ = (duration(&text), bytes(&text), text.parse::<MaxProcess>(), text.parse::<HostPort>(), http_url(&text));
        }
    }
}
