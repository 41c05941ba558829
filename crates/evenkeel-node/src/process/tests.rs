//! The executor with real processes. What is waited for is an event or a state, never a guess at how long it takes.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use evenkeel_core::ids::{BatchId, DocNumber};
use rustix::process::{Pid, test_kill_process, test_kill_process_group};

use super::*;

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
fn until(what: &str, mut holds: impl FnMut() -> bool) {
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

#[test]
fn placeholders_reach_the_process() {
    let bench = bench();
    let payload = br#"{"name": "a b'c", "size": 12}"#;
    let ended = bench.ends(job(7, &["printf", "%s|", "{n}", "{.name}", "<{.size}>", "{}"], payload));
    assert_eq!(ended.exit, Exit::Status(0));
    assert_eq!(text(&ended.stdout), r#"7|a b'c|<12>|{"name": "a b'c", "size": 12}|"#);
}

#[test]
fn a_payload_that_is_no_text_reaches_the_process() {
    let payload = b"\xff\xfe\x80 \n";
    assert_eq!(bench().ends(job(0, &["printf", "%s", "{}"], payload)).stdout.bytes, payload.as_slice());
}

#[test]
fn without_placeholders_the_payload_is_standard_input_and_with_them_that_is_empty() {
    let bench = bench();
    assert_eq!(text(&bench.ends(job(0, &["cat"], b"hello")).stdout), "hello");
    assert_eq!(text(&bench.ends(job(0, &["cat"], b"")).stdout), "");
    assert_eq!(text(&bench.ends(job(0, &["sh", "-c", "cat; echo done", "{}"], b"hello")).stdout), "done\n");
}

#[test]
fn ten_megabytes_go_in_and_come_back() {
    let payload: Vec<u8> = (0..10_000_000u32).map(|number| (number % 251) as u8).collect();
    let ended = bench().ends(Job { capture_bytes: 1 << 30, ..job(0, &["cat"], &payload) });
    assert_eq!(ended.exit, Exit::Status(0));
    assert!(ended.stdout.bytes == payload, "what comes out is what went in");
}

#[test]
fn a_process_need_not_read_its_input() {
    let payload = vec![b'x'; 5_000_000];
    let bench = bench();
    assert_eq!(bench.ends(job(0, &["true"], &payload)).exit, Exit::Status(0));
    let ended = bench.ends(job(0, &["sh", "-c", "exec <&-; exec sleep 0.05"], &payload));
    assert_eq!(ended.exit, Exit::Status(0));
}

#[test]
fn the_environment_tells_the_process_what_it_is() {
    let ended = bench().ends(job(7, &["sh", "-c", "env | grep ^EVENKEEL_ | sort"], b""));
    let batch = BatchId(42);
    assert_eq!(
        text(&ended.stdout),
        format!(
            "EVENKEEL_ATTEMPT=2\nEVENKEEL_BATCH={batch}\nEVENKEEL_DOCUMENT=7\nEVENKEEL_EPOCH=3\nEVENKEEL_NODE=tester\n"
        )
    );
    assert_eq!((ended.doc.number, ended.epoch, ended.attempt), (DocNumber(7), Epoch(3), Attempt(2)));
}

#[test]
fn status_signal_and_both_outputs_are_reported() {
    let bench = bench();
    let ended = bench.ends(shell("echo out; echo err >&2; exit 3"));
    assert_eq!((ended.exit, ended.stopped), (Exit::Status(3), false));
    assert_eq!((text(&ended.stdout), text(&ended.stderr)), ("out\n", "err\n"));
    assert_eq!(bench.ends(shell("kill -9 $$")).exit, Exit::Signal(9));
}

#[test]
fn output_over_the_limit_is_cut_and_counted() {
    let ended = bench().ends(Job { capture_bytes: 1_000, ..shell("head -c 3000000 /dev/zero; echo short >&2") });
    assert_eq!((ended.stdout.bytes.len(), ended.stdout.dropped), (1_000, 2_999_000));
    assert_eq!((text(&ended.stderr), ended.stderr.dropped), ("short\n", 0));
}

#[test]
fn times_and_memory_are_plausible() {
    let bench = bench();
    let ended = bench.ends(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    assert!(ended.user_micros > 10_000, "{ended:?}");
    assert!(ended.wall_micros >= ended.user_micros, "one thread uses no more than the wall clock: {ended:?}");
    assert!(ended.started_unix_micros > 1_600_000_000_000_000);

    let ended = bench.ends(shell("sleep 0.2"));
    assert!(ended.wall_micros >= 200_000, "{ended:?}");
    assert!(ended.user_micros + ended.system_micros < 150_000, "{ended:?}");
    assert!((100_000..20_000_000).contains(&ended.max_rss_bytes), "a shell's own memory, not the agent's: {ended:?}");

    // Holds 300 MB in one process.
    let ended = bench.ends(shell("head -c 300000000 /dev/zero | tail -c 300000000 | wc -c"));
    assert!(ended.max_rss_bytes > 290_000_000, "{ended:?}");
}

#[test]
fn processes_are_nice() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let ended = bench().ends(shell("exec nice"));
    assert_eq!(text(&ended.stdout).trim().parse(), Ok((own + 5).min(19)));
}

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

/// Runs a test again as a process of its own, with nothing else going on in it.
fn alone(test: &str, role: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("EVENKEEL_TEST_ROLE", role);
    command
}

fn has_role(role: &str) -> bool {
    std::env::var_os("EVENKEEL_TEST_ROLE").is_some_and(|present| present == role)
}

/// Processes whose parent is this one, dead ones that wait to be reaped included.
fn children_of(parent: Pid) -> Vec<Pid> {
    let is_child = |process: &Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
        let found = stat.rfind(')').and_then(|end| stat[end..].split(' ').nth(2)?.parse().ok());
        found == Some(parent.as_raw_nonzero().get())
    };
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).filter(is_child).collect()
}

fn guardians_of(agent: Pid) -> Vec<Pid> {
    let mut children = children_of(agent);
    children.retain(|child| {
        let command = std::fs::read(format!("/proc/{}/cmdline", child.as_raw_nonzero())).unwrap_or_default();
        command.starts_with(b"evenkeel-guardian\0")
    });
    children
}

/// Counts of open files and of children.
fn files_and_children() -> (usize, usize) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (files, children_of(rustix::process::getpid()).len())
}

#[test]
fn a_thousand_quick_processes_leave_nothing_behind() {
    if !has_role("thousand") {
        let status = alone("process::tests::a_thousand_quick_processes_leave_nothing_behind", "thousand").status();
        assert!(status.unwrap().success());
        return;
    }
    let bench = bench();
    bench.ends(shell("true"));
    let before = files_and_children();
    for number in 0..8 {
        bench.executor.run(job(number, &["true"], b"payload"));
    }
    for number in 8..1_000 {
        assert_eq!(bench.next().exit, Exit::Status(0));
        bench.executor.run(job(number, &["true"], b"payload"));
    }
    (0..8).for_each(|_| assert_eq!(bench.next().exit, Exit::Status(0)));
    assert_eq!(files_and_children(), before);
}

#[test]
fn a_shortage_of_files_is_waited_out() {
    if !has_role("shortage") {
        let status = alone("process::tests::a_shortage_of_files_is_waited_out", "shortage").status();
        assert!(status.unwrap().success());
        return;
    }
    let bench = bench();
    bench.ends(shell("true"));
    let present = files_and_children().0 as u64;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(present + 12), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    for number in 0..20 {
        bench.executor.run(job(number, &["sleep", "0.1"], b""));
    }
    for _ in 0..20 {
        assert_eq!(bench.next().exit, Exit::Status(0));
    }
}

/// Not a test: the guardian of the next one.
#[test]
fn acts_as_guardian() {
    if has_role("agent") && std::env::args().any(|argument| argument == GUARDIAN_ARGUMENT) {
        guardian_main();
    }
}

/// Not a test: an agent with three documents, to be killed.
#[test]
fn acts_as_agent() {
    if !has_role("agent") {
        return;
    }
    let folder = std::env::var("EVENKEEL_TEST_FOLDER").unwrap();
    let guardian = alone("process::tests::acts_as_guardian", "agent");
    let mut command = vec![guardian.get_program().to_owned()];
    command.extend(guardian.get_args().map(Into::into));
    command.push(GUARDIAN_ARGUMENT.into());
    let bench = bench_with(Settings { guardian: Some(command), ..Settings::default() });
    bench.ends(shell("true"));
    let guardian = guardians_of(rustix::process::getpid()).pop();
    std::fs::write(format!("{folder}/guardian"), format!("{}\n", guardian.unwrap().as_raw_nonzero())).unwrap();
    for number in 0..3 {
        // The second has an empty environment, the third has lost its leader's name to its child.
        let script = [
            "sleep 1000 & echo $! > $0; wait",
            "exec env -i PATH=/bin:/usr/bin sh -c 'sleep 1000 & echo $! > $0; wait' $0",
            "trap '' TERM INT HUP; (sleep 1000; :) & echo $! > $0; sleep 1000",
        ][number as usize];
        bench.executor.run(job(number, &["sh", "-c", script, &format!("{folder}/{number}")], b""));
    }
    thread::sleep(LONG * 10);
}

struct Agent {
    process: std::process::Child,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start() -> Agent {
        let folder = tempfile::tempdir().unwrap();
        let mut command = alone("process::tests::acts_as_agent", "agent");
        let process =
            command.env("EVENKEEL_TEST_FOLDER", folder.path()).stdout(std::process::Stdio::null()).spawn().unwrap();
        Agent { process, folder }
    }

    fn pid(&self, name: &str) -> Pid {
        pid_in(&self.folder.path().join(name))
    }
}

#[test]
fn documents_of_an_agent_that_was_killed_die() {
    let mut agent = Agent::start();
    let children = ["0", "1", "2"].map(|name| agent.pid(name));
    let groups = children.map(|child| rustix::process::getpgid(Some(child)).unwrap());
    agent.process.kill().unwrap();
    agent.process.wait().unwrap();
    for (child, group) in children.into_iter().zip(groups) {
        until("documents die with their agent", || is_dead(child));
        until("and so do their groups", || test_kill_process_group(group).is_err() || is_dead(group));
    }
    until("the guardian goes", || is_dead(agent.pid("guardian")));
}

#[test]
fn a_guardian_that_was_killed_is_replaced_and_knows_what_runs() {
    let mut agent = Agent::start();
    let children = ["0", "1", "2"].map(|name| agent.pid(name));
    // Politeness does not reach it.
    let guardian = agent.pid("guardian");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        rustix::process::kill_process(guardian, signal).unwrap();
    }
    assert!(!is_dead(guardian));
    rustix::process::kill_process(guardian, Signal::KILL).unwrap();
    let own = Pid::from_child(&agent.process);
    until("another one is there", || guardians_of(own).into_iter().any(|other| other != guardian));
    agent.process.kill().unwrap();
    agent.process.wait().unwrap();
    for child in children {
        until("documents die with their agent", || is_dead(child));
    }
}
