//! Ctrl-C, and going on later.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use evenkeel_tests::{Ended, Scratch, Starts, until};
use rustix::process::{Pid, Signal};

const DOCUMENTS: usize = 40;
const SLOTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Documents of which half end at once, and half wait for a file to be there.
struct Job {
    scratch: Scratch,
    starts: Starts,
}

/// Those of the first half are longer, and so the first to start.
fn line(number: usize) -> String {
    let length = if number < DOCUMENTS / 2 { 20 } else { 15 };
    format!("{number:0length$}")
}

impl Job {
    fn new() -> Job {
        let scratch = Scratch::new();
        let lines: Vec<String> = (0..DOCUMENTS).map(line).collect();
        scratch.file("lines", lines.join("\n"));
        let starts = Starts::new(&scratch.path().join("starts"));
        Job { scratch, starts }
    }

    fn arguments(&self, resume: bool) -> Vec<String> {
        let mut words = vec!["run"];
        words.extend(resume.then_some("--resume"));
        words.extend(["--nodes", "2", "-j", "2", "-a", "lines", "--joblog", "log", "--results", "out", "--"]);
        let script = format!("test {{n}} -lt {} || until test -e go; do sleep 0.05; done; echo {{}}", DOCUMENTS / 2);
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.extend(self.starts.command(&script).into_iter().take(3));
        words
    }

    fn begin(&self) -> Child {
        let mut call = self.scratch.command(self.arguments(false));
        call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started")
    }

    /// Waits until all slots hold documents of the second half, and nothing else can go on. Returns how many
    /// documents are done: nearly all others, but averaging may have put some behind those that wait.
    async fn stuck(&self) -> usize {
        until("the job to be stuck", PATIENCE, async || {
            let log = std::fs::read_to_string(self.scratch.path().join("log")).ok()?;
            let done = log.lines().count().checked_sub(1)?;
            let starts = self.starts.read();
            let waiting = starts.iter().filter(|start| start.document as usize >= DOCUMENTS / 2).count();
            (waiting == SLOTS && starts.len() == done + SLOTS).then_some(done)
        })
        .await
    }

    async fn gone(&self) {
        let starts = self.starts.read();
        until("all processes to be gone", PATIENCE, async || starts.iter().all(|start| !start.lives()).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn an_interrupted_job_stops_its_children_says_what_is_left_and_can_go_on() {
    let job = Job::new();
    let child = job.begin();
    let done = job.stuck().await;
    let left = DOCUMENTS - done;
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).expect("a child can be signalled");
    let first = Ended::of(child.wait_with_output().expect("a child can be waited for")).with(130);
    job.gone().await;
    let said = &first.stderr;
    assert!(said.contains(&format!("{left} documents left, 4 of them stopped while running")), "{said}");
    let go_on = said.lines().find(|line| line.starts_with("to go on: ")).expect("it says how to go on");
    assert!(go_on.contains("run --resume --nodes 2"), "{go_on}");
    assert_eq!(job.scratch.left_behind(), [] as [PathBuf; 0]);

    let before = job.starts.read().len();
    job.scratch.file("go", "");
    let second = job.scratch.call(job.arguments(true)).with(0);
    assert!(second.stderr.contains(&format!("{left} done, {done} done before")), "{}", second.stderr);
    assert_eq!(job.starts.read().len() - before, left, "what was done is not done again");
    for number in 0..DOCUMENTS {
        assert_eq!(job.scratch.read(format!("out/{number}.out")), line(number) + "\n");
    }
    assert_eq!(job.scratch.read("log").lines().count(), 1 + DOCUMENTS);
    let third = job.scratch.call(job.arguments(true)).with(0);
    assert!(third.stdout.is_empty() && third.stderr.contains("0 done, 40 done before"), "{}", third.stderr);
    assert_eq!(job.scratch.left_behind(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_killed_job_leaves_no_process_and_can_go_on() {
    let job = Job::new();
    let mut child = job.begin();
    let done = job.stuck().await;
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
    job.gone().await;
    job.scratch.file("go", "");
    let second = job.scratch.call(job.arguments(true)).with(0);
    assert!(second.stderr.contains(&format!("{} done, {done} done before", DOCUMENTS - done)), "{}", second.stderr);
}
