//! A disk that changes what is on it while its node is down: nothing is lost, nothing wrong is told, and what was found is named.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_core::ids::{BatchId, NodeId};
use evenkeel_node::api::types::NewBatch;
use evenkeel_tests::whole::all_right;
use evenkeel_tests::{Bulk, Cluster, until};
use rustix::process::Signal;

const SLOTS: u32 = 2;
const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
/// The one with the bad disk.
const VICTIM: &str = "n3";
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of a page of the store, and of a document, so that several share a page or a block.
const PAGE: u64 = 4_096;
const BYTES: usize = 1_500;
const DOCUMENTS: u64 = 500;

/// Pages that are zeroed, one after the other, evenly over the file: trees, journal, results, payloads, or nothing at all.
const PAGES: u64 = 5;

/// How a node ends before its disk is damaged: with a store that the next start must look through, or one that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Left,
}

/// What happens to its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// A byte in the middle of a result has changed.
    Result,
    /// The same of a payload.
    Payload,
    /// A page with a part of a result has become zeros.
    ResultPage,
    /// This one of [`PAGES`] has. It may be free, and then nothing follows from it.
    Page(u64),
}

struct Trial {
    cluster: Cluster,
    bulk: Vec<Bulk>,
    outputs: Vec<String>,
    batch: BatchId,
    command: NewBatch,
    store: PathBuf,
}

/// What a node was found to have made of its disk.
struct Found {
    /// It is another node.
    anew: bool,
    /// What it has logged since it was started.
    log: String,
}

impl Trial {
    async fn new() -> Trial {
        let bulk = Bulk::series(0..DOCUMENTS, BYTES);
        let documents: Vec<_> = bulk.iter().map(Bulk::document).collect();
        let outputs: Vec<String> = bulk.iter().map(Bulk::output).collect();
        // Every node holds everything, and gives up nothing as one copy too many: there is always something to be damaged.
        let copies = NODES.len().to_string();
        let cluster = Cluster::start(&[SLOTS; 4], &[("EVENKEEL_DOCUMENTS__COPIES", &copies)]).await;
        let command = NewBatch::new(Bulk::COMMAND.map(str::to_owned).to_vec());
        let batch = cluster[VICTIM].api().submit(&command, &documents).await.expect("a batch is accepted").batch;
        all_right(&cluster, &NODES, batch, &outputs).await;
        cluster.copied().await;
        let store = cluster.directory().join(VICTIM).join("data").join("store.redb");
        Trial { cluster, bulk, outputs, batch, command, store }
    }

    /// Where some text of some document is in the store: all places, since what was freed may be left elsewhere.
    fn places(bytes: &[u8], mut texts: impl Iterator<Item = String>) -> Vec<u64> {
        let places = |text: String| -> Vec<u64> {
            let part = &text.as_bytes()[BYTES / 2..BYTES / 2 + 40];
            let found = bytes.windows(part.len()).enumerate().filter(|(_, window)| *window == part);
            found.map(|(at, _)| at as u64).collect()
        };
        texts.find_map(|text| Some(places(text)).filter(|places| !places.is_empty())).unwrap_or_default()
    }

    /// Does it, and tells how often.
    fn damage(&self, damage: Damage) -> usize {
        let bytes = std::fs::read(&self.store).expect("the store can be read");
        let file = File::options().write(true).open(&self.store).expect("the store can be written");
        let write = |bytes: &[u8], at| file.write_all_at(bytes, at).expect("the store can be written");
        let flip = |at: u64| write(&[bytes[at as usize] ^ 1], at);
        let zero = |at: u64| write(&[0; PAGE as usize], at / PAGE * PAGE);
        let results = || Trial::places(&bytes, self.bulk.iter().map(Bulk::output));
        let places = match damage {
            Damage::Result | Damage::ResultPage => results(),
            Damage::Payload => Trial::places(&bytes, self.bulk.iter().map(Bulk::payload)),
            Damage::Page(number) => vec![bytes.len() as u64 * number / PAGES],
        };
        match damage {
            Damage::Result | Damage::Payload => places.iter().for_each(|at| flip(*at)),
            Damage::ResultPage | Damage::Page(_) => places.iter().for_each(|at| zero(*at)),
        }
        places.len()
    }

    /// Ends the node, damages its disk, starts it again, and sees that all is right.
    async fn run(&mut self, end: End, damage: Damage) -> Found {
        let Trial { cluster, .. } = self;
        let before = cluster[VICTIM].id().await;
        let said = cluster[VICTIM].log().len();
        match end {
            End::Killed => cluster[VICTIM].kill(),
            End::Left => {
                cluster[VICTIM].signal(Signal::TERM);
                cluster[VICTIM].end(PATIENCE).await;
            }
        }
        assert!(self.damage(damage) > 0, "{end:?}, {damage:?}: there is nothing to damage");
        self.start().await;
        self.serves().await;
        // Writing goes where reading may not have been.
        self.works().await;
        let anew = self.id().await != before;
        let log = self.cluster[VICTIM].log()[said..].to_owned();
        println!("{end:?}, {damage:?}: {}", if anew { "starts anew" } else { "goes on" });
        for line in log.lines().filter(|line| line.contains("damage")) {
            println!("  {}", line.chars().take(200).collect::<String>());
        }
        let times = log.matches("store.redb is damaged").count();
        // Two files are set aside, and each is told of.
        assert!(times == if anew { 2 } else { 0 }, "{end:?}, {damage:?}: {log}");
        self.cluster.copied().await;
        Found { anew, log }
    }

    async fn id(&self) -> NodeId {
        self.cluster[VICTIM].id().await
    }

    async fn start(&mut self) {
        let seed = self.cluster["n1"].address().to_owned();
        self.cluster.add(VICTIM, SLOTS, Some(&seed)).await;
        self.cluster.meet().await;
    }

    /// Everything is told right by it and by another.
    async fn serves(&self) {
        all_right(&self.cluster, &[VICTIM, "n1"], self.batch, &self.outputs).await;
        for number in (0..DOCUMENTS as u32).step_by(100) {
            let payload = self.cluster[VICTIM].api().payload(self.batch, number).await.expect("a payload can be had");
            assert_eq!(payload, self.bulk[number as usize].payload());
        }
    }

    /// Takes a batch through the node. If that comes upon damage, it says that it wants to be started again, which helps.
    async fn works(&mut self) {
        let documents: Vec<_> = self.bulk[..200].iter().map(Bulk::document).collect();
        for _ in 0..5 {
            let submitted = self.cluster[VICTIM].api().submit(&self.command, &documents).await;
            if let Ok(accepted) = &submitted {
                all_right(&self.cluster, &NODES, accepted.batch, &self.outputs[..200]).await;
            }
            let is_ready = until("it to be ready, or to want to be started again", PATIENCE, async || {
                let ready = reqwest::get(format!("{}/readyz", self.cluster[VICTIM].api().base())).await.ok()?;
                let (is_ready, words) = (ready.status().is_success(), ready.text().await.ok()?);
                let wants = words.contains("is damaged where it is written to") && words.contains("restart this node");
                (is_ready || wants).then_some(is_ready)
            })
            .await;
            match (submitted, is_ready) {
                (Ok(_), true) => return,
                (Err(refused), true) => println!("  not taken yet: {refused:#}"),
                (_, false) => {
                    self.cluster[VICTIM].kill();
                    self.start().await;
                }
            }
        }
        panic!("it does not come to take a batch");
    }
}

/// What is damaged in a store that was closed is found when it is read, and got from another holder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_a_closed_store_costs_what_is_damaged() {
    let mut trial = Trial::new().await;
    let found = trial.run(End::Left, Damage::Result).await;
    assert!(!found.anew && found.log.contains("a result is damaged, and held here no longer"), "{}", found.log);
    let found = trial.run(End::Left, Damage::Payload).await;
    assert!(!found.anew && found.log.contains("payloads are damaged, and held here no longer"), "{}", found.log);
    for number in 0..PAGES {
        trial.run(End::Left, Damage::Page(number)).await;
    }
}

/// After a crash all of the file is looked through, and one in which anything is damaged is set aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_found_after_a_crash_sets_the_store_aside() {
    let mut trial = Trial::new().await;
    for damage in [Damage::Result, Damage::Payload, Damage::ResultPage] {
        let found = trial.run(End::Killed, damage).await;
        assert!(found.anew && found.log.contains("set aside"), "{damage:?}: {}", found.log);
    }
    for number in 0..PAGES {
        trial.run(End::Killed, Damage::Page(number)).await;
    }
}
