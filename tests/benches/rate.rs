//! Documents per second, against the floor: a tight spawn-and-wait loop of the same child in as many threads.
//!
//! `cargo bench -p evenkeel-tests --bench rate` runs the floor, `evenkeel run` with one node, and with four, in turn, and
//! prints medians, ratios to the floor, and the CPU time of agents and children for each document. Options:
//! `-- [DOCUMENTS] [ROUNDS]`.

mod cost;

use std::process::{Command, Stdio};
use std::time::Instant;

const SLOTS: usize = 8;
const CHILD: &str = "/bin/true";

/// One run: documents per second, and milliseconds of CPU for each document.
#[derive(Clone, Copy)]
struct Run {
    rate: f64,
    cpu: f64,
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let documents = numbers.first().copied().unwrap_or(10_000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let evenkeel = evenkeel_tests::path();
    let input = cost::lines(documents);
    println!("{documents} x {CHILD}, {SLOTS} slots, {rounds} rounds, in turn\n");
    let mut floor = Vec::new();
    let mut one = Vec::new();
    let mut four = Vec::new();
    for _ in 0..rounds {
        floor.push(measure(documents, || tight_loop(documents)));
        one.push(measure(documents, || run(evenkeel, &input, &["-j", "8"])));
        four.push(measure(documents, || run(evenkeel, &input, &["--nodes", "4", "-j", "2"])));
    }
    let child = median(&floor, |run| run.cpu);
    println!("{:<28} {:>10} {:>9} {:>14} {:>14}", "", "documents/s", "of floor", "CPU/document", "of it agents");
    for (name, runs) in [("floor", &floor), ("evenkeel, 1 node x 8", &one), ("evenkeel, 4 nodes x 2", &four)] {
        let ratios: Vec<f64> = runs.iter().zip(&floor).map(|(run, floor)| run.rate / floor.rate).collect();
        let cpu = median(runs, |run| run.cpu);
        println!(
            "{name:<28} {:>10.0} {:>9.2} {:>11.3} ms {:>11.3} ms",
            median(runs, |run| run.rate),
            middle(ratios),
            cpu,
            (cpu - child).max(0.0)
        );
    }
    println!("\nCPU is user and system time of everything; that of agents is what exceeds the floor's.");
}

fn measure(documents: usize, work: impl FnOnce()) -> Run {
    let before = cost::cpu_of_everything();
    let begun = Instant::now();
    work();
    let wall = begun.elapsed().as_secs_f64();
    let cpu = (cost::cpu_of_everything() - before).as_secs_f64();
    Run { rate: documents as f64 / wall, cpu: cpu * 1e3 / documents as f64 }
}

fn tight_loop(documents: usize) {
    std::thread::scope(|scope| {
        for _ in 0..SLOTS {
            scope.spawn(|| {
                for _ in 0..documents / SLOTS {
                    let child =
                        Command::new(CHILD).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
                    assert!(child.expect("the child starts").success());
                }
            });
        }
    });
}

fn run(evenkeel: &std::path::Path, input: &std::path::Path, options: &[&str]) {
    let status = Command::new(evenkeel)
        .arg("run")
        .args(options)
        .arg("-a")
        .arg(input)
        .args(["--", CHILD])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("the program starts").success());
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    middle(runs.iter().map(of).collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
