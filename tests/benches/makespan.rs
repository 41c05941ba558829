//! Makespan of sleeping documents of very unequal length, against the best that any schedule could reach, and beside that
//! of a central longest-first queue (computed).
//!
//! `cargo bench -p evenkeel-tests --bench makespan`: 2,000 documents with Pareto durations (alpha 1.5, 50 ms to 2 s, seeded),
//! all submitted to one of four nodes. Sleeping needs no CPU, so two cores do for forty slots.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DOCUMENTS: usize = 2_000;

/// One row of the table: what it is called, options of `run`, slots of the nodes, and whether lengths are told.
struct Case {
    name: &'static str,
    options: &'static [&'static str],
    slots: &'static str,
    lengths: bool,
    limit: f64,
}

const CASES: [Case; 4] = [
    Case { name: "lengths given", options: &[], slots: "10,10,10,10", lengths: true, limit: 1.05 },
    Case {
        name: "lengths given, --allocate uniform",
        options: &["--allocate", "uniform"],
        slots: "10,10,10,10",
        lengths: true,
        limit: 1.08,
    },
    Case { name: "lengths unknown", options: &[], slots: "10,10,10,10", lengths: false, limit: 1.25 },
    Case {
        name: "lengths given, max_process 4,10,10,16",
        options: &[],
        slots: "4,10,10,16",
        lengths: true,
        limit: 1.08,
    },
];

fn main() {
    let evenkeel = evenkeel_tests::path();
    let durations = durations();
    let input = write_input(&durations);
    let sum: f64 = durations.iter().sum();
    let longest = durations.iter().copied().fold(0.0, f64::max);
    let bound = (sum / 40.0).max(longest);
    println!(
        "{DOCUMENTS} sleeping documents, {sum:.1} s in all, the longest {longest:.2} s; no schedule on 40 slots is under {bound:.2} s\n"
    );
    println!("{:<40} {:>9} {:>7} {:>7} {:>8} {:>14}", "", "makespan", "ratio", "limit", "central", "wall of run");
    for case in &CASES {
        let begun = std::time::Instant::now();
        let makespan = run(evenkeel, &input, case);
        let wall = begun.elapsed().as_secs_f64();
        let central = central(&durations, 40, case.lengths);
        println!(
            "{:<40} {makespan:>7.2} s {:>7.3} {:>7.2} {:>8.3} {wall:>12.2} s",
            case.name,
            makespan / bound,
            case.limit,
            central / bound
        );
    }
    println!(
        "\nMakespan is from the first start of a process to the last end, by the job log; central is what one queue that"
    );
    println!("all slots share would take with the same lengths, starting a process costing nothing.");
}

/// Pareto durations in seconds, cut at 2 s, from a fixed seed.
fn durations() -> Vec<f64> {
    let mut state: u64 = 42;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    (0..DOCUMENTS).map(|_| (0.05 * uniform().powf(-1.0 / 1.5)).min(2.0)).collect()
}

fn write_input(durations: &[f64]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("evenkeel-makespan-{}.jsonl", std::process::id()));
    let mut file = std::fs::File::create(&path).expect("the temporary directory can be written");
    for seconds in durations {
        writeln!(file, "{{\"seconds\": \"{seconds:.4}\", \"micros\": {}}}", (seconds * 1e6) as u64)
            .expect("the temporary directory has room");
    }
    path
}

/// Runs one case; returns the time from the first start to the last end.
fn run(evenkeel: &Path, input: &Path, case: &Case) -> f64 {
    let log = input.with_extension("log");
    let length: &[&str] = if case.lengths { &["--length-field", "micros"] } else { &["--length", "1"] };
    let status = Command::new(evenkeel)
        .args(["run", "-j", case.slots, "--joblog"])
        .arg(&log)
        .args(case.options)
        .args(length)
        .arg("--jsonl")
        .arg(input)
        .args(["--", "sleep", "{.seconds}"])
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the program starts").success());
    let log = std::fs::read_to_string(&log).expect("there is a job log");
    let times = log.lines().skip(1).map(|line| {
        let mut fields = line.split('\t').skip(2).map(|field| field.trim().parse::<f64>().expect("a time"));
        let start = fields.next().expect("a start");
        (start, start + fields.next().expect("a run time"))
    });
    let (first, last) =
        times.fold((f64::MAX, f64::MIN), |(first, last), (start, end)| (first.min(start), last.max(end)));
    last - first
}

/// Makespan of one queue that all slots share: longest first, or in the order given if lengths are not known.
fn central(durations: &[f64], slots: usize, longest_first: bool) -> f64 {
    let mut queue = durations.to_vec();
    if longest_first {
        queue.sort_by(|a, b| b.total_cmp(a));
    }
    let mut free: BinaryHeap<Reverse<u64>> = std::iter::repeat_n(Reverse(0), slots).collect();
    let mut last = 0;
    for seconds in queue {
        let Reverse(start) = free.pop().expect("there are slots");
        let end = start + (seconds * 1e6) as u64;
        last = last.max(end);
        free.push(Reverse(end));
    }
    last as f64 / 1e6
}
