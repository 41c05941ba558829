//! Load for a long time, with a node killed every so often: what was accepted is done, and memory, descriptors and disk come
//! to rest at a level.
//!
//! `cargo bench -p evenkeel-tests --bench soak [-- MINUTES [SECONDS_BETWEEN_KILLS [PICTURE.svg]]]`. Prints a line a minute,
//! and what the first and the last quarter of the samples have in common.

mod picture;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::BatchId;
use evenkeel_node::api::types::{BatchState, DocumentLine, NewBatch};
use evenkeel_tests::{Cluster, Node};
use picture::{Panel, draw};

const NAMES: [&str; 4] = ["n1", "n2", "n3", "n4"];
const SLOTS: u32 = 2;

/// Documents of a batch, and time between two batches.
const DOCUMENTS: usize = 40;
const BETWEEN: Duration = Duration::from_secs(1);

/// How long batches are kept: from then on nothing should grow.
const KEEP: &str = "2m";

/// Time in which a batch must have ended: less than it is kept.
const PATIENCE: Duration = Duration::from_secs(100);

/// Time for which a killed node is down.
const DOWN: Duration = Duration::from_secs(3);

/// Time between two samples.
const SAMPLE: Duration = Duration::from_secs(10);

/// One node at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    node: usize,
    minute: f64,
    memory_mib: f64,
    descriptors: f64,
    disk_mib: f64,
}

/// One figure of a sample.
type Figure = fn(&Sample) -> f64;

/// What has become of the batches.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    checked: u64,
    poison: u64,
    lost: Vec<BatchId>,
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |place: usize, usual| words.get(place).map_or(usual, |word| word.parse().expect("a number"));
    let (minutes, every) = (number(0, 60), number(1, 20));
    let picture = words.get(2).map(PathBuf::from);

    let mut cluster = Cluster::start(&[SLOTS; 4], &[("EVENKEEL_STORE__KEEP", KEEP)]).await;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(60 * minutes);
    let (mut samples, mut tally, mut open) = (Vec::new(), Tally::default(), VecDeque::new());
    let (mut next_batch, mut next_sample, mut next_kill) = (begun, begun, begun + Duration::from_secs(every));
    let (mut kills, mut told, mut down) = (0_u64, 0, None);
    while Instant::now() < end {
        let now = Instant::now();
        if now >= next_batch {
            next_batch = now + BETWEEN;
            submit(&cluster, &mut tally, &mut open).await;
        }
        if down.is_none() && now >= next_kill {
            next_kill = now + Duration::from_secs(every);
            // Each in turn, beginning anywhere: chance adds nothing over so many.
            let victim = NAMES[(kills as usize * 3 + 1) % NAMES.len()];
            cluster[victim].kill();
            kills += 1;
            down = Some((victim, now + DOWN));
        }
        if let Some((victim, until)) = down
            && now >= until
        {
            cluster.again(victim, SLOTS).await;
            down = None;
        }
        let up = NAMES.iter().position(|name| down.is_none_or(|(victim, _)| victim != *name)).expect("one is down");
        check(&cluster[NAMES[up]], &mut tally, &mut open).await;
        if now >= next_sample {
            next_sample = now + SAMPLE;
            let minute = begun.elapsed().as_secs_f64() / 60.0;
            let up = (0..NAMES.len()).filter(|node| down.is_none_or(|(victim, _)| victim != NAMES[*node]));
            samples.extend(up.filter_map(|node| sample(&cluster, node, minute)));
            if minute as u64 > told {
                told = minute as u64;
                tell(told, kills, &tally, &samples);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    conclude(minutes, kills, &tally, &samples);
    if let Some(picture) = picture {
        std::fs::write(&picture, drawn(&samples, minutes)).expect("the picture can be written");
        println!("picture: {}", picture.display());
    }
    assert!(tally.lost.is_empty(), "batches that were accepted and have not ended: {:?}", tally.lost);
}

/// Submits a batch to some node: the next, if one is down.
async fn submit(cluster: &Cluster, tally: &mut Tally, open: &mut VecDeque<(BatchId, Instant)>) {
    let words: Vec<String> = (0..DOCUMENTS).map(|number| format!("{number}")).collect();
    let documents: Vec<_> = words.iter().map(|word| DocumentLine::new(word.as_bytes(), None)).collect();
    let script = "sleep 0.02; head -c 1500 /dev/urandom | base64";
    let batch = NewBatch::new(["sh", "-c", script, "sh", "{}"].map(str::to_owned).to_vec());
    for step in 0..NAMES.len() {
        let door = NAMES[(tally.accepted as usize + step) % NAMES.len()];
        match cluster[door].api().submit(&batch, &documents).await {
            Ok(accepted) => {
                tally.accepted += 1;
                open.push_back((accepted.batch, Instant::now()));
                return;
            }
            Err(_) => tally.refused += 1,
        }
    }
}

/// Looks at the oldest batches that have not been seen to end.
async fn check(node: &Node, tally: &mut Tally, open: &mut VecDeque<(BatchId, Instant)>) {
    while let Some((batch, since)) = open.front().copied() {
        let finished = node.api().batch(batch).await.is_ok_and(|status| status.state == BatchState::Finished);
        let results = match finished {
            true => node.api().results(batch).await.unwrap_or_default(),
            false => Vec::new(),
        };
        if results.len() == DOCUMENTS {
            let failed = results.iter().filter(|result| result.outcome != Outcome::Done).count();
            tally.poison += failed as u64;
            tally.checked += 1;
        } else if since.elapsed() > PATIENCE {
            tally.lost.push(batch);
        } else {
            return;
        }
        open.pop_front();
    }
}

fn sample(cluster: &Cluster, node: usize, minute: f64) -> Option<Sample> {
    let name = NAMES[node];
    let proc = PathBuf::from(format!("/proc/{}", cluster[name].pid()));
    let pages: f64 = std::fs::read_to_string(proc.join("statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    let descriptors = std::fs::read_dir(proc.join("fd")).ok()?.count() as f64;
    let memory_mib = pages * rustix::param::page_size() as f64 / MIB;
    let disk_mib = disk(&cluster.directory().join(name).join("data")) / MIB;
    Some(Sample { node, minute, memory_mib, descriptors, disk_mib })
}

const MIB: f64 = 1_048_576.0;

/// Bytes that a directory takes on the disk.
fn disk(directory: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.blocks() as f64 * 512.0).sum()
}

fn tell(minute: u64, kills: u64, tally: &Tally, samples: &[Sample]) {
    let last = &samples[samples.len().saturating_sub(NAMES.len())..];
    let most = |what: Figure| last.iter().map(what).fold(0.0, f64::max);
    println!(
        "{minute} min: {kills} kills, {} batches accepted, {} checked, {} lost; at most {:.0} MiB of memory, {:.0} \
         descriptors, {:.0} MiB of disk",
        tally.accepted,
        tally.checked,
        tally.lost.len(),
        most(|sample| sample.memory_mib),
        most(|sample| sample.descriptors),
        most(|sample| sample.disk_mib),
    );
}

fn conclude(minutes: u64, kills: u64, tally: &Tally, samples: &[Sample]) {
    println!(
        "{minutes} minutes, {kills} kills: {} batches of {DOCUMENTS} accepted, {} seen done, {} documents given up as \
         poison, {} lost; {} refusals by nodes that were down or going down",
        tally.accepted,
        tally.checked,
        tally.poison,
        tally.lost.len(),
        tally.refused
    );
    let quarter = samples.len() / 4;
    let middle = |part: &[Sample], what: Figure| {
        let mut values: Vec<f64> = part.iter().map(what).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let all: [(&str, Figure); 3] = [
        ("memory, MiB", |sample| sample.memory_mib),
        ("descriptors", |sample| sample.descriptors),
        ("disk, MiB", |sample| sample.disk_mib),
    ];
    for (name, what) in all {
        let parts = samples.chunks(quarter.max(1)).take(4).map(|part| format!("{:.0}", middle(part, what)));
        println!("  {name}: median in each quarter {}", parts.collect::<Vec<_>>().join(", "));
    }
}

fn drawn(samples: &[Sample], minutes: u64) -> String {
    let lines = |what: Figure| {
        (0..NAMES.len())
            .map(|node| {
                let own = samples.iter().filter(|sample| sample.node == node);
                own.map(|sample| (sample.minute, what(sample))).collect()
            })
            .collect()
    };
    draw(
        minutes as f64,
        &[
            Panel { title: "memory of each node, MiB", lines: lines(|sample| sample.memory_mib) },
            Panel { title: "open files of each node", lines: lines(|sample| sample.descriptors) },
            Panel { title: "data directory of each node, MiB on the disk", lines: lines(|sample| sample.disk_mib) },
        ],
    )
}
