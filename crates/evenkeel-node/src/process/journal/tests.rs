use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use evenkeel_core::ids::{BatchId, DocId, DocNumber, Epoch};

use super::super::marks::marks;
use super::super::stat::Stat;
use super::super::sys::end_main_thread;
use super::super::tests::until;
use super::*;

const NODE: &str = "journalled";

/// A run that nobody else's processes are of.
fn run(number: u32) -> Run {
    (DocId { batch: BatchId(u64::from(std::process::id()) << 32 | 78), number: DocNumber(number) }, Epoch(1))
}

/// A process as those of documents are. Killed at the end, should it live.
struct Document(Child);

impl Document {
    fn start(run: Run, script: &str) -> Document {
        let mut command = Command::new("sh");
        command.args(["-c", script]).envs(marks(run, NODE)).process_group(0).stdout(Stdio::piped());
        Document(command.spawn().unwrap())
    }

    fn leader(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn was_killed(&mut self) -> bool {
        self.0.wait().unwrap().signal() == Some(9)
    }

    /// The process id that it prints.
    fn told(&mut self) -> Pid {
        let mut line = String::new();
        let stdout = self.0.stdout.as_mut().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line).unwrap();
        Pid::from_raw(line.trim().parse().unwrap()).unwrap()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(self.leader(), rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("children")
    }

    fn open(&self) -> Journal {
        Journal::open(&self.file(), NODE).unwrap()
    }

    /// What the next run of the node would find.
    fn says(&self) -> (Vec<Record>, usize) {
        read(&std::fs::read(self.file()).unwrap(), Realm::here().unwrap()).unwrap()
    }
}

fn lives(process: Pid) -> bool {
    Stat::of(process).is_some_and(|stat| stat.lives)
}

#[test]
fn the_journal_says_what_runs_and_forgets_what_has_ended() {
    let folder = Folder::new();
    let journal = folder.open();
    let (one, other) = (journal.place(), journal.place());
    one.starting(run(1));
    other.starting(run(2));
    other.started(rustix::process::getpid());
    let (found, damaged) = folder.says();
    assert_eq!((found.len(), damaged), (2, 0));
    assert_eq!((found[0].run, found[0].started), (run(1), None));
    assert_eq!((found[1].run, found[1].started.unwrap().0), (run(2), rustix::process::getpid()));
    one.ended();
    drop(other);
    assert_eq!(folder.says(), (vec![], 0));
    assert_eq!(journal.place().number, 1, "its place is free again");
}

#[test]
fn what_an_earlier_run_has_left_is_killed_with_its_group() {
    let folder = Folder::new();
    let journal = folder.open();
    let places = [journal.place(), journal.place(), journal.place()];
    places[0].starting(run(0));
    let mut plain = Document::start(run(0), "sleep 1000 & echo $!; wait");
    places[0].started(plain.leader());
    let grandchild = plain.told();
    // Its leader is gone.
    places[1].starting(run(1));
    let mut left = Document::start(run(1), "sleep 1000 >/dev/null & echo $!");
    places[1].started(left.leader());
    let orphan = left.told();
    assert!(left.0.wait().unwrap().success());
    // The node died before it could note the process.
    places[2].starting(run(2));
    let mut unnoted = Document::start(run(2), "echo $$; sleep 1000; :");
    unnoted.told();
    let bytes = std::fs::read(folder.file()).unwrap();
    drop(places);
    std::fs::write(folder.file(), bytes).unwrap();
    folder.open();
    assert!(plain.was_killed() && unnoted.was_killed());
    assert!(!lives(grandchild) && !lives(orphan), "they were waited for");
    assert_eq!(folder.says(), (vec![], 0));
}

/// Set for what `acts_as_headless` is run by.
const HEADLESS: &str = "EVENKEEL_TEST_HEADLESS";

/// Not a test: the document of the next one.
#[test]
fn acts_as_headless() {
    if std::env::var_os(HEADLESS).is_some() {
        end_main_thread();
        std::thread::sleep(Duration::from_secs(1_000));
    }
}

#[test]
fn a_document_that_has_ended_its_main_thread_is_killed_though_it_looks_dead() {
    let folder = Folder::new();
    let test = std::env::current_exe().unwrap();
    let itself = "process::journal::tests::acts_as_headless";
    let script = format!("{HEADLESS}=1 exec '{}' --exact {itself} --nocapture", test.display());
    let mut document = Document::start(run(7), &script);
    let stat = format!("/proc/{}/stat", document.leader().as_raw_nonzero());
    until("its main thread has ended", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    assert!(document.lives());
    let record = Record { run: run(7), before: Duration::ZERO, started: Some((document.leader(), since_boot())) };
    let bytes = [Realm::here().unwrap().encode(), Record::encode(Some(&record), 0)].concat();
    std::fs::write(folder.file(), bytes).unwrap();
    folder.open();
    assert!(!document.lives(), "it was not waited for");
    assert!(document.was_killed());
}

#[test]
fn nobody_is_killed_for_bearing_a_number_that_was_given_out_again() {
    let mut stranger = Document::start(run(3), "sleep 1000; :");
    let leader = stranger.leader();
    let started = Stat::of(leader).unwrap().started;
    let record = |before, after| Record { run: run(3), before, started: Some((leader, after)) };
    let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
    let before = record(started.saturating_sub(2 * second), started.saturating_sub(second));
    let later = record(started + second, started + 2 * second);
    assert_eq!(orphans::end(&[before, later], NODE), orphans::Ended::default());
    // Our leader is gone, and a group of its number has members that are none of ours.
    let mut leaderless = Document::start(run(4), "sleep 1000 >/dev/null & echo $!");
    let member = leaderless.told();
    leaderless.0.wait().unwrap();
    let other = Record { run: run(5), before: zero, started: Some((leaderless.leader(), zero)) };
    assert_eq!(orphans::end(&[other], NODE), orphans::Ended::default());
    // Nothing else was just being started.
    let starting = Record { run: run(5), before: zero, started: None };
    assert_eq!(orphans::end(&[starting], NODE), orphans::Ended::default());
    assert!(stranger.lives() && lives(member));
    assert_eq!(orphans::end(&[record(started, started)], NODE).killed, 1);
    assert!(stranger.was_killed());
}

#[test]
fn nothing_is_killed_by_a_journal_of_another_boot_or_by_a_damaged_record() {
    let folder = Folder::new();
    let mut document = Document::start(run(6), "sleep 1000; :");
    let record = Record { run: run(6), before: Duration::ZERO, started: Some((document.leader(), since_boot())) };
    let record = Record::encode(Some(&record), 0);
    let here = Realm::here().unwrap();
    let torn = [&record[..40], &[0; 24][..]].concat();
    for (header, record) in [
        (Realm { boot: here.boot ^ 1, ..here }.encode(), &record[..]),
        (Realm { namespace: here.namespace ^ 1, ..here }.encode(), &record[..]),
        ([7; SIZE], &record[..]),
        (here.encode(), &torn[..]),
        (here.encode(), &record[..63]),
    ] {
        std::fs::write(folder.file(), [&header[..], record].concat()).unwrap();
        folder.open();
        assert!(document.lives());
        assert_eq!(folder.says(), (vec![], 0), "it begins anew");
    }
    std::fs::write(folder.file(), [&here.encode()[..], &torn, &[0; SIZE], &torn].concat()).unwrap();
    assert_eq!(folder.says(), (vec![], 2));
    std::fs::write(folder.file(), [&here.encode()[..], &record].concat()).unwrap();
    folder.open();
    assert!(document.was_killed(), "the same record, whole and of this boot");
}
