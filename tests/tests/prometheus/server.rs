//! A real Prometheus, with the configuration that the project ships, but for the targets and a shorter interval.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use evenkeel_tests::until;
use serde_json::Value;

use crate::tools::{config, program};

/// Time that it has to listen.
const BIRTH: Duration = Duration::from_secs(60);

/// A running Prometheus. Killed when dropped.
pub(crate) struct Prometheus {
    child: Child,
    log: PathBuf,
    base: String,
    client: reqwest::Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- Prometheus ----\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

impl Prometheus {
    /// Starts one that scrapes these targets.
    pub(crate) async fn start(directory: &Path, targets: &[String]) -> Prometheus {
        std::fs::create_dir_all(directory).expect("a directory can be made");
        let shipped = std::fs::read_to_string(config("prometheus/prometheus.yml")).expect("the example can be read");
        let listed = targets.join("\n          - ");
        let settings = shipped
            .replace("127.0.0.1:7117", &listed)
            .replace("_interval: 15s", "_interval: 1s")
            .replace("evenkeel.rules.yml", &config("prometheus/evenkeel.rules.yml"));
        assert!(settings.contains(&targets[0]) && settings.contains("scrape_interval: 1s"), "{settings}");
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, settings).expect("a file can be written");
        let log = directory.join("log");
        let output = std::fs::File::create(&log).expect("a file can be made");
        let child = program("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("it was there an instant ago");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS");
        let mut prometheus = Prometheus { child, log, base: String::new(), client };
        let address = until("Prometheus to listen", BIRTH, async || prometheus.listens()).await;
        prometheus.base = format!("http://{address}");
        until("Prometheus to be ready", BIRTH, async || {
            let ready = prometheus.client.get(format!("{}/-/ready", prometheus.base)).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        prometheus
    }

    /// Its address, once it has told. It is asked for any free port, and its log says which it got.
    fn listens(&mut self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).ok()?;
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("Prometheus ended before it listened, with {status}");
        }
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .into_iter()
            .find(|line| line["msg"] == "Listening on")
            .and_then(|line| Some(line["address"].as_str()?.to_owned()))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), query).expect("a URL");
        let text = self.client.get(url).send().await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}"));
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// The answer to a query, by labels.
    pub(crate) async fn query(&self, query: &str) -> BTreeMap<String, f64> {
        let Some(data) = self.get("/api/v1/query", &[("query", query)]).await else { return BTreeMap::new() };
        let samples = data["result"].as_array().expect("a vector");
        samples
            .iter()
            .map(|sample| {
                let labels = sample["metric"].as_object().expect("labels");
                let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let value = sample["value"][1].as_str().expect("a value").parse().expect("a number");
                (format!("{{{}}}", labels.join(",")), value)
            })
            .collect()
    }

    /// Waits until a query has this answer.
    pub(crate) async fn comes_to(&self, query: &str, answer: &BTreeMap<String, f64>, limit: Duration) {
        let mut last = BTreeMap::new();
        let what = format!("{query} to become {answer:?}");
        let begun = std::time::Instant::now();
        until(&what, limit, async || {
            last = self.query(query).await;
            if begun.elapsed() + Duration::from_secs(1) > limit {
                eprintln!("{query} is {last:?}");
            }
            (last == *answer).then_some(())
        })
        .await;
    }

    /// Names of the rules that Prometheus has not evaluated, or not without an error.
    pub(crate) async fn troubled_rules(&self) -> Vec<String> {
        let data = self.get("/api/v1/rules", &[]).await.expect("it answers");
        let groups = data["groups"].as_array().expect("groups");
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        assert!(rules.len() >= 16, "{} rules", rules.len());
        rules.iter().filter(|rule| rule["health"] != "ok").map(|rule| rule.to_string()).collect()
    }
}
