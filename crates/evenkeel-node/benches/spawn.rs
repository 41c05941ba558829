//! How much the executor adds to the bare cost of a process: documents that do nothing, against a tight
//! spawn-and-wait loop of the same program in as many threads. The executor gives each a payload on standard input and
//! captures both outputs; the loop does nothing of the kind. Both are run in turn.
//!
//! The program must get the same arguments, for even `true` does more if it has one.
//!
//!     cargo bench -p evenkeel-node --bench spawn [-- DOCUMENTS [ROUNDS [SLOTS [PROGRAM]]]]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch};
use evenkeel_net::records::Exit;
use evenkeel_node::process::{
    Ended, Executor, GUARDIAN_ARGUMENT, Job, Settings, Template, guardian_command, guardian_main,
};

/// Time taken by one turn.
struct Turn {
    wall: Duration,
    /// Processor time of this process itself.
    own: Duration,
    /// Processor time of its children.
    children: Duration,
}

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == GUARDIAN_ARGUMENT) {
        guardian_main();
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // Test runners start every target once, some with arguments of their own. Only `cargo bench` says this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |place: usize, default: u32| {
        arguments.get(place).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("not a number: {text}")))
    };
    let (documents, rounds, slots) = (number(0, 4_000), number(1, 7).max(1), number(2, 8).max(1));
    let program = arguments.get(3).map_or("/bin/true", String::as_str);

    println!("{documents} x {program}, {slots} slots, {rounds} rounds of floor and executor in turn");
    let (mut floors, mut executors) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let turns = (timed(|| floor(program, documents, slots)), timed(|| executor(program, documents, slots)));
        // The first round warms caches.
        if round > 0 {
            floors.push(turns.0);
            executors.push(turns.1);
        }
    }
    let mut ratios: Vec<f64> = floors
        .iter()
        .zip(&executors)
        .map(|(floor, executor)| floor.wall.as_secs_f64() / executor.wall.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    report("floor", &floors, documents);
    report("executor", &executors, documents);
    println!(
        "executor's rate / floor's rate: median {:.3} ({:.3} to {:.3})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

fn report(name: &str, turns: &[Turn], documents: u32) {
    let median = |of: fn(&Turn) -> Duration| {
        let mut times: Vec<Duration> = turns.iter().map(of).collect();
        times.sort();
        times[times.len() / 2] / documents
    };
    println!(
        "{name:>9}: {:>9.1?} a document; processor: own {:.1?}, children {:.1?}",
        median(|turn| turn.wall),
        median(|turn| turn.own),
        median(|turn| turn.children),
    );
}

fn timed(turn: impl FnOnce()) -> Turn {
    let (started, (own, children)) = (Instant::now(), processor_time());
    turn();
    let after = processor_time();
    Turn { wall: started.elapsed(), own: after.0 - own, children: after.1 - children }
}

/// The floor: each thread starts a process and waits for it, and nothing else.
fn floor(program: &str, documents: u32, slots: u32) {
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < documents {
                    let status = Command::new(program).status().expect("the program can be started");
                    assert!(status.success());
                }
            });
        }
    });
}

/// The executor, driven as the daemon does: a thread that hears of each end and then runs the next document.
fn executor(program: &str, documents: u32, slots: u32) {
    let (ended, ends) = mpsc::channel::<Ended>();
    // Not nice: on a machine that is not quiet, niceness would be measured and not the executor.
    let settings =
        Settings { node: "bench".to_owned(), nice: 0, guardian: Some(guardian_command()), ..Settings::default() };
    let executor = Executor::start(settings, move |end| {
        let _ = ended.send(end);
    })
    .expect("the executor starts");
    let template = Arc::new(Template::parse(&[program.to_owned()]).expect("a valid command"));
    let run = |number: u32| {
        executor.run(Job {
            doc: DocId { batch: BatchId(1), number: DocNumber(number) },
            epoch: Epoch::FIRST,
            attempt: Attempt(1),
            template: template.clone(),
            payload: Bytes::from(number.to_string()),
            timeout: None,
            capture_bytes: 1 << 20,
        });
    };
    (0..slots.min(documents)).for_each(run);
    for begun in slots..documents.saturating_add(slots) {
        let Ok(end) = ends.recv() else { break };
        assert_eq!(end.exit, Exit::Status(0));
        if begun < documents {
            run(begun);
        } else if executor.running() == 0 {
            break;
        }
    }
}

/// User and system time so far, of this process and of its children that have been waited for.
fn processor_time() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
    // In the hundredths of a second that Linux reports to programs.
    let time = |first: usize| Duration::from_millis(10 * (ticks(first) + ticks(first + 1)));
    (time(11), time(13))
}
