//! `doctor`: each kind of trouble is provoked, and must be named.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::fake::Served;
use crate::{Ended, program};

/// A host: a directory with a secret and what a node needs, and addresses on which nothing listens.
pub(crate) struct Host {
    directory: TempDir,
    listen: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Host {
    pub(crate) fn new() -> Host {
        let directory = tempfile::tempdir().unwrap();
        // Nobody else takes them: an address of loopback that only this process uses, and ports that no system gives away.
        static HOSTS: AtomicU16 = AtomicU16::new(0);
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 | high, middle, low);
        let port = 17_000 + 2 * HOSTS.fetch_add(1, Ordering::Relaxed);
        let (listen, http) = ((ip, port).into(), (ip, port + 1).into());
        let host = Host { directory, listen, http };
        host.secret("secret");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a secret.
    fn secret(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = program(&["secret", "new", "--file", path.to_str().unwrap()]).output().unwrap();
        assert!(made.status.success());
        path
    }

    fn command(&self, call: &str, arguments: &[&str]) -> Command {
        let mut command = program(&[call]);
        command.arg("--secret-file").arg(self.path("secret")).arg("--listen").arg(self.listen.to_string());
        command.arg("--data-dir").arg(self.path("data")).args(["-j", "4"]).args(arguments);
        command.env("EVENKEEL_HTTP__LISTEN", self.http.to_string());
        command
    }

    fn doctor(&self, arguments: &[&str]) -> Report {
        Report::of(self.command("doctor", arguments).args(["--output", "json"]))
    }
}

/// What the program has found.
#[derive(Debug)]
struct Report(Ended);

impl Report {
    fn of(command: &mut Command) -> Report {
        Report(command.output().unwrap().into())
    }

    fn checks(&self) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(report["schema"], 1);
        report["checks"].as_array().unwrap().clone()
    }

    /// The words of all findings of this check with this verdict.
    fn found(&self, check: &str, verdict: &str) -> String {
        let checks = self.checks();
        let found = checks.iter().filter(|found| found["check"] == check && found["verdict"] == verdict);
        found.map(|found| format!("{} => {}\n", found["message"], found["advice"])).collect()
    }

    /// That something is wrong, in these words, with the exit status that follows.
    #[track_caller]
    fn finds(&self, check: &str, verdict: &str, words: &[&str]) {
        let found = self.found(check, verdict);
        for words in words {
            assert!(found.contains(words), "{words:?} as {verdict} of {check} in {self:?}");
        }
        let problem = self.checks().iter().any(|found| found["verdict"] == "problem");
        assert_eq!(self.0.status, Some(i32::from(problem)), "{self:?}");
    }
}

/// A real node. Killed when dropped.
pub(crate) struct Node(Child);

impl Node {
    pub(crate) fn start(host: &Host, arguments: &[&str]) -> Node {
        let mut child = host.command("node", arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "{line:?}");
        Node(child)
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_good_host_is_well() {
    let host = Host::new();
    let report = host.doctor(&[]);
    assert_eq!(report.0.status, Some(0), "{report:?}");
    let id = Ended::from(program(&["secret", "show-id", "--secret-file"]).arg(host.path("secret")).output().unwrap());
    report.finds("secret", "ok", &[id.stdout.trim(), "is private"]);
    report.finds("listen (UDP)", "ok", &["is free"]);
    report.finds("HTTP (TCP)", "ok", &["is free: no node runs here"]);
    report.finds("seed", "ok", &["none"]);
    report.finds("data directory", "ok", &["is not there yet, and can be made"]);
    report.finds("disk space", "ok", &[]);
    report.finds("open files", "ok", &["4 documents at once need 272"]);
    assert!(!host.path("data").exists(), "nothing was made");
    let people: Ended = host.command("doctor", &[]).output().unwrap().into();
    assert!(people.stdout.starts_with("CHECK") && people.stdout.contains("\nsecret"), "{people:?}");
    assert_eq!(people.stdout.lines().count(), report.checks().len() + 1, "a line each: {people:?}");
}

#[test]
fn a_node_that_runs_here_is_recognised() {
    let (host, other) = (Host::new(), Host::new());
    std::fs::copy(host.path("secret"), other.path("secret")).unwrap();
    let mut node = Node::start(&host, &["--name", "runner"]);
    let pid = format!("in use by process {}", node.0.id());
    let report = host.doctor(&[]);
    report.finds("listen (UDP)", "ok", &["is held by node "]);
    report.finds("HTTP (TCP)", "ok", &["is held by runner, which runs"]);
    report.finds("node", "ok", &["is live and ready"]);
    report.finds("clock", "ok", &["it agrees with that of one node"]);
    report.finds("store", "ok", &[&pid]);
    report.finds("open files", "ok", &[&format!("process {} may have", node.0.id())]);

    // Seen from another host, as its seed.
    let seed = host.listen.to_string();
    other.doctor(&["--seed", &seed]).finds("seed", "ok", &["is node ", "ms there and back"]);
    std::fs::remove_file(other.path("secret")).unwrap();
    other.secret("secret");
    let report = other.doctor(&["--seed", &seed]);
    report.finds("seed", "problem", &["a node with another secret", "evenkeel secret show-id"]);
    // And where the port is held by such a one.
    let taken = Host { listen: host.listen, ..Host::new() };
    taken.doctor(&[]).finds("listen (UDP)", "problem", &["by a node with another secret"]);

    node.kill();
    host.doctor(&[]).finds("store", "ok", &["all as they were written"]);
    let store = host.path("data/store.redb");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&store, bytes).unwrap();
    let key = host.path("data/node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let report = host.doctor(&[]);
    report.finds("store", "problem", &["store.redb", "joins as a new one"]);
    report.finds("node key", "warning", &["mode 644", "chmod 600"]);
}

#[test]
fn a_bad_configuration_is_all_that_is_told() {
    let host = Host::new();
    let file = host.path("node.toml");
    std::fs::write(&file, "[node]\nmax_proces = 8\n\n[gossip]\ndetection = \"soon\"\n").unwrap();
    let report = host.doctor(&["--config", file.to_str().unwrap()]);
    report.finds(
        "configuration",
        "problem",
        &["node.toml:2: node.max_proces: unknown key; did you mean", "node.toml:5"],
    );
    assert_eq!(report.checks().len(), 2);
    assert!(report.0.stderr.ends_with("2 problems\n"), "{report:?}");
    std::fs::write(&file, "[node]\nmax_process = 8\n").unwrap();
    host.doctor(&["--config", file.to_str().unwrap()]).finds("configuration", "ok", &["node.toml is good"]);
}

#[test]
fn a_secret_that_is_none_or_that_others_can_read_is_named_and_not_repeated() {
    let host = Host::new();
    let secret = host.path("secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    host.doctor(&[]).finds("secret", "problem", &["mode 644", "chmod 600"]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut text = std::fs::read_to_string(&secret).unwrap();
    text.truncate(text.len() - 3);
    std::fs::write(&secret, &text).unwrap();
    let report = host.doctor(&["--seed", "127.0.0.1:9"]);
    report.finds("secret", "problem", &["mistyped or cut off", "copy the file anew"]);
    assert!(!format!("{report:?}").contains(&text[10..30]), "the secret is not repeated");
    assert_eq!(report.found("seed", "problem"), "", "without its secret nobody is called a stranger");
    std::fs::remove_file(&secret).unwrap();
    host.doctor(&[]).finds("secret", "problem", &["cannot read the secret file", "No such file"]);
}

#[test]
fn ports_that_others_have_are_named() {
    let host = Host::new();
    let _udp = UdpSocket::bind(host.listen).unwrap();
    answering(host.http, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let report = host.doctor(&[]);
    let port = format!("ss -ulpn sport = :{}", host.listen.port());
    report.finds("listen (UDP)", "problem", &["taken by something that is no node", &port]);
    let port = format!("ss -tlpn sport = :{}", host.http.port());
    report.finds("HTTP (TCP)", "problem", &["taken by something that is no node", &port]);
    let elsewhere = Host { listen: "192.0.2.1:7116".parse().unwrap(), ..Host::new() };
    elsewhere.doctor(&[]).finds("listen (UDP)", "problem", &["no address of this host", "ip address"]);
}

#[test]
fn seeds_that_are_down_are_told_from_those_that_do_not_answer() {
    let host = Host::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (silent, closed) = (silent.local_addr().unwrap().to_string(), (host.listen.to_string(), silent));
    let report = host.doctor(&["--seed", &silent, "--seed", &closed.0, "--seed", "no-such-host.invalid:7116"]);
    report.finds("seed", "problem", &[&format!("{silent} does not answer"), "firewalls"]);
    report.finds("seed", "problem", &[&format!("{}: nothing listens", closed.0), "start the node there"]);
    report.finds("seed", "problem", &["no-such-host.invalid:7116", "name server"]);

    // One that answers is enough.
    let other = Host::new();
    std::fs::copy(host.path("secret"), other.path("secret")).unwrap();
    let _node = Node::start(&other, &[]);
    let report = host.doctor(&["--seed", &closed.0, "--seed", &other.listen.to_string()]);
    report.finds("seed", "warning", &["nothing listens"]);
    assert_eq!(report.0.status, Some(0), "{report:?}");
}

#[test]
fn a_clock_that_differs_and_a_node_that_is_not_ready_are_told() {
    let host = Host::new();
    let unready = "{\"schema\":1,\"error\":\"unavailable\",\"message\":\"the disk is full\",\"hint\":\"make room\"}";
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let late = answering_by("127.0.0.1:0".parse().unwrap(), move |path| match path {
        "/livez" => format!("HTTP/1.1 200 OK\r\n{date}Content-Length: 3\r\n\r\nok\n"),
        _ => format!("HTTP/1.1 503 No\r\n{date}Content-Length: {}\r\n\r\n{unready}", unready.len()),
    });
    let report = host.doctor(&["--http", &format!("http://{late}")]);
    report.finds("clock", "warning", &["s ahead of that of http://", "epochs", "NTP"]);
    report.finds("node", "warning", &["is not ready: the disk is full", "make room"]);
    assert_eq!(report.0.status, Some(0), "warnings are no failure: {report:?}");

    let served = Served::new();
    host.doctor(&["--http", &served.url()]).finds("clock", "ok", &["agrees with that of one node"]);
    let report = host.doctor(&["--http", &format!("http://{}", host.http)]);
    report.finds("node", "problem", &["is not well: connection refused"]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let host = Host::new();
    std::fs::write(host.path("data"), "a file").unwrap();
    host.doctor(&[]).finds("data directory", "problem", &["is no directory", "--data-dir"]);
    // Nobody, not even root, can make files there.
    let host = Host::new();
    let mut command = program(&["doctor", "--data-dir", "/proc/evenkeel", "--output", "json"]);
    command
        .env("EVENKEEL_HTTP__LISTEN", host.http.to_string())
        .env("EVENKEEL_NETWORK__LISTEN", host.listen.to_string());
    let report = Report::of(&mut command);
    report.finds("data directory", "problem", &["cannot write in /proc", "--data-dir"]);
    report.finds("secret", "ok", &["none", "loopback"]);
}

#[test]
fn limits_that_do_not_suffice_are_named() {
    let host = Host::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]).arg(env!("CARGO_BIN_EXE_evenkeel"));
    let command = host.command("doctor", &["--output", "json"]);
    shell.args(command.get_args()).env("EVENKEEL_HTTP__LISTEN", host.http.to_string());
    let report = Report::of(&mut shell);
    report.finds("open files", "problem", &["may have 64", "need 272", "LimitNOFILE=512"]);
}

/// A server that gives every request the same answer, until the test ends.
fn answering(address: SocketAddr, answer: &'static str) -> SocketAddr {
    answering_by(address, move |_| answer.to_owned())
}

fn answering_by(address: SocketAddr, answer: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            // Every request has a connection of its own, and is told so. Whoever has gone needs no answer.
            let answer = answer(path).replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}
