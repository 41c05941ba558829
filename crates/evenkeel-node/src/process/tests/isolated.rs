//! Tests that need a process of their own: what is counted for a whole process, and agents that are killed.

use super::*;

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
        let status =
            alone("process::tests::isolated::a_thousand_quick_processes_leave_nothing_behind", "thousand").status();
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
        let status = alone("process::tests::isolated::a_shortage_of_files_is_waited_out", "shortage").status();
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
    let guardian = alone("process::tests::isolated::acts_as_guardian", "agent");
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
        let mut command = alone("process::tests::isolated::acts_as_agent", "agent");
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
