//! The commands that talk to a node: the program itself against the real HTTP API with a fake cluster behind it.

mod act;
mod broken;
mod doctor;
mod fake;
mod pty;
mod read;
mod submit;
mod top;

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use fake::Served;

/// The program with these arguments, in an environment that says nothing.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"EVENKEEL_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}

/// What a finished program left.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// As a snapshot, with the address of the node blotted out.
    fn transcript(&self, served: &Served) -> String {
        let Ended { status, stdout, stderr } = self;
        let status = status.unwrap_or(-1);
        format!("{stdout}--- standard error ---\n{stderr}--- exit status {status} ---\n")
            .replace(&served.address.to_string(), "ADDRESS")
    }

    /// One JSON document.
    fn json(&self) -> Value {
        assert_eq!(self.status, Some(0), "{self:?}");
        assert!(self.stdout.ends_with('\n'), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// JSON lines.
    fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ended with this status, having said this and printed nothing.
    fn refused(&self, status: i32, words: &[&str]) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""), "{self:?}");
        assert!(self.stderr.starts_with("evenkeel: "), "{self:?}");
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} in {self:?}");
        }
    }
}

fn start(served: &Served, arguments: &[&str]) -> Command {
    // Of a command of two words both come first.
    let (command, rest) = arguments.split_at(if arguments[0] == "batch" { 2 } else { 1 });
    program(&[command, &["--http", &served.url()], rest].concat())
}

fn run(served: &Served, arguments: &[&str]) -> Ended {
    start(served, arguments).output().unwrap().into()
}

/// The same with this standard input.
fn run_with_input(served: &Served, arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = start(served, arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that stops reading closes the pipe: that is for the test to judge.
        let _ = stdin.write_all(&input);
    });
    let ended = end(child);
    writer.join().unwrap();
    ended
}

fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
