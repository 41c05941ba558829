//! `submit --resume`: what the cluster has is not submitted again, whatever became of its nodes and of the input meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use evenkeel_tests::{Cluster, Ended, command, until};

const SLOTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// How often each word was run.
fn runs(log: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(log).expect("the log can be read");
    text.lines().fold(BTreeMap::new(), |mut runs, word| {
        *runs.entry(word.to_owned()).or_default() += 1;
        runs
    })
}

/// Kills all nodes at once, and starts them again, with no seed but what they remember.
async fn restart(cluster: &mut Cluster) {
    for name in NODES {
        let peers = cluster.directory().join(name).join("data/peers");
        until(&format!("{name} to note where the others are"), PATIENCE, async || {
            std::fs::read_to_string(&peers).ok().filter(|noted| noted.lines().count() == NODES.len() - 1)
        })
        .await;
    }
    NODES.iter().for_each(|name| cluster[name].kill());
    for name in NODES {
        cluster.again(name, SLOTS).await;
    }
    cluster.meet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_has_is_not_submitted_again() {
    let mut cluster = Cluster::start(&[SLOTS; 3], &[]).await;
    let at = |name: &str| cluster.directory().join(name);
    let (input, log, mended) = (at("input"), at("log"), at("mended"));
    std::fs::write(&log, "").expect("a file can be written");
    let (shown_log, shown_mended) = (log.display(), mended.display());
    // Those that are bad fail until they are mended.
    let script =
        format!("echo \"$1\" >> '{shown_log}'; sleep 0.05; case $1 in bad*) test -e '{shown_mended}';; *) true;; esac");
    let submit = |cluster: &Cluster, node: &str, wait: bool| {
        let words = ["submit", "--resume", "--http", cluster[node].api().base(), "-a", input.to_str().expect("plain")];
        let words = words.iter().copied().chain(wait.then_some("--wait"));
        let words = words.chain(["--", "sh", "-c", &script, "sh", "{}"]);
        Ended::of(command(words).output().expect("it runs"))
    };
    let words: Vec<String> = (0..240).map(|number| format!("w{number}")).collect();
    std::fs::write(&input, words.join("\n")).expect("a file can be written");

    // Nothing is known of it yet.
    let first = submit(&cluster, "n1", false).with(0);
    let batch = first.text().trim().to_owned();
    let id = batch.parse().expect("the id of a batch");
    until("some documents to end", PATIENCE, async || {
        let status = cluster["n1"].api().batch(id).await.ok()?;
        (status.documents - status.pending >= 60).then_some(())
    })
    .await;
    restart(&mut cluster).await;

    // All of it is known, whatever of it has run; and it is waited for.
    let again = tokio::task::block_in_place(|| submit(&cluster, "n2", true)).with(0);
    assert_eq!(again.text().trim(), batch);
    let told = format!("nothing new to submit: left out 240 documents that are already in batch {batch}");
    assert!(again.stderr.contains(&told), "{}", again.stderr);
    let runs_then = runs(&log);
    assert_eq!(runs_then.len(), 240);
    // What ran when the nodes were killed has run again.
    let most = 240 + NODES.len() * SLOTS as usize;
    assert!(runs_then.values().sum::<usize>() <= most, "{runs_then:?}");

    // The input in another order, with something new in it: only that is submitted.
    let bad = (0..3).map(|number| format!("bad{number}"));
    let more = words.iter().rev().cloned().chain((0..10).map(|number| format!("new{number}"))).chain(bad);
    std::fs::write(&input, more.collect::<Vec<_>>().join("\n")).expect("a file can be written");
    let grown = tokio::task::block_in_place(|| submit(&cluster, "n3", true)).with(3);
    let batches: Vec<&str> = grown.text().lines().collect();
    let second = batches[0].to_owned();
    assert_eq!(batches[1..], [batch.as_str()], "then where the rest is");
    assert!(
        grown.stderr.contains(&format!("left out 240 documents that are already in batch {batch}")),
        "{}",
        grown.stderr
    );
    assert!(grown.stderr.contains(&format!("batch {second} accepted: 13 documents")), "{}", grown.stderr);
    assert!(grown.stderr.contains("10 done, 3 failed"), "{}", grown.stderr);

    // What failed is submitted again, also after all nodes were killed; that it failed before is forgiven.
    restart(&mut cluster).await;
    // Until its node has heard that a document failed, it holds it to be under way.
    let ended = second.parse().expect("the id of a batch");
    until("n1 to have heard of all ends", PATIENCE, async || {
        cluster["n1"].api().batch(ended).await.ok().filter(|status| status.pending == 0)
    })
    .await;
    std::fs::write(&mended, "").expect("a file can be written");
    let last = tokio::task::block_in_place(|| submit(&cluster, "n1", true)).with(0);
    assert!(last.stderr.contains("accepted: 3 documents"), "{}", last.stderr);
    let told = format!("left out 250 documents that are already in batches {batch}, {second}");
    assert!(last.stderr.contains(&told), "{}", last.stderr);
    let runs = runs(&log);
    let of = |word: String| runs[&word];
    assert!(words.iter().all(|word| runs[word] == runs_then[word]), "{runs:?}");
    assert!((0..10).all(|number| of(format!("new{number}")) == 1), "{runs:?}");
    assert!((0..3).all(|number| of(format!("bad{number}")) == 2), "{runs:?}");
}
