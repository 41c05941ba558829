//! A log of starts, written by the documents themselves: the one witness that no node can mislead.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process_group};

/// A process of a document has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The document's number.
    pub document: u32,
    /// Under which epoch.
    pub epoch: u64,
    /// Name of the node.
    pub node: String,
    /// The process.
    pub pid: u32,
}

impl Start {
    /// Whether the process, or another of its group, still lives.
    pub fn lives(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a shell knows its id");
        test_kill_process_group(pid).is_ok()
    }
}

/// The file that documents write to.
#[derive(Debug, Clone)]
pub struct Starts {
    path: PathBuf,
}

impl Starts {
    /// A log in this file, which is made.
    pub fn new(path: &Path) -> Starts {
        std::fs::write(path, "").expect("a file can be written");
        Starts { path: path.to_owned() }
    }

    /// The command that logs its start and then does what the script says, with the document's payload as `$1`.
    pub fn command(&self, script: &str) -> Vec<String> {
        ["sh", "-c", &format!("{}\n{script}", self.line()), "sh", "{}"].map(str::to_owned).to_vec()
    }

    /// The shell command that writes the line. Lines of this length, appended in one write, do not mix.
    pub fn line(&self) -> String {
        let log = self.path.to_str().expect("a temporary directory has a plain name");
        format!("echo \"$EVENKEEL_DOCUMENT $EVENKEEL_EPOCH $EVENKEEL_NODE $$\" >> '{log}'")
    }

    /// All starts so far, in order.
    pub fn read(&self) -> Vec<Start> {
        let text = std::fs::read_to_string(&self.path).expect("the log can be read");
        text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("a torn line in the log: {line:?}"))).collect()
    }
}

fn parse(line: &str) -> Option<Start> {
    let mut words = line.split(' ');
    let start = Start {
        document: words.next()?.parse().ok()?,
        epoch: words.next()?.parse().ok()?,
        node: words.next()?.to_owned(),
        pid: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(start)
}
