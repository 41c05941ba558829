//! Stopping while the input is still being read: nobody knows how long that may take.

use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use evenkeel_tests::{Ended, Scratch, until};
use rustix::process::{Pid, Signal};

const PATIENCE: Duration = Duration::from_secs(60);

/// A job that reads from a pipe, has read a line, and waits for more.
async fn waiting(scratch: &Scratch) -> (Child, PipeWriter) {
    let (input, mut pipe) = std::io::pipe().expect("a pipe");
    pipe.write_all(b"a\n").expect("a pipe has room");
    let program = scratch.command(["run", "--progress", "--", "echo", "{}"]);
    // Where the tests themselves are run by `nohup`, all that they start would ignore a hang-up.
    let mut call = std::process::Command::new("env");
    call.arg("--default-signal=HUP").arg(program.get_program()).args(program.get_args()).current_dir(scratch.path());
    call.env("TMPDIR", scratch.path().join("tmp"));
    let call = call.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = call.spawn().expect("the program can be started");
    // Its nodes keep their files among the temporary ones; signals are heard before there are any.
    until("its nodes to be there", PATIENCE, async || (!scratch.left_behind().is_empty()).then_some(())).await;
    (child, pipe)
}

fn signal(child: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).expect("a child can be signalled");
}

#[tokio::test]
async fn a_job_that_still_reads_stops_at_once_and_cleans_up() {
    for number in [Signal::INT, Signal::TERM, Signal::HUP] {
        let scratch = Scratch::new();
        let (child, pipe) = waiting(&scratch).await;
        signal(&child, number);
        let ended = Ended::of(child.wait_with_output().expect("a child can be waited for")).with(130);
        drop(pipe);
        assert!(ended.stdout.is_empty());
        assert!(ended.stderr.contains("interrupted while the input was read: nothing has run"), "{}", ended.stderr);
        assert_eq!(scratch.left_behind(), [] as [PathBuf; 0]);
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_job_whose_output_nobody_takes() {
    let scratch = Scratch::new();
    let mut call = scratch.command(["run", "--", "head", "-c", "{}", "/dev/zero", ":::", "4000000"]);
    let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
    let mut output = child.stdout.take().expect("a pipe");
    let mut first = [0];
    output.read_exact(&mut first).expect("output comes");
    // The pipe is full now, and the job waits for its reader.
    signal(&child, Signal::INT);
    until("it to end", PATIENCE, async || {
        signal(&child, Signal::INT);
        child.try_wait().expect("a child can be waited for")
    })
    .await;
    Ended::of(child.wait_with_output().expect("a child can be waited for")).with(130);
    assert_eq!(scratch.left_behind(), [] as [PathBuf; 0]);
}

#[test]
fn a_hang_up_that_is_ignored_stays_so() {
    let scratch = Scratch::new();
    let mut call = std::process::Command::new("nohup");
    let program =
        scratch.command(["run", "-j1", "--", "sh", "-c", "kill -HUP $(ps -o ppid= -p $$); sleep {}; echo ok"]);
    call.arg(program.get_program()).args(program.get_args()).args([":::", "0.1"]).current_dir(scratch.path());
    call.env("TMPDIR", scratch.path().join("tmp")).stdin(File::open("/dev/null").expect("it is there"));
    let ended = Ended::of(call.output().expect("nohup can be started")).with(0);
    assert_eq!(ended.text(), "ok\n");
}
