//! What was accepted, and what was reported done, survives whatever becomes of processes and disks.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, NodeId};
use evenkeel_net::records::Exit;
use evenkeel_node::api::types::{NewBatch, NodeState};
use evenkeel_tests::whole::{all_right, finished};
use evenkeel_tests::{Cluster, Starts, Sum, until};

const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(180);

const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// Every document has its result, and the right one, whichever node is asked.
async fn check(cluster: &Cluster, names: &[&str], batch: BatchId, sums: &[Sum]) {
    let outputs: Vec<String> = sums.iter().map(Sum::output).collect();
    all_right(cluster, names, batch, &outputs).await;
}

/// All four are killed at one moment and started again, ten times in one batch, with no seed but what they remember.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_survives_ten_deaths_of_all_nodes() {
    let sums = Sum::series(4_000);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let mut cluster = Cluster::start(&[SLOTS; 4], &[]).await;
    let starts = Starts::new(&cluster.directory().join("starts"));
    let batch = NewBatch::new(starts.command(&format!("sleep 0.02; {}", Sum::SCRIPT)));
    let batch = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted");
    assert_eq!((batch.copies, &batch.warning), (2, &None));
    let batch = batch.batch;
    for round in 1..=10_u32 {
        until("some more documents to end", PATIENCE, async || {
            let status = cluster["n1"].api().batch(batch).await.ok()?;
            (status.documents - status.pending >= 300 * round).then_some(())
        })
        .await;
        NODES.iter().for_each(|name| cluster[name].kill());
        for name in NODES {
            cluster.again(name, SLOTS).await;
        }
    }
    check(&cluster, &NODES, batch, &sums).await;
    let mut by_document: BTreeMap<u32, u32> = BTreeMap::new();
    starts.read().into_iter().for_each(|start| *by_document.entry(start.document).or_default() += 1);
    let again: u32 = by_document.values().map(|starts| starts - 1).sum();
    println!("{again} started again in ten deaths of all");
    assert!(again <= 10 * 4 * SLOTS, "{again} started again, and no more than {} ran when they died", 10 * 4 * SLOTS);
}

/// Alone, with one copy of everything: what the disk has is all there is.
#[tokio::test]
async fn a_single_node_goes_on_where_it_was_killed() {
    let sums = Sum::series(300);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let mut cluster = Cluster::start(&[SLOTS], &[]).await;
    let command = ["sh", "-c", &format!("sleep 0.02; {}", Sum::SCRIPT), "sh", "{}"].map(str::to_owned).to_vec();
    let batch = cluster["n1"].api().submit(&NewBatch::new(command), &documents).await.expect("accepted").batch;
    let id = cluster["n1"].id().await;
    for part in [50, 150] {
        until("some documents to end", PATIENCE, async || {
            let status = cluster["n1"].api().batch(batch).await.ok()?;
            (status.documents - status.pending >= part).then_some(())
        })
        .await;
        cluster["n1"].kill();
        cluster.again("n1", SLOTS).await;
        assert_eq!(cluster["n1"].id().await, id, "it is the same node");
    }
    check(&cluster, &["n1"], batch, &sums).await;
    // And what is finished stays so.
    cluster["n1"].kill();
    cluster.again("n1", SLOTS).await;
    check(&cluster, &["n1"], batch, &sums).await;
}

/// One node's disk is lost while it is down, another's is damaged: both come back as new nodes, and nothing is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_damaged_disks_cost_nothing() {
    let sums = Sum::series(2_000);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let mut cluster = Cluster::start(&[SLOTS; 4], &[]).await;
    let command = ["sh", "-c", &format!("sleep 0.02; {}", Sum::SCRIPT), "sh", "{}"].map(str::to_owned).to_vec();
    let batch = cluster["n1"].api().submit(&NewBatch::new(command), &documents).await.expect("accepted").batch;
    let seed = cluster["n1"].address().to_owned();
    let ended = async |cluster: &Cluster, part: u32| {
        until("some documents to end", PATIENCE, async || {
            let status = cluster["n1"].api().batch(batch).await.ok()?;
            (status.documents - status.pending >= part).then_some(())
        })
        .await;
    };
    // Each time copies must be made anew of what the node had: two disks that are lost before that are one too many.
    let copied = async |cluster: &Cluster, lost: NodeId| {
        until("its death to be noticed everywhere", PATIENCE, async || {
            for name in NODES {
                let nodes = cluster[name].api().nodes().await.ok()?.nodes;
                let seen = nodes.iter().find(|node| node.id == lost);
                // Who has never met it has nothing of its to copy.
                if seen.is_some_and(|node| node.state != NodeState::Dead) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        cluster.copied().await;
    };
    let data = |cluster: &Cluster, name: &str| cluster.directory().join(name).join("data");

    ended(&cluster, 300).await;
    let before = cluster["n2"].id().await;
    cluster["n2"].kill();
    std::fs::remove_dir_all(data(&cluster, "n2")).expect("its directory can be removed");
    cluster.add("n2", SLOTS, Some(&seed)).await;
    assert_ne!(cluster["n2"].id().await, before, "without its disk it is another node");
    copied(&cluster, before).await;

    ended(&cluster, 700).await;
    let before = cluster["n3"].id().await;
    cluster["n3"].kill();
    let store = data(&cluster, "n3").join("store.redb");
    let bytes = std::fs::read(&store).expect("its store can be read");
    std::fs::write(&store, &bytes[..bytes.len() / 2]).expect("its store can be cut off");
    cluster.add("n3", SLOTS, Some(&seed)).await;
    assert_ne!(cluster["n3"].id().await, before, "a node whose store is damaged starts anew");
    assert!(data(&cluster, "n3").join("store.redb.damaged-1").exists(), "and what is damaged is kept");
    let log = cluster["n3"].log();
    assert!(log.contains("store.redb is damaged") && log.contains("set aside"), "{log}");
    copied(&cluster, before).await;

    ended(&cluster, 1_100).await;
    let before = cluster["n4"].id().await;
    cluster["n4"].kill();
    std::fs::remove_file(data(&cluster, "n4").join("store.redb")).expect("its store can be removed");
    cluster.add("n4", SLOTS, Some(&seed)).await;
    let log = cluster["n4"].log();
    assert!(log.contains("store.redb is missing"), "{log}");
    assert_ne!(cluster["n4"].id().await, before, "without its store it is another node");

    check(&cluster, &NODES, batch, &sums).await;
}

/// One node's disk is full for a while: nothing is lost, others do its work, and it goes on by itself when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_worked_around() {
    // Less than the store has already: whatever it writes fails. Its log has room.
    const FULL: u64 = 16 << 10;
    let sums = Sum::series(1_200);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let command = ["sh", "-c", &format!("sleep 0.02; {}", Sum::SCRIPT), "sh", "{}"].map(str::to_owned).to_vec();
    let batch = NewBatch::new(command);
    let ready = async |name: &str| reqwest::get(format!("{}/readyz", cluster[name].api().base())).await.ok();
    assert!(ready("n2").await.is_some_and(|answer| answer.status().is_success()));

    let first = cluster["n1"].api().submit(&batch, &documents).await.expect("a batch is accepted").batch;
    cluster["n2"].limit_files(Some(FULL));
    let words = until("the node to say that its disk is full", PATIENCE, async || {
        let answer = ready("n2").await.filter(|answer| !answer.status().is_success())?;
        answer.text().await.ok()
    })
    .await;
    assert!(words.contains("cannot write to the data directory"), "{words}");
    let failing = async || cluster["n2"].api().metric("evenkeel_store_failing").await.expect("it answers") == 1.0;
    assert!(failing().await);
    let refused = cluster["n2"].api().submit(&batch, &documents).await.expect_err("it takes nothing");
    assert!(format!("{refused:#}").contains("cannot write to the data directory"), "{refused:#}");
    until("the others to know that it takes nothing", PATIENCE, async || {
        let nodes = cluster["n1"].api().nodes().await.ok()?.nodes;
        nodes.iter().find(|node| node.name == "n2" && node.state == NodeState::Draining).map(|_| ())
    })
    .await;
    // All of its work is done elsewhere, and can be read.
    check(&cluster, &["n1", "n3"], first, &sums).await;

    cluster["n2"].limit_files(None);
    until("the node to be ready again", PATIENCE, async || {
        ready("n2").await.filter(|answer| answer.status().is_success())
    })
    .await;
    assert!(!failing().await);
    until("the others to know it", PATIENCE, async || {
        let nodes = cluster["n1"].api().nodes().await.ok()?.nodes;
        nodes.iter().find(|node| node.name == "n2" && node.state == NodeState::Live).map(|_| ())
    })
    .await;
    let before = cluster["n2"].api().nodes().await.expect("it answers").nodes;
    let before = before.iter().find(|node| node.is_self).expect("a node knows itself").started;
    let second = cluster["n2"].api().submit(&batch, &documents).await.expect("it takes batches again").batch;
    check(&cluster, &["n1", "n2", "n3"], second, &sums).await;
    let after = cluster["n2"].api().nodes().await.expect("it answers").nodes;
    let after = after.iter().find(|node| node.is_self).expect("a node knows itself").started;
    assert!(after > before, "it starts documents again");
    let log = cluster["n2"].log();
    assert!(log.contains("can be written to again"), "{log}");
}

/// Random nodes of four are killed again and again while clients submit, some of which are cut off in the midst of it. What was
/// accepted has exactly one outcome, and its result can be read. EVENKEEL_KILLS says how often; EVENKEEL_SEED which nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_under_random_kills_is_done() {
    const DOCUMENTS: u32 = 60;
    let number = |name: &str, usual| {
        std::env::var(name).map_or(usual, |text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (kills, mut chance) = (number("EVENKEEL_KILLS", 8), number("EVENKEEL_SEED", 1));
    let mut below = move |bound: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % bound
    };
    let sums = Sum::series(DOCUMENTS);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let command = ["sh", "-c", &format!("sleep 0.03; {}", Sum::SCRIPT), "sh", "{}"].map(str::to_owned).to_vec();
    // One may be killed three times in a row while it runs the same document, and not because of that.
    let batch = NewBatch::new(command);
    let mut cluster = Cluster::start(&[SLOTS; 4], &[]).await;
    let (mut accepted, mut unknown) = (Vec::new(), 0);
    let begun = std::time::Instant::now();
    for _ in 0..kills {
        let victim = NODES[below(4) as usize];
        let door = NODES[below(4) as usize];
        let api = cluster[door].api().clone();
        let submitting = api.submit(&batch, &documents);
        let cut = Duration::from_millis(below(120));
        tokio::pin!(submitting);
        // Killed at a random moment of a submission; if it is the one that takes it, its client may never hear of it.
        let early = tokio::time::timeout(cut, &mut submitting).await;
        cluster[victim].kill();
        match match early {
            Ok(answer) => Ok(answer),
            Err(_) => tokio::time::timeout(PATIENCE, submitting).await,
        } {
            Ok(Ok(answer)) => accepted.push(answer.batch),
            Ok(Err(_)) if door == victim => unknown += 1,
            Ok(Err(error)) => {
                // A holder that dies in the midst of it is replaced; nothing else may refuse it.
                panic!("{door} lives and refuses a batch: {error:#}");
            }
            Err(_) => panic!("{door} lives and does not answer"),
        }
        tokio::time::sleep(Duration::from_millis(below(1_500))).await;
        cluster.again(victim, SLOTS).await;
        tokio::time::sleep(Duration::from_millis(below(1_000))).await;
    }
    for batch in &accepted {
        check_done(&cluster, *batch, &sums).await;
    }
    println!(
        "{kills} kills in {:.0} s: {} batches accepted and done, {unknown} whose client was cut off",
        begun.elapsed().as_secs_f64(),
        accepted.len()
    );
    assert!(accepted.len() as u64 >= kills / 2, "{} of {kills} were accepted", accepted.len());
}

/// Every document has its result, or was running three times in a row where its node was killed.
async fn check_done(cluster: &Cluster, batch: BatchId, sums: &[Sum]) {
    finished(cluster, "n1", batch).await;
    let results = until("all results to be found", PATIENCE, async || {
        cluster["n1"].api().results(batch).await.ok().filter(|results| results.len() == sums.len())
    })
    .await;
    for (result, sum) in results.iter().zip(sums) {
        if result.exit == Exit::Poison {
            continue;
        }
        assert_eq!(result.outcome, Outcome::Done, "{result:?}");
        assert_eq!(result.stdout.as_deref(), Some(sum.output().as_str()), "{result:?}");
    }
}

/// What a node leaves behind can be looked at, and damage in it is named; while a node uses it, it cannot.
#[tokio::test]
async fn a_store_can_be_looked_at() {
    let sums = Sum::series(200);
    let documents: Vec<_> = sums.iter().map(Sum::document).collect();
    let mut cluster = Cluster::start(&[SLOTS], &[]).await;
    let command = ["sh", "-c", Sum::SCRIPT, "sh", "{}"].map(str::to_owned).to_vec();
    let batch = cluster["n1"].api().submit(&NewBatch::new(command), &documents).await.expect("accepted").batch;
    check(&cluster, &["n1"], batch, &sums).await;
    let data = cluster.directory().join("n1").join("data");
    let store = |what: &str, more: &[&str]| {
        let output = evenkeel_tests::command(["store", what]).arg(&data).args(more).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, _, said) = store("check", &[]);
    assert!(status == Some(1) && said.contains("is in use by process"), "{said}");

    cluster["n1"].kill();
    let (status, _, said) = store("check", &[]);
    assert!(status == Some(0) && said.contains("is good") && said.contains("200 results"), "{said}");
    let (status, table, _) = store("stats", &[]);
    assert!(status == Some(0) && table.contains(&batch.to_string()) && table.contains("journal "), "{table}");
    let (_, json, _) = store("stats", &["--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["batches"][0]["batch"], &json["batches"][0]["results"]),
        (&batch.to_string().into(), &200.into())
    );

    // In the middle of some result.
    let file = data.join("store.redb");
    let mut bytes = std::fs::read(&file).expect("the store can be read");
    let output = sums[150].output();
    let at = bytes.windows(output.len()).position(|part| part == output.as_bytes()).expect("it is there as it is");
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).expect("the store can be written");
    let (status, _, said) = store("check", &[]);
    assert!(status == Some(1) && said.contains("damaged: "), "{said}");
    assert_eq!(std::fs::read(&file).expect("the store can be read"), bytes, "nothing is changed");
}
