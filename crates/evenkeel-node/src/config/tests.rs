//! Tests of the configuration as an operator meets it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::keys::KEYS;
use super::*;

/// The example at the root of the project.
fn example() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/node.toml");
    let text = std::fs::read_to_string(&path).expect("config/node.toml");
    (path, text)
}

/// A directory that holds one file.
fn file_of(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("node.toml");
    std::fs::write(&path, text).expect("a file");
    (directory, path)
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn load(text: &str) -> Result<Config, Problems> {
    let (_directory, path) = file_of(text);
    Sources { file: Some(path), ..Sources::default() }.load().map(|loaded| loaded.config)
}

/// What is said of this file, without its directory.
fn complaints(text: &str) -> Vec<String> {
    let (directory, path) = file_of(text);
    let problems = Sources { file: Some(path), ..Sources::default() }.load().expect_err("problems").0;
    let prefix = format!("{}/", directory.path().display());
    problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
}

fn complaint(text: &str) -> String {
    let all = complaints(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().expect("one")
}

/// The name of the key that a line of the example sets, if it is uncommented.
fn commented_key(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('#')?.split_once(" = ")?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(name)
}

#[test]
fn the_example_as_it_is_changes_nothing() {
    let (path, _) = example();
    let loaded = Sources { file: Some(path), ..Sources::default() }.load().expect("no problems");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.origin("node.name"), Origin::Default);
}

#[test]
fn the_example_uncommented_is_exactly_the_defaults() {
    let (_, text) = example();
    let uncommented: Vec<&str> =
        text.lines().map(|line| if commented_key(line).is_some() { &line[1..] } else { line }).collect();
    let (_directory, path) = file_of(&uncommented.join("\n"));
    let loaded = Sources { file: Some(path), ..Sources::default() }.load().expect("no problems");
    assert_eq!(loaded.config, Config::default());
    for key in KEYS {
        assert_ne!(loaded.origin(key.name), Origin::Default, "{} is not in config/node.toml", key.name);
    }
}

#[test]
fn the_example_explains_every_key_once_in_the_order_of_the_table() {
    let (_, text) = example();
    let (mut section, mut explained, mut comments) = ("", Vec::new(), 0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some(name) = commented_key(line) {
            assert!(comments > 0, "{section}.{name} has no comment");
            explained.push(format!("{section}.{name}"));
        }
        comments = if line.starts_with("# ") { comments + 1 } else { 0 };
    }
    assert_eq!(explained, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
}

#[test]
fn every_key_can_be_set_in_the_environment() {
    let variables: Vec<(OsString, OsString)> = KEYS
        .iter()
        .map(|key| {
            let variable = format!("EVENKEEL_{}", key.name.replace('.', "__").to_ascii_uppercase());
            (variable.into(), OsString::from("?"))
        })
        .collect();
    let sources = Sources { environment: variables.clone(), ..Sources::default() };
    let problems = sources.load().expect_err("nonsense").0;
    assert!(problems.iter().all(|problem| !problem.message.contains("no key")), "{problems:?}");
}

#[test]
fn each_source_is_laid_over_the_one_before() {
    let (_directory, path) = file_of("[node]\nname = \"file\"\nmax_process = 2\n[log]\nformat = \"json\"\n");
    let environment = environment(&[
        ("EVENKEEL_NODE__MAX_PROCESS", "3"),
        ("EVENKEEL_NODE__NAME", "environment"),
        ("EVENKEEL_NETWORK__SEEDS", "a:1,b:2"),
        ("EVENKEEL_EPOCH", "not a setting"),
        ("PATH", "/bin"),
    ]);
    let mut flags = Flags::new();
    flags.set("node.name", "--name", "flag").set_some("http.listen", "--http", None::<String>);
    let loaded = Sources { file: Some(path.clone()), environment, flags }.load().expect("no problems");
    let config = &loaded.config;
    assert_eq!((config.node.name.as_deref(), config.node.max_process), (Some("flag"), MaxProcess::Fixed(3)));
    assert_eq!((config.log.format, config.network.seeds.len()), (LogFormat::Json, 2));
    assert_eq!(loaded.origin("node.name"), Origin::Flag { flag: "--name" });
    assert_eq!(loaded.origin("node.max_process").to_string(), "environment variable EVENKEEL_NODE__MAX_PROCESS");
    assert_eq!(loaded.origin("log.format"), Origin::File { path, line: 5 });
    assert_eq!(loaded.origin("http.listen"), Origin::Default);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_one() {
    assert_eq!(
        complaint("[node]\nmax_proces = 4\n"),
        "node.toml:2: node.max_proces: unknown key; did you mean node.max_process?"
    );
    assert_eq!(
        complaint("[gossip]\n\nmax_process = 4\n"),
        "node.toml:3: gossip.max_process: unknown key; did you mean node.max_process?"
    );
    assert_eq!(complaint("seeds = []\n"), "node.toml:1: seeds: unknown key; did you mean network.seeds?");
    assert_eq!(
        complaint("[documents]\nxyzzy = 1\n"),
        "node.toml:2: documents.xyzzy: unknown key; [documents] has max_payload, copies"
    );
    let unknown = complaint("[xyzzy]\n");
    assert!(unknown.contains("the sections are node, network, http, gossip"), "{unknown}");
    let sources = Sources { environment: environment(&[("EVENKEEL_NODE__MAX_PROCES", "4")]), ..Sources::default() };
    assert_eq!(
        sources.load().expect_err("unknown").to_string(),
        "environment variable EVENKEEL_NODE__MAX_PROCES: there is no key node.max_proces; \
         did you mean EVENKEEL_NODE__MAX_PROCESS?"
    );
}

#[test]
fn all_problems_are_told_at_once_each_with_its_line() {
    let all = complaints(
        "[node]\nmax_process = 0\nname = \"a b\"\n[gossip]\ninterval = 5\ndetection = \"-1s\"\n[log]\nlevel = \"loud\"\n\
         [balance]\nhysteresis = 1.5\nmetric = \"weight\"\n[network]\nseeds = \"a:1\"\n",
    );
    let text = all.join("\n");
    for expected in [
        "node.toml:2: node.max_process: 0 is out of bounds: choose from 1 to 65535, or \"cpus\", or \"auto\"",
        "node.toml:3: node.name: \"a b\" may hold only letters",
        "node.toml:5: gossip.interval: found 5, expected a number and its unit, like \"10ms\" in quotes",
        "node.toml:6: gossip.detection: found \"-1s\", expected a number and its unit",
        "node.toml:8: log.level: found \"loud\", expected a level",
        "node.toml:10: balance.hysteresis: 1.5 is out of bounds: choose from 0 to 1",
        "node.toml:11: balance.metric: found \"weight\", expected \"length\" or \"count\"",
        "node.toml:13: network.seeds: found \"a:1\", expected a list",
    ] {
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
    assert_eq!(all.len(), 8, "{text}");
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_said_to_be() {
    let broken = complaint("[node]\nname = \n");
    assert!(broken.starts_with("node.toml:2: not TOML: "), "{broken}");
    let twice = complaint("[node]\nname = \"a\"\nname = \"b\"\n");
    assert!(twice.starts_with("node.toml:3: not TOML: "), "{twice}");
    let missing = Sources { file: Some("/nonexistent/node.toml".into()), ..Sources::default() };
    let missing = missing.load().expect_err("no file").to_string();
    assert!(missing.starts_with("/nonexistent/node.toml: cannot be read: "), "{missing}");
}

#[test]
fn off_loopback_it_takes_a_secret_and_a_token() {
    let text = "[network]\nlisten = \"0.0.0.0:7116\"\nadvertise = \"10.0.0.1:7116\"\n[http]\nlisten = \"[::]:7117\"\n";
    let all = complaints(text);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].starts_with("node.toml:2: network.listen: 0.0.0.0:7116 is off loopback, and there is no secret"));
    assert!(all[1].starts_with("node.toml:5: http.listen: [::]:7117 is off loopback, and there is no token"));

    let (_directory, path) = file_of(text);
    let environment = environment(&[(SECRET_VARIABLE, "eksec1x"), (TOKEN_VARIABLE, "0123456789abcdef")]);
    assert!(Sources { file: Some(path), environment, ..Sources::default() }.load().is_ok());
    let files = text.replace("[http]", "secret_file = \"secret\"\n[http]\ntoken_file = \"token\"");
    assert!(load(&files).is_ok());
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    for (text, expected) in [
        ("[network]\nlisten = \"0.0.0.0:1\"\nsecret_file = \"s\"\n", "set network.advertise (--advertise)"),
        ("[network]\nadvertise = \"0.0.0.0:1\"\n", "not an address that a peer could reach"),
        ("[network]\nadvertise = \"10.0.0.1:0\"\n", "not an address that a peer could reach"),
        ("[gossip]\ninterval = \"1s\"\ndetection = \"4s\"\n[balance]\n", "less than 5 gossip intervals of 1s"),
        ("[gossip]\ndead_node_grace = \"9s\"\n", "9s is less than gossip.detection, 10s"),
        ("[balance]\nrebalance_interval = \"100ms\"\n", "100ms is less than gossip.interval, 200ms"),
        (
            "[processes]\ncapture = \"16MiB\"\ncapture_max = \"15MiB\"\n",
            "16MiB is more than processes.capture_max, 15MiB",
        ),
        ("[processes]\ncapture_max = \"17MiB\"\n", "out of bounds: choose from 0 to 16MiB"),
        ("[documents]\nmax_payload = \"33MiB\"\n", "out of bounds: choose from 1 to 32MiB"),
        ("[http]\nmax_upload = \"1MiB\"\n", "1MiB is less than documents.max_payload, 8MiB"),
        ("[network]\nlisten = \"localhost:7116\"\n", "expected an IP address and a port"),
        ("[network]\nlisten = \"127.0.0.1:65536\"\n", "expected an IP address and a port"),
        ("[node]\nname = \"self\"\n", "choose another name"),
    ] {
        let complaint = complaint(text);
        assert!(complaint.contains(expected), "{text}: {complaint}");
    }
}

#[test]
fn the_core_gets_what_was_set() {
    let config = load(
        "[node]\nmax_process = 7\n[gossip]\ninterval = \"100ms\"\ndetection = \"2s\"\n\
         [balance]\nmetric = \"count\"\naveraging = \"halves\"\npartition = \"cautious\"\nrebalance_interval = \"3s\"\n\
         hysteresis = 0\ntakeover_delay = \"5ms\"\nminority_delay = \"1m 30s\"\n[documents]\ncopies = 3\n",
    )
    .expect("no problems");
    let expected = Settings {
        metric: Metric::Count,
        averaging: Averaging::Halves,
        partition: Partition::Cautious,
        max_process: 7,
        gossip_interval: Micros::from_millis(100),
        detection: Micros::from_secs(2),
        rebalance_interval: Micros::from_secs(3),
        hysteresis: 0.0,
        takeover_delay: Micros::from_millis(5),
        minority_delay: Some(Micros::from_secs(90)),
        copies: 3,
        ..Settings::default()
    };
    assert_eq!(config.core_settings(), expected);
    let defaults = Settings { max_process: Config::default().node.first_slots(), ..Settings::default() };
    assert_eq!(Config::default().core_settings(), defaults, "the same defaults in both places");
}

#[test]
fn slots_are_a_number_or_found_out() {
    let node = |text: &str| load(&format!("[node]\n{text}\n")).expect("no problems").node;
    assert_eq!(node("max_process = 7").max_process, MaxProcess::Fixed(7));
    assert_eq!(node("max_process = \"cpus\"").max_process, Config::default().node.max_process);
    let auto = node("max_process = \"auto\"\nmax_process_limit = 1");
    assert_eq!((auto.max_process, auto.first_slots()), (MaxProcess::Auto, 1));
    assert!(complaint("[node]\nmax_process = \"many\"\n").contains("or \"cpus\", or \"auto\""));
    assert!(complaint("[node]\nmax_process_limit = 0\n").contains("choose from 1 to 65535"));
}

#[test]
fn the_defaults_fit_together() {
    assert_eq!(Config::default().check(Credentials::default()), []);
    assert_eq!(Config::default().batch_defaults(), BatchOptions::default(), "the same defaults in both places");
    assert_eq!(Config::default().gossip.detection, Duration::from_secs(10));
    assert!(Config::default().node.first_slots() >= 1);
    assert!(!Config::default().node.name_or_host().is_empty());
}

#[test]
#[should_panic(expected = "no key")]
fn a_flag_for_no_key_is_our_own_mistake() {
    Flags::new().set("node.nmae", "--name", "x");
}

#[test]
fn a_default_is_not_blamed_for_what_another_key_makes_wrong() {
    let problems = load("processes.capture_max = \"0\"\n").unwrap_err().to_string();
    assert!(problems.contains("node.toml:1: processes.capture: "), "{problems}");
}

proptest! {
    #[test]
    fn any_file_is_loaded_or_refused(text in "(\\PC|\n){0,120}") {
        let _ = load(&text);
    }

    #[test]
    fn any_value_for_any_key_is_loaded_or_refused(
        key in proptest::sample::select(KEYS.iter().map(|key| key.name).collect::<Vec<_>>()),
        value in prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:?}")),
            "\"[a-z0-9:.% -]{0,20}\"",
            Just("[1, \"a:1\"]".to_owned()),
            Just("{ a = 1 }".to_owned()),
            Just("1979-05-27".to_owned()),
            Just("0xffff_ffff_ffff_ffff_f".to_owned()),
        ],
    ) {
        if let Err(problems) = load(&format!("{key} = {value}\n")) {
            prop_assert!(problems.to_string().contains("node.toml:1: "), "{}", problems);
        }
    }
}

#[test]
fn a_collector_is_a_url_that_nodes_can_speak_to() {
    let of = |url: &str| load(&format!("[telemetry]\notlp = \"{url}\"\n"));
    for url in ["http://127.0.0.1:4318", "http://collector.example:4318/v1/traces", "http://[::1]:4318/"] {
        assert_eq!(of(url).expect(url).telemetry.otlp.as_deref(), Some(url));
    }
    assert_eq!(of("").expect("none").telemetry.otlp, None);
    for (url, words) in [
        ("https://collector.example", "speak no TLS to collectors: run one on this host"),
        ("127.0.0.1:4318", "expected the URL of a collector, such as \"http://127.0.0.1:4318\""),
        ("collector", "expected the URL of a collector"),
        ("grpc://collector:4317", "expected the URL of a collector"),
    ] {
        let said = complaint(&format!("[telemetry]\notlp = \"{url}\"\n"));
        assert!(said.contains(words), "{said}");
    }
}
