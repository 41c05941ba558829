//! What the README has users type works as it stands there.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel");

/// Time that three nodes have to start and to meet.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first block of commands under this heading.
fn commands(heading: &str) -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let (_, block) = section.split_once("\n```sh\n").expect("it has commands");
    block.split_once("\n```\n").expect("they end").0.to_owned()
}

/// The same with ports that are free here, and which became of which.
fn with_free_ports(commands: &str) -> (String, BTreeMap<String, String>) {
    let words = commands.split_whitespace().filter_map(|word| word.strip_prefix("127.0.0.1:"));
    let mut free: BTreeMap<String, TcpListener> = BTreeMap::new();
    for port in words {
        free.entry(port.to_owned()).or_insert_with(|| TcpListener::bind("127.0.0.1:0").unwrap());
    }
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let addresses: BTreeMap<_, _> = free.iter().map(|(port, listener)| (port.clone(), address(listener))).collect();
    let replaced = addresses
        .iter()
        .fold(commands.to_owned(), |text, (port, address)| text.replace(&format!("127.0.0.1:{port}"), address));
    (replaced, addresses)
}

/// A shell and all that it has started. Killed when dropped.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

#[test]
fn several_nodes_run_on_one_host() {
    let directory = tempfile::tempdir().unwrap();
    let (script, addresses) = with_free_ports(&commands("Several nodes on one host"));
    assert_eq!(addresses.len(), 6, "{script}");
    let path = format!("{}:{}", Path::new(PROGRAM).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{script}\nwait")).current_dir(directory.path()).env("PATH", path).process_group(0);
    let _shell = Shell(shell.env_remove("EVENKEEL_SECRET").spawn().unwrap());

    // The second one's is not the default either in the README.
    let begun = Instant::now();
    loop {
        let asked = Command::new(PROGRAM).args(["nodes", "--http", &addresses["7217"]]).output().unwrap();
        let told = String::from_utf8(asked.stdout).unwrap();
        let live: Vec<_> = told.lines().filter(|line| line.contains(" live ")).map(|line| &line[..1]).collect();
        if live == ["a", "b", "c"] {
            break;
        }
        let complaint = String::from_utf8_lossy(&asked.stderr);
        assert!(begun.elapsed() < PATIENCE, "the nodes have not met:\n{told}{complaint}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
