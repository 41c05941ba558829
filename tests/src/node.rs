//! One daemon: a process of the program, its files, and its HTTP API.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use evenkeel_core::ids::NodeId;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::disk::Disk;
use crate::program::{command_of, path};
use crate::{Api, until};

/// Time that a node has to say where it listens.
const BIRTH: Duration = Duration::from_secs(30);

/// Lines of a log that are shown when a test fails.
const SHOWN_LINES: usize = 60;

/// A configuration key, as its environment variable, and its value.
pub type Setting<'a> = (&'a str, &'a str);

/// A running daemon. Killed when dropped.
#[derive(Debug)]
pub struct Node {
    name: String,
    directory: PathBuf,
    child: Child,
    address: String,
    api: Api,
}

impl Node {
    /// Starts a daemon that keeps its files in `directory`/`name`, and waits until it says where it listens.
    ///
    /// # Panics
    /// If it does not say so within reasonable time, or ends.
    pub async fn start(name: &str, directory: &Path, arguments: &[&str], settings: &[Setting<'_>]) -> Node {
        Node::start_at(["127.0.0.1:0"; 2], name, directory, arguments, settings).await
    }

    /// The same, where peers reach it at the first of these addresses and clients at the second.
    ///
    /// # Panics
    /// As for [`Node::start`].
    pub async fn start_at(
        at: [&str; 2],
        name: &str,
        directory: &Path,
        arguments: &[&str],
        settings: &[Setting<'_>],
    ) -> Node {
        Node::start_on(None, at, name, directory, arguments, settings).await
    }

    /// The same, with its data directory on a disk of its own.
    ///
    /// # Panics
    /// As for [`Node::start`].
    pub async fn start_on(
        disk: Option<Disk>,
        at: [&str; 2],
        name: &str,
        directory: &Path,
        arguments: &[&str],
        settings: &[Setting<'_>],
    ) -> Node {
        let mut starting = Starting::begin(disk, at, name, directory, arguments, settings);
        let (address, http) = until(&format!("{name} to listen"), BIRTH, async || starting.listens()).await;
        let Starting { name, directory, child } = starting;
        Node { name, directory, child, address, api: Api::new(&http) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where peers reach it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its HTTP API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its identity.
    pub async fn id(&self) -> NodeId {
        let nodes = self.api.nodes().await.expect("a live node answers").nodes;
        nodes.iter().find(|node| node.is_self).expect("a node knows itself").id
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&log_file(&self.directory))
    }

    /// Its data directory, as it sees it: where that is a disk of its own, nobody else does.
    pub fn data(&self) -> PathBuf {
        let data = self.directory.join("data");
        let seen = data.strip_prefix("/").expect("a temporary directory has a whole path");
        Path::new("/proc").join(self.pid().to_string()).join("root").join(seen)
    }

    /// Lets none of its files grow beyond so many bytes from now on: to it the disk is full. `None`: there is room again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        rustix::process::prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit)
            .expect("the limits of a child can be set");
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a child that has not been waited for can be signalled");
    }

    /// Kills it with no warning, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it has ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    pub async fn end(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        until(&what, limit, async || self.ended()).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            show_log(&self.name, &self.directory);
        }
    }
}

fn show_log(name: &str, directory: &Path) {
    let log = read(&log_file(directory));
    let lines: Vec<&str> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    eprintln!("---- {name}, the last {} of {} lines ----\n{}", shown.len(), lines.len(), shown.join("\n"));
}

/// A daemon that has not said where it listens.
struct Starting {
    name: String,
    directory: PathBuf,
    child: Child,
}

impl Starting {
    fn begin(
        disk: Option<Disk>,
        [listen, http]: [&str; 2],
        name: &str,
        directory: &Path,
        arguments: &[&str],
        settings: &[Setting<'_>],
    ) -> Starting {
        let directory = directory.join(name);
        std::fs::create_dir_all(&directory).expect("a temporary directory can be written");
        let file = |path: PathBuf| File::options().append(true).create(true).open(path).expect("a file can be made");
        std::fs::write(output_file(&directory), "").expect("a file can be written");
        // A file that is larger than a limit allows ends a process, unless it has said that it does not want that. Then it is
        // an error, as a full disk is: see `Node::limit_files`.
        let mut call = match disk {
            None => command_of("sh", ["-c", "trap '' XFSZ; exec \"$@\"", "sh"]),
            Some(disk) => disk.command(&directory.join("data")),
        };
        call.arg(path()).args(["node", "--listen", listen, "--http", http, "--name", name]);
        call.arg("--data-dir").arg(directory.join("data")).args(arguments).envs(settings.iter().copied());
        call.stdout(file(output_file(&directory))).stderr(file(log_file(&directory)));
        let child = call.spawn().expect("the program can be started");
        Starting { name: name.to_owned(), directory, child }
    }

    /// Its address and the URL of its API, once it has told.
    fn listens(&mut self) -> Option<(String, String)> {
        let said = read(&output_file(&self.directory));
        if let Some(words) = said.strip_suffix('\n').and_then(|line| line.strip_prefix("node ")) {
            let (_, words) = words.split_once(" listens on ").expect("the line has this form");
            let (address, http) = words.split_once(", HTTP on ").expect("the line has this form");
            return Some((address.to_owned(), http.to_owned()));
        }
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            show_log(&self.name, &self.directory);
            panic!("{} ended before it listened, with {status}", self.name);
        }
        None
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn output_file(directory: &Path) -> PathBuf {
    directory.join("stdout")
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("stderr")
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
