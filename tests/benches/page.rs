//! What the page costs: bytes to load it, bytes a second to keep it up to date, and the node's time for one and for ten of
//! them; with a made-up cluster of a hundred nodes, and with four real nodes. A million documents in both.
//!
//! `cargo bench -p evenkeel-tests --bench page [-- SECONDS]`: so long for each figure.

mod cost;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_tests::{Cluster, Crowd, Node, until};

const DOCUMENTS: u32 = 1_000_000;
const NODES: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let seconds: u64 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(20);
    let window = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    crowd(&runtime, window);
    runtime.block_on(real(window));
}

/// One server on a thread of its own, whose time is measured; those who watch are elsewhere.
fn crowd(runtime: &tokio::runtime::Runtime, window: Duration) {
    let (address, served) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let serving = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        serving.block_on(async {
            let crowd = Crowd::new(NODES, DOCUMENTS);
            let _ = address.send((crowd.serve().await, thread()));
            std::future::pending::<()>().await;
        });
    });
    let (address, thread): (SocketAddr, String) = served.recv().expect("it serves");
    let base = format!("http://{address}");
    runtime.block_on(load(&base));
    println!("{NODES} made-up nodes, {DOCUMENTS} documents, of which {:.0} end a second", f64::from(DOCUMENTS) / 600.0);
    runtime.block_on(async {
        let quiet = share(&thread, window).await;
        println!(
            "  node's time while nobody watches          {:>8.2} %   (the events are published all the same)",
            quiet * 100.0
        );
        for pages in [1, 10] {
            let watching = Watching::begin(&base, "/v1/live", pages).await;
            let busy = share(&thread, window).await;
            let (first, rate) = watching.end();
            println!("  {pages:>2} pages: first picture, each              {:>8.1} KiB", first / 1024.0);
            println!("            changes, each                    {:>8.1} KiB/s", rate / 1024.0);
            println!("            node's time for them             {:>8.2} %", (busy - quiet) * 100.0);
        }
        let watching = Watching::begin(&base, "/v1/events", 1).await;
        let busy = share(&thread, window).await;
        let (_, rate) = watching.end();
        println!(
            "  /v1/events instead, one reader: {:.1} KiB/s, node's time {:.2} %",
            rate / 1024.0,
            (busy - quiet) * 100.0
        );
    });
}

/// What a browser loads that has nothing yet, and one that has it all.
async fn load(base: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let page = client.get(base).send().await.expect("an answer").text().await.expect("text");
    let mut names: Vec<&str> = page.split('"').filter(|word| word.starts_with("/page/")).collect();
    names.sort_unstable();
    names.dedup();
    let (mut bytes, mut unchanged) = (page.len(), 0);
    for name in &names {
        let first = client.get(format!("{base}{name}")).send().await.expect("an answer");
        let tag = first.headers()["etag"].clone();
        bytes += first.bytes().await.expect("bytes").len();
        let again = client.get(format!("{base}{name}")).header("if-none-match", tag).send().await.expect("an answer");
        unchanged += u32::from(again.status() == reqwest::StatusCode::NOT_MODIFIED);
    }
    println!(
        "the page: {:.1} KiB in {} files; loaded again, {unchanged} of {} are unchanged",
        bytes as f64 / 1024.0,
        names.len() + 1,
        names.len()
    );
}

/// Four daemons, as they are.
async fn real(window: Duration) {
    let cluster = Cluster::start(&[4, 4, 4, 4], &[]).await;
    let nodes: Vec<&Node> = cluster.nodes().collect();
    let input = cost::lines(DOCUMENTS as usize);
    let submitted = tokio::process::Command::new(evenkeel_tests::path())
        .args(["submit", "--http", nodes[1].api().base(), "-a"])
        .arg(&input)
        .args(["--", "sleep", "0.2"])
        .output()
        .await
        .expect("the program starts");
    assert!(submitted.status.success(), "{}", String::from_utf8_lossy(&submitted.stderr));
    let batch = String::from_utf8_lossy(&submitted.stdout).trim().parse().expect("submit prints the batch's id");
    for node in &nodes {
        let last = async || node.api().explain(batch, DOCUMENTS - 1).await.ok();
        until("the whole batch to be known", PATIENCE, last).await;
    }
    let process = format!("/proc/{}/stat", nodes[0].pid());
    println!("four real nodes, {DOCUMENTS} documents of 0.2 s, 16 at a time");
    let quiet = share(&process, window).await;
    println!("  node's time while nobody watches          {:>8.2} %", quiet * 100.0);
    for pages in [1, 10] {
        let watching = Watching::begin(nodes[0].api().base(), "/v1/live", pages).await;
        let busy = share(&process, window).await;
        let (first, rate) = watching.end();
        println!("  {pages:>2} pages: first picture, each              {:>8.1} KiB", first / 1024.0);
        println!("            changes, each                    {:>8.1} KiB/s", rate / 1024.0);
        println!("            node's time for them             {:>8.2} %", (busy - quiet) * 100.0);
    }
    let begun = Instant::now();
    let url = format!("{}/v1/batches/{batch}/documents?state=failed", nodes[0].api().base());
    let page = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    println!(
        "  a search of all for a state that none has  {:>8.1} ms   ({})",
        begun.elapsed().as_secs_f64() * 1e3,
        page.len()
    );
    let _ = std::fs::remove_file(input);
}

/// Where this thread's figures are.
fn thread() -> String {
    let me = std::fs::read_link("/proc/thread-self").expect("procfs");
    format!("/proc/{}/stat", me.display())
}

/// Share of a processor that something takes from now on.
async fn share(stat: &str, window: Duration) -> f64 {
    let (begun, before) = (Instant::now(), ticks(stat));
    tokio::time::sleep(window).await;
    // A tick is a hundredth of a second on every Linux that there is.
    (ticks(stat) - before) as f64 / 100.0 / begun.elapsed().as_secs_f64()
}

fn ticks(stat: &str) -> u64 {
    let stat = std::fs::read_to_string(stat).expect("procfs");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// Pages that watch, and what they have read.
struct Watching {
    begun: Instant,
    first: u64,
    read: Arc<AtomicU64>,
    pages: usize,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Watching {
    /// Opens the streams and reads the first frame of each.
    async fn begin(base: &str, path: &str, pages: usize) -> Watching {
        let read = Arc::new(AtomicU64::new(0));
        let mut readers = Vec::new();
        let mut first = 0;
        for _ in 0..pages {
            let mut response = reqwest::get(format!("{base}{path}")).await.expect("an answer");
            let mut text = Vec::new();
            while !text.ends_with(b"\n\n") {
                text.extend_from_slice(&response.chunk().await.expect("a chunk").expect("more"));
            }
            first += text.len() as u64;
            let read = Arc::clone(&read);
            readers.push(tokio::spawn(async move {
                while let Ok(Some(chunk)) = response.chunk().await {
                    read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
            }));
        }
        Watching { begun: Instant::now(), first, read, pages, readers }
    }

    /// Bytes of the first frame, and bytes a second since, of each.
    fn end(self) -> (f64, f64) {
        let rate = self.read.load(Ordering::Relaxed) as f64 / self.begun.elapsed().as_secs_f64();
        self.readers.iter().for_each(|reader| reader.abort());
        (self.first as f64 / self.pages as f64, rate / self.pages as f64)
    }
}
