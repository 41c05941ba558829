//! Ends that do not come by themselves: time-outs, kills, what is left behind, and the end of the executor.

use super::*;

#[test]
fn a_time_out_kills_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let bench = bench_with(Settings { term_grace: Duration::from_millis(100), ..Settings::default() });
    // Neither of the two can be asked to end.
    let script = format!("trap '' TERM; sleep 1000 & echo $! > {}; echo begun; wait; wait; sleep 1000", file.display());
    let ended = bench.ends(Job { timeout: Some(Duration::from_millis(300)), ..shell(&script) });
    assert_eq!((&ended.exit, text(&ended.stdout), ended.stopped), (&Exit::TimedOut, "begun\n", false));
    assert!(ended.wall_micros >= 400_000, "time-out and grace: {ended:?}");
    until("the background process dies", || is_dead(pid_in(&file)));
}

#[test]
fn a_time_out_asks_before_it_kills() {
    let bench = bench_with(Settings { term_grace: LONG, ..Settings::default() });
    let script = "trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.01; done";
    let ended = bench.ends(Job { timeout: Some(Duration::from_millis(300)), ..shell(script) });
    assert_eq!((&ended.exit, text(&ended.stdout)), (&Exit::TimedOut, "begun\nbye\n"));
    assert!(Duration::from_micros(ended.wall_micros) < LONG);
}

#[test]
fn a_time_out_gives_the_rest_of_the_group_the_whole_grace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let bench = bench_with(Settings { term_grace: LONG, ..Settings::default() });
    // The leader ends at once. What it started has something to save, longer than pipes would be waited for.
    for outputs in ["", ">/dev/null 2>&1"] {
        let worker =
            format!("trap 'sleep 0.6; echo saved > {}; exit' TERM; while :; do sleep 0.01; done", file.display());
        let script = format!("( {worker} ) {outputs} & echo begun; trap 'exit 3' TERM; while :; do sleep 0.01; done");
        let ended = bench.ends(Job { timeout: Some(Duration::from_millis(300)), ..shell(&script) });
        assert_eq!((&ended.exit, text(&ended.stdout)), (&Exit::TimedOut, "begun\n"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "saved\n");
        assert!(Duration::from_micros(ended.wall_micros) < LONG, "and it is not waited for longer than that takes");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_process_that_closes_its_outputs_still_times_out() {
    let ended =
        bench().ends(Job { timeout: Some(Duration::from_millis(50)), ..shell("exec >&- 2>&-; exec sleep 1000") });
    assert_eq!(ended.exit, Exit::TimedOut);
}

#[test]
fn a_time_out_that_does_not_come_changes_nothing() {
    let bench = bench();
    for timeout in [LONG, Duration::MAX] {
        let ended = bench.ends(Job { timeout: Some(timeout), ..shell("echo fine") });
        assert_eq!((&ended.exit, text(&ended.stdout)), (&Exit::Status(0), "fine\n"));
    }
}

#[test]
fn kill_ends_a_document_and_its_children_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let bench = bench();
    let job = shell(&format!("sleep 1000 & echo $! > {}; wait", file.display()));
    let (doc, epoch) = (job.doc, job.epoch);
    assert!(!bench.executor.kill(doc, epoch), "it does not run yet");
    bench.executor.run(job);
    let child = pid_in(&file);
    assert!(!bench.executor.kill(doc, epoch.next()), "another epoch is another run");
    assert!(bench.executor.kill(doc, epoch));
    let ended = bench.next();
    assert_eq!((ended.exit, ended.stopped), (Exit::Signal(9), true));
    until("the background process dies", || is_dead(child));
    assert!(!bench.executor.kill(doc, epoch), "it does not run any more");
}

#[test]
fn kill_right_after_run_is_not_lost() {
    let bench = bench();
    for number in 0..50 {
        let job = job(number, &["sleep", "1000"], b"{}");
        let (doc, epoch) = (job.doc, job.epoch);
        bench.executor.run(job);
        assert!(bench.executor.kill(doc, epoch));
    }
    for _ in 0..50 {
        assert!(bench.next().stopped);
    }
}

#[test]
fn what_a_process_leaves_behind_neither_holds_the_slot_nor_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let bench = bench();
    // The one that is left behind holds standard output.
    let ended = bench.ends(shell(&format!("sleep 1000 & echo $! > {}; echo done", file.display())));
    assert_eq!((&ended.exit, text(&ended.stdout)), (&Exit::Status(0), "done\n"));
    assert!(Duration::from_micros(ended.wall_micros) < LONG);
    until("it dies", || is_dead(pid_in(&file)));
    // And one that holds nothing.
    std::fs::remove_file(&file).unwrap();
    let ended = bench.ends(shell(&format!("sleep 1000 >&- 2>&- & echo $! > {}", file.display())));
    assert_eq!(ended.exit, Exit::Status(0));
    until("it dies", || is_dead(pid_in(&file)));
}

#[test]
fn what_left_the_group_does_not_hold_the_slot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script =
        format!("setsid sh -c 'echo $$ > {}; while :; do echo noise; done' & sleep 0.1; echo done >&2", file.display());
    let ended = bench().ends(Job { capture_bytes: 10, ..shell(&script) });
    assert_eq!((&ended.exit, text(&ended.stderr)), (&Exit::Status(0), "done\n"));
    let _ = rustix::process::kill_process_group(pid_in(&file), Signal::KILL);
}

#[test]
fn the_last_words_of_what_is_left_behind_are_heard() {
    let bench = bench_with(Settings { pipe_grace: LONG, ..Settings::default() });
    let ended = bench.ends(shell("(sleep 0.1; echo last) & echo first"));
    assert_eq!(text(&ended.stdout), "first\nlast\n");
    assert!(Duration::from_micros(ended.wall_micros) < LONG, "the grace ends when the pipe closes");
}

#[test]
fn a_command_that_cannot_be_run_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    let lost = folder.path().join("lost");
    std::fs::write(&lost, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&lost, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let bench = bench();
    let ends = |command: &[&str], payload: &[u8]| not_started(&bench.ends(job(0, command, payload))).to_owned();

    assert_eq!(ends(&["no-such-program"], b""), "no such program: `no-such-program` (looked in PATH)");
    assert!(ends(&["ls -l | wc"], b"").contains("not run by a shell"));
    assert_eq!(ends(&["/no/such"], b""), "no such program: `/no/such`");
    assert!(ends(&[plain.to_str().unwrap()], b"").contains("not executable"));
    assert!(ends(&[folder.path().to_str().unwrap()], b"").contains("directory"));
    assert!(ends(&[lost.to_str().unwrap()], b"").contains("interpreter"));
    assert!(ends(&["echo", "{}"], &vec![b'x'; 4 << 20]).contains("too long"));
    assert!(ends(&["echo", "{}"], b"a\0b").contains("NUL"));
    assert!(ends(&["echo", "{.a}"], b"{}").contains("no field `a`"));
    assert!(ends(&["echo", "{.a}"], b"text").contains("JSON object"));
}

#[test]
fn one_document_may_run_again_after_its_end_and_under_another_epoch_beside_itself() {
    let bench = bench();
    let first = shell("sleep 1000");
    let second = Job { epoch: Epoch(4), ..shell("echo fine") };
    bench.executor.run(first.clone());
    assert_eq!(bench.ends(second.clone()).exit, Exit::Status(0));
    assert_eq!(bench.ends(second).exit, Exit::Status(0));
    assert!(bench.executor.kill(first.doc, first.epoch));
    assert!(bench.next().stopped);
}

#[test]
fn stop_all_asks_waits_and_starts_nothing_more() {
    let bench = bench();
    for number in 0..5 {
        let script = "trap 'echo bye; exit 0' TERM; echo begun > $0; while :; do sleep 0.01; done";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("begun");
        bench.executor.run(job(number, &["sh", "-c", script, file.to_str().unwrap()], b""));
        until("it has begun", || std::fs::read(&file).is_ok_and(|text| text == b"begun\n"));
    }
    assert_eq!(bench.executor.stop_all(LONG), 0);
    for _ in 0..5 {
        let ended = bench.ends.try_recv().expect("all ends are reported before stop_all returns");
        assert_eq!((&ended.exit, text(&ended.stdout), ended.stopped), (&Exit::Status(0), "bye\n", true));
    }
    let late = bench.ends(shell("echo late"));
    assert!(late.stopped && not_started(&late).contains("before it started"));
}

#[test]
fn stop_all_kills_what_does_not_listen() {
    let bench = bench();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    bench.executor.run(shell(&format!("trap '' TERM; echo $$ > {}; while :; do sleep 1; done", file.display())));
    pid_in(&file);
    assert_eq!(bench.executor.stop_all(Duration::from_millis(50)), 0);
    assert_eq!(bench.next().exit, Exit::Signal(9));
}

#[test]
fn dropping_the_executor_kills_what_runs() {
    let bench = bench();
    bench.executor.run(job(0, &["sleep", "1000"], b""));
    drop(bench.executor);
    assert!(bench.ends.recv_timeout(LONG).unwrap().stopped);
    assert!(bench.ends.recv_timeout(LONG).is_err(), "and the threads end, and with them the callback");
}
