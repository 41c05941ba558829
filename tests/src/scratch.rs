//! A directory for black-box calls of the program: the calls run in it, and their temporary files are looked for there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::command;

/// A directory that goes with the test, with a directory for temporary files in it.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "making a directory is no default")]
    pub fn new() -> Scratch {
        let directory = tempfile::Builder::new().prefix("evenkeel-test-").tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("tmp")).expect("a new directory");
        Scratch(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it, and returns its path.
    pub fn file(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory can be made");
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// A file in it as text.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A call of the program, here.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = command(arguments);
        command.current_dir(self.path()).env("TMPDIR", self.path().join("tmp"));
        command
    }

    /// Calls the program, and waits for its end.
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        Ended::of(self.command(arguments).output().expect("the program can be started"))
    }

    /// Names of what the calls have left among the temporary files.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join("tmp")).expect("a directory can be read");
        entries.map(|entry| entry.expect("a directory can be read").path()).collect()
    }
}

/// How a call has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None`: killed by a signal.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// From what the system tells.
    pub fn of(output: Output) -> Ended {
        let stderr = String::from_utf8(output.stderr).expect("messages are text");
        Ended { status: output.status.code(), stdout: output.stdout, stderr }
    }

    /// Standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is text")
    }

    /// The lines of standard output, sorted.
    pub fn sorted(&self) -> Vec<&[u8]> {
        let mut lines: Vec<&[u8]> = self.stdout.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        lines
    }

    /// Checks the exit status, and returns it for more.
    ///
    /// # Panics
    /// If it is another: shows what was said.
    #[track_caller]
    pub fn with(self, status: i32) -> Ended {
        assert_eq!(self.status, Some(status), "it said: {}", self.stderr);
        self
    }
}
