//! What durability costs: submissions against a plain file that is written and synced, `true` with and without syncs, and
//! what a restart with a million documents takes, pending ones and finished ones.
//!
//! `cargo bench -p evenkeel-tests --bench durability [-- LINES [TRUES [ROUNDS]]]`. Keep the temporary directory on a disk. Without
//! rounds (0) there are only the restarts.

mod cost;
mod hollow;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, BatchStatus};
use evenkeel_tests::{Api, Cluster, Node, until};

use hollow::Hollow;

const PATIENCE: Duration = Duration::from_secs(600);

/// Bytes of one write of the floor: about those of a segment of such lines.
const PIECE: usize = 32 << 10;

#[tokio::main]
async fn main() {
    if let Some(data_dir) = hollow::wanted() {
        return hollow::run(data_dir).await;
    }
    let numbers: Vec<u32> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let [lines, trues, rounds] =
        [(0, 1_000_000), (1, 10_000), (2, 5)].map(|(place, usual)| numbers.get(place).copied().unwrap_or(usual));
    let input = cost::lines(lines as usize);
    if rounds > 0 {
        submissions(&input, lines, rounds).await;
        rates(trues, rounds).await;
    }
    restarts(&input, lines).await;
    std::fs::remove_file(input).expect("its own file can be removed");
}

/// Time to acceptance, in turn with the floor: the same bytes appended to a file, synced after each piece, as often as
/// there are to be copies.
async fn submissions(input: &Path, lines: u32, rounds: u32) {
    println!("{lines} lines submitted, {rounds} rounds, in turn");
    for copies in [1_usize, 2] {
        let setting = copies.to_string();
        let (mut floor, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            floor.push(append(input, copies));
            let cluster = Cluster::start(&vec![1; copies], &[("EVENKEEL_DOCUMENTS__COPIES", &setting)]).await;
            let begun = Instant::now();
            submit(cluster["n1"].api(), input, &["sleep", "1000", "{}"]).await;
            taken.push(begun.elapsed().as_secs_f64());
        }
        let ratios: Vec<f64> = taken.iter().zip(&floor).map(|(taken, floor)| taken / floor).collect();
        println!(
            "  {copies} copies   accepted after {:.2} s, of a file {:.2} s, ratio {:.1}",
            middle(taken),
            middle(floor),
            middle(ratios)
        );
    }
}

fn append(input: &Path, copies: usize) -> f64 {
    let mut bytes = Vec::new();
    File::open(input).and_then(|mut file| file.read_to_end(&mut bytes)).expect("its own file can be read");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let begun = Instant::now();
    for copy in 0..copies {
        let mut file = File::create(directory.path().join(copy.to_string())).expect("a new file");
        for piece in bytes.chunks(PIECE) {
            file.write_all(piece).and_then(|()| file.sync_data()).expect("the disk has room");
        }
    }
    begun.elapsed().as_secs_f64()
}

/// `true` with and without syncs, on one node and on two, in turn.
async fn rates(documents: u32, rounds: u32) {
    println!("{documents} x /bin/true, 8 slots in all, {rounds} rounds, in turn");
    let input = cost::lines(documents as usize);
    for slots in [&[8_u32][..], &[4, 4]] {
        let mut by_sync = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (place, sync) in ["never", "always"].into_iter().enumerate() {
                let cluster = Cluster::start(slots, &[("EVENKEEL_STORE__SYNC", sync)]).await;
                let begun = Instant::now();
                let batch = submit(cluster["n1"].api(), &input, &["/bin/true"]).await;
                finished(cluster["n1"].api(), batch).await;
                by_sync[place].push(f64::from(documents) / begun.elapsed().as_secs_f64());
            }
        }
        let [never, always] = by_sync;
        let ratios: Vec<f64> = always.iter().zip(&never).map(|(always, never)| always / never).collect();
        println!(
            "  {} nodes   {:.0}/s with syncs, {:.0}/s without, ratio {:.2}",
            slots.len(),
            middle(always),
            middle(never),
            middle(ratios)
        );
    }
    std::fs::remove_file(input).expect("its own file can be removed");
}

/// One node with so many documents pending is killed and started again; and one with as many finished, which had no processes:
/// the store is that of any node, and is made in bounded time.
async fn restarts(input: &Path, lines: u32) {
    println!("one node killed and started again");
    let mut cluster = Cluster::start(&[8], &[]).await;
    let batch = submit(cluster["n1"].api(), input, &["sleep", "1000", "{}"]).await;
    cluster["n1"].kill();
    restart(&mut cluster, batch, &format!("{lines} pending")).await;
    drop(cluster);

    let mut cluster = Cluster::start(&[8], &[]).await;
    cluster["n1"].kill();
    let begun = Instant::now();
    let hollow = Hollow::start(&data_dir(&cluster));
    let api = Api::new(&hollow.http);
    let batch = submit(&api, input, &["/bin/true"]).await;
    finished(&api, batch).await;
    println!("  {lines} documents without a process ended in {:.1} s", begun.elapsed().as_secs_f64());
    drop(hollow);
    let status = restart(&mut cluster, batch, &format!("{lines} finished")).await;
    assert_eq!((status.done, status.state), (lines, BatchState::Finished));
}

fn data_dir(cluster: &Cluster) -> PathBuf {
    cluster.directory().join("n1").join("data")
}

/// Starts a node that was killed, and waits until it tells of the batch.
async fn restart(cluster: &mut Cluster, batch: BatchId, what: &str) -> BatchStatus {
    let bytes = std::fs::metadata(data_dir(cluster).join("store.redb")).expect("there is a store").len();
    let begun = Instant::now();
    cluster.again("n1", 8).await;
    let status = until("the batch to be known", PATIENCE, async || cluster["n1"].api().batch(batch).await.ok()).await;
    println!(
        "  {what}   answers after {:.2} s, {} MB of memory, {:.0} bytes on disk for each",
        begun.elapsed().as_secs_f64(),
        resident(&cluster["n1"]),
        bytes as f64 / f64::from(status.documents)
    );
    status
}

async fn submit(api: &Api, input: &Path, command: &[&str]) -> BatchId {
    let submitted = tokio::process::Command::new(evenkeel_tests::path())
        .args(["submit", "--http", api.base(), "-a"])
        .arg(input)
        .arg("--")
        .args(command)
        .output()
        .await
        .expect("the program starts");
    assert!(submitted.status.success(), "{}", String::from_utf8_lossy(&submitted.stderr));
    String::from_utf8_lossy(&submitted.stdout).trim().parse().expect("submit prints the batch's id")
}

async fn finished(api: &Api, batch: BatchId) {
    until("the batch to finish", PATIENCE, async || {
        api.batch(batch).await.ok().filter(|status| status.state == BatchState::Finished)
    })
    .await;
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Resident memory in megabytes.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("the node lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().next().expect("a number").parse::<u64>().expect("a number") / 1024
}
