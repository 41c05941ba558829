//! The executor with real processes. What is waited for is an event or a state, never a guess at how long it takes.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use evenkeel_core::ids::{BatchId, DocNumber};
use rustix::process::{Pid, test_kill_process, test_kill_process_group};

use super::*;

mod documents;
mod endings;
mod isolated;

/// Far longer than anything here takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// An executor and the ends it reports.
struct Bench {
    executor: Executor,
    ends: Receiver<Ended>,
}

fn bench_with(settings: Settings) -> Bench {
    let (sender, ends) = channel();
    let executor = Executor::start(Settings { node: "tester".to_owned(), ..settings }, move |ended| {
        let _ = sender.send(ended);
    });
    Bench { executor: executor.unwrap(), ends }
}

fn bench() -> Bench {
    bench_with(Settings::default())
}

fn job(number: u32, command: &[&str], payload: &[u8]) -> Job {
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    Job {
        doc: DocId { batch: BatchId(42), number: DocNumber(number) },
        epoch: Epoch(3),
        attempt: Attempt(2),
        template: Arc::new(Template::parse(&command).unwrap()),
        payload: Bytes::copy_from_slice(payload),
        timeout: None,
        capture_bytes: 1 << 20,
    }
}

fn shell(script: &str) -> Job {
    job(0, &["sh", "-c", script], b"")
}

impl Bench {
    fn next(&self) -> Ended {
        self.ends.recv_timeout(LONG).expect("the end of the document is reported")
    }

    fn ends(&self, job: Job) -> Ended {
        self.executor.run(job);
        self.next()
    }
}

fn text(captured: &Captured) -> &str {
    std::str::from_utf8(&captured.bytes).unwrap()
}

fn not_started(ended: &Ended) -> &str {
    match &ended.exit {
        Exit::NotStarted(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Waits until something holds.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LONG, "{what}: not within {LONG:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a file has a whole line in it and reads that as a process id.
fn pid_in(file: &Path) -> Pid {
    let mut pid = None;
    until("a process id is written", || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|line| Pid::from_raw(line.parse().ok()?));
        pid.is_some()
    });
    pid.unwrap()
}

/// Whether a process is gone, or dead and waiting to be reaped by whoever inherited it.
fn is_dead(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_err() || stat.map_or(true, |stat| stat[stat.rfind(')').unwrap()..].starts_with(") Z"))
}
