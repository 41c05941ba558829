//! Nodes are killed and come back as the same nodes, one after the other, while a batch runs.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_net::records::Exit;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, Start, Starts, Sum, until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const DOCUMENTS: u32 = 6_000;
const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);

async fn taken_over(cluster: &Cluster, name: &str) -> u64 {
    let nodes = cluster[name].api().nodes().await.expect("a live node answers").nodes;
    nodes.iter().find(|node| node.is_self).expect("a node knows itself").taken_over
}

#[tokio::test]
async fn no_document_is_lost_when_nodes_come_and_go() {
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let sums = Sum::series(DOCUMENTS);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let batch = NewBatch::new(starts.command(&format!("sleep 0.02; {}", Sum::SCRIPT)));
    let batch = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted").batch;

    // One comes back when its heirs have its documents, the other before anybody has missed it.
    for (name, other, missed) in [("n1", "n2", true), ("n2", "n3", false)] {
        let id = cluster[name].id().await;
        let seed = cluster[other].address().to_owned();
        let before = taken_over(&cluster, other).await;
        cluster[name].kill();
        if missed {
            until("its heirs to have its documents", PATIENCE, async || {
                (taken_over(&cluster, other).await > before).then_some(())
            })
            .await;
        }
        cluster.add(name, SLOTS, Some(&seed)).await;
        assert_eq!(cluster[name].id().await, id, "it is the same node");
        cluster.meet().await;
        until("it to take part", PATIENCE, async || {
            let nodes = cluster[name].api().nodes().await.ok()?.nodes;
            let itself = nodes.iter().find(|node| node.is_self)?;
            let finished = cluster[other].api().batch(batch).await.ok()?.pending == 0;
            (itself.started > 0 || finished).then_some(())
        })
        .await;
        cluster.copied().await;
    }

    for node in cluster.nodes() {
        until(&format!("{node} to know all outcomes"), PATIENCE, async || {
            let status = node.api().batch(batch).await.ok()?;
            (status.state == BatchState::Finished).then_some(())
        })
        .await;
        let results = node.api().results(batch).await.expect("results");
        assert_eq!(results.len(), sums.len());
        for (result, sum) in results.iter().zip(&sums) {
            assert_eq!(result.outcome, Outcome::Done, "{result:?}");
            assert_eq!(result.stdout.as_deref(), Some(sum.output().as_str()), "{result:?}");
        }
    }
    let mut by_document: BTreeMap<u32, Vec<Start>> = BTreeMap::new();
    starts.read().into_iter().for_each(|start| by_document.entry(start.document).or_default().push(start));
    by_document.retain(|_, starts| starts.len() > 1);
    let again: usize = by_document.values().map(|starts| starts.len() - 1).sum();
    println!("{again} started again");
    let most = 2 * SLOTS as usize;
    assert!(again <= most, "more started again than the killed nodes had slots, {again} of {most}: {by_document:#?}");
}

/// The guardian of the killed run looks for what that was just starting, while the next run starts the same documents.
#[tokio::test]
async fn a_guardian_kills_nothing_of_the_next_run_of_its_node() {
    const MANY: u32 = 32;
    let mut cluster = Cluster::start(&[1, MANY], &[]).await;
    let payload = DocumentLine::new(b"0.1", Some(1));
    let batch = NewBatch::new(["sleep", "{}"].map(str::to_owned).to_vec());
    let batch = cluster["n1"].api().submit(&batch, &vec![payload; 600]).await.expect("a batch is accepted").batch;
    let seed = cluster["n1"].address().to_owned();
    for _ in 0..8 {
        cluster["n2"].kill();
        cluster.add("n2", MANY, Some(&seed)).await;
        until("it to start documents", PATIENCE, async || {
            let nodes = cluster["n2"].api().nodes().await.ok()?.nodes;
            nodes.iter().find(|node| node.is_self && node.started >= MANY.into()).map(|_| ())
        })
        .await;
    }
    until("the batch to finish", PATIENCE, async || {
        cluster["n1"].api().batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    // What ran when its node was killed three times in a row is held to be the cause; nothing else may have failed.
    let results = cluster["n1"].api().results(batch).await.expect("results");
    let killed: Vec<_> =
        results.iter().filter(|result| !matches!(result.exit, Exit::Status(0) | Exit::Poison)).collect();
    assert!(killed.is_empty(), "{killed:?}");
    let done = results.iter().filter(|result| result.exit == Exit::Status(0)).count();
    // Eight deaths are two such threes.
    assert!(done >= 600 - 2 * MANY as usize, "only {done} are done");
}

#[tokio::test]
async fn a_node_that_comes_back_gets_the_copies_that_are_missing() {
    let mut cluster = Cluster::start(&[SLOTS; 2], &[]).await;
    let sums = Sum::series(400);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let command = ["sh", "-c", Sum::SCRIPT, "sh", "{}"].map(str::to_owned).to_vec();
    let first =
        cluster["n1"].api().submit(&NewBatch::new(command), &documents).await.expect("a batch is accepted").batch;
    let all = cluster["n1"].api().all_results(first).await.expect("results");
    assert_eq!(all.len(), sums.len());

    for (name, other) in [("n1", "n2"), ("n2", "n1")] {
        let seed = cluster[other].address().to_owned();
        cluster[name].kill();
        cluster.add(name, SLOTS, Some(&seed)).await;
        cluster.meet().await;
        cluster.copied().await;
    }
    for node in cluster.nodes() {
        let results = node.api().results(first).await.expect("results");
        assert_eq!(results, all, "at {node}");
    }
}

/// A process, and when it was started: its id alone may be given out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    started: u64,
}

impl Process {
    fn of(pid: i32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split_ascii_whitespace().collect();
        // Field 22, counted from behind the name, which is the second. A zombie runs no more.
        (fields[0] != "Z").then(|| Process { pid, started: fields[19].parse().expect("a number of ticks") })
    }

    fn lives(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    fn raw(self) -> Pid {
        Pid::from_raw(self.pid).expect("a process has an id")
    }

    /// The guardian of a node.
    fn guardian(node: u32) -> Option<Process> {
        let processes = std::fs::read_dir("/proc").expect("this is Linux").flatten();
        let mut pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
        let pid = pids.find(|pid| {
            let read = |name| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let parent = read("stat").rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            parent == Some(node) && read("cmdline").starts_with("evenkeel-guardian\0")
        })?;
        Process::of(pid)
    }
}

/// A process that has nothing to do with any node. Killed when dropped.
struct Stranger(Child);

impl Stranger {
    fn start() -> Stranger {
        let mut command = Command::new("sleep");
        Stranger(command.arg("1000").process_group(0).stdout(Stdio::null()).spawn().expect("sleep can be started"))
    }

    fn process(&self) -> Option<Process> {
        Process::of(i32::try_from(self.0.id()).expect("an id"))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have been killed already, which is what the test is about.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Process groups that a test has left without anybody who would end them. Killed when dropped, should they be there still.
struct Leaders(Vec<Process>);

impl Drop for Leaders {
    fn drop(&mut self) {
        for leader in self.0.iter().filter(|leader| leader.lives()) {
            // It may end just now.
            let _ = kill_process_group(leader.raw(), Signal::KILL);
        }
    }
}

/// What a document's first run has written: itself, and what it has started.
fn first_run(directory: &Path, document: u32) -> Option<[Process; 2]> {
    let text = std::fs::read_to_string(directory.join(format!("first-{document}"))).ok()?;
    let pids: Vec<i32> = text.split_ascii_whitespace().map(|pid| pid.parse().expect("a process id")).collect();
    Some([Process::of(pids[0])?, Process::of(pids[1])?])
}

/// Makes the journal name another process for a document, as if its number had been given out again.
fn misname(journal: &Path, document: u32, pid: i32) {
    const RECORD: usize = 64;
    let bytes = std::fs::read(journal).expect("there is a journal");
    let records = bytes.chunks_exact(RECORD).skip(1).zip(0_u64..);
    let (record, place) = records
        .filter(|(record, _)| record[0] == 2)
        .find(|(record, _)| record[8..12] == document.to_le_bytes())
        .expect("the journal has the document");
    let mut record = record.to_vec();
    record[4..8].copy_from_slice(&pid.to_le_bytes());
    let check = blake3::Hasher::new().update(&place.to_le_bytes()).update(&record[..48]).finalize();
    record[48..].copy_from_slice(&check.as_bytes()[..16]);
    let file = std::fs::File::options().write(true).open(journal).expect("the journal can be written");
    file.write_all_at(&record, (place + 1) * RECORD as u64).expect("the disk has room");
}

/// Node and guardian are killed at one moment, so that nobody is left to end the documents but the next run of the node.
#[tokio::test]
async fn what_ran_when_node_and_guardian_were_killed_is_gone_before_it_runs_again() {
    const RUNNING: u32 = 3;
    let mut cluster = Cluster::start(&[RUNNING], &[]).await;
    let directory = cluster.directory().to_owned();
    // The first run of a document goes on for ever, with a child of its own; each later one looks whether it still does.
    let script = "cd \"$1\"; first=first-$EVENKEEL_DOCUMENT
        if [ -e $first ]; then
            for pid in $(cat $first); do
                case $(cat /proc/$pid/stat 2>/dev/null) in *' (sh) '[!Z]*|*' (sleep) '[!Z]*) echo $pid >> overlaps;; esac
            done
            exit 0
        fi
        sleep 1000 & echo \"$$ $!\" > $first.new; mv $first.new $first; wait";
    let place = directory.to_str().expect("a temporary directory has a plain name");
    let batch = NewBatch::new(["sh", "-c", script, "sh", place].map(str::to_owned).to_vec());
    let documents = vec![DocumentLine::new(b"", Some(1)); RUNNING as usize];
    let batch = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted").batch;
    let mut running = Vec::new();
    for document in 0..RUNNING {
        running.push(until("a document to run", PATIENCE, async || first_run(&directory, document)).await);
    }

    let _leaders = Leaders(running.iter().map(|[leader, _]| *leader).collect());

    // A node that stands still starts no other guardian.
    let node = cluster["n1"].pid();
    let guardian = until("a guardian", PATIENCE, async || Process::guardian(node)).await;
    cluster["n1"].signal(Signal::STOP);
    kill_process(guardian.raw(), Signal::KILL).expect("the guardian is there");
    until("the guardian to be gone", PATIENCE, async || (!guardian.lives()).then_some(())).await;
    cluster["n1"].kill();
    assert!(running.iter().flatten().all(|process| process.lives()), "nobody is left to end them: {running:?}");

    // The last document has ended since, and a stranger has got its number.
    let last = running.pop().expect("it runs");
    kill_process_group(last[0].raw(), Signal::KILL).expect("it is there");
    let stranger = Stranger::start();
    let alike = stranger.process().expect("it runs");
    misname(&directory.join("n1/data/children"), RUNNING - 1, alike.pid);

    cluster.again("n1", RUNNING).await;
    let left: Vec<&Process> = running.iter().flatten().filter(|process| process.lives()).collect();
    assert!(left.is_empty(), "a node takes part, and of its earlier run there are {left:?}");
    until("the batch to finish", PATIENCE, async || {
        cluster["n1"].api().batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
    let overlaps = std::fs::read_to_string(directory.join("overlaps")).unwrap_or_default();
    assert_eq!(overlaps, "", "these ran beside their successors");
    let results = cluster["n1"].api().results(batch).await.expect("results");
    assert!(results.iter().all(|result| result.outcome == Outcome::Done), "{results:?}");
    assert_eq!(stranger.process(), Some(alike), "a stranger was killed for bearing a document's number");
    let log = cluster["n1"].log();
    assert!(log.contains("were still running, and have been killed") && log.contains("documents=2"), "{log}");
}
