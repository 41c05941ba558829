//! Several daemons with one secret, in one temporary directory.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_net::Secret;
use evenkeel_node::api::types::NodeState;
use tempfile::TempDir;

use crate::{Disk, Node, Setting, until};

/// Time that nodes have to meet.
const MEETING: Duration = Duration::from_secs(30);

/// Time in which what a lost node held is copied anew.
const COPYING: Duration = Duration::from_secs(60);

/// Quick gossip, and deaths found within seconds: otherwise the defaults.
const QUICK: [Setting<'static>; 3] = [
    ("EVENKEEL_GOSSIP__INTERVAL", "100ms"),
    ("EVENKEEL_GOSSIP__DETECTION", "3s"),
    ("EVENKEEL_BALANCE__TAKEOVER_DELAY", "500ms"),
];

/// Daemons by name. All are killed when it is dropped, and their logs shown if that is in a panic.
#[derive(Debug)]
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    directory: TempDir,
    settings: Vec<(String, String)>,
}

impl Cluster {
    /// A cluster without nodes, whose nodes will have these settings beside the quick ones.
    pub fn new(settings: &[Setting<'_>]) -> Cluster {
        let directory = tempfile::Builder::new().prefix("evenkeel-test-").tempdir().expect("a temporary directory");
        write_secret(&directory.path().join("secret"));
        let settings =
            QUICK.iter().chain(settings).map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Cluster { nodes: BTreeMap::new(), directory, settings }
    }

    /// Nodes `n1`, `n2` and so on with so many slots each, all but the first pointed at the first, that have met.
    pub async fn start(slots: &[u32], settings: &[Setting<'_>]) -> Cluster {
        let mut cluster = Cluster::new(settings);
        for (place, slots) in slots.iter().enumerate() {
            let seed = cluster.nodes.get("n1").map(|node| node.address().to_owned());
            cluster.add(&format!("n{}", place + 1), *slots, seed.as_deref()).await;
        }
        cluster.meet().await;
        cluster
    }

    /// Starts a node that knows of the others what its seed will tell it.
    pub async fn add(&mut self, name: &str, slots: u32, seed: Option<&str>) -> &mut Node {
        self.add_at(None, ["127.0.0.1:0"; 2], name, slots, seed).await
    }

    /// The same, with its data directory on a disk of its own.
    pub async fn add_on(&mut self, disk: Disk, name: &str, slots: u32, seed: Option<&str>) -> &mut Node {
        self.add_at(Some(disk), ["127.0.0.1:0"; 2], name, slots, seed).await
    }

    /// Starts a node again that was killed, at the addresses that it had, and with no seed: what it knows of the others is on
    /// its disk.
    pub async fn again(&mut self, name: &str, slots: u32) -> &mut Node {
        let (listen, http) = (self[name].address().to_owned(), self[name].api().base().to_owned());
        let http = http.strip_prefix("http://").expect("a node serves HTTP");
        self.add_at(None, [&listen, http], name, slots, None).await
    }

    async fn add_at(
        &mut self,
        disk: Option<Disk>,
        at: [&str; 2],
        name: &str,
        slots: u32,
        seed: Option<&str>,
    ) -> &mut Node {
        let (slots, secret) = (slots.to_string(), self.secret_file());
        let secret = secret.to_str().expect("a temporary directory has a plain name");
        let mut arguments = vec!["--max-process", &slots, "--secret-file", secret];
        arguments.extend(seed.into_iter().flat_map(|seed| ["--seed", seed]));
        let settings: Vec<Setting<'_>> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let node = Node::start_on(disk, at, name, self.directory.path(), &arguments, &settings).await;
        self.nodes.entry(name.to_owned()).insert_entry(node).into_mut()
    }

    /// Waits until every node sees every other live, and knows its load.
    pub async fn meet(&self) {
        for node in self.nodes.values() {
            until(&format!("{node} to meet the others"), MEETING, async || {
                let nodes = node.api().nodes().await.ok()?.nodes;
                let met = |name: &String| {
                    let live = nodes.iter().find(|node| node.name == *name && node.state == NodeState::Live);
                    live.is_some_and(|node| node.max_process > 0)
                };
                self.nodes.keys().all(met).then_some(())
            })
            .await;
        }
    }

    /// Waits until everything that any node holds has as many copies as it should.
    pub async fn copied(&self) {
        until("all copies to be there", COPYING, async || {
            for node in self.nodes.values() {
                if node.api().metric("evenkeel_copies_missing").await.ok()? > 0.0 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// The nodes that were started and not forgotten.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Forgets a node that has ended.
    pub fn forget(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file with the cluster's secret.
    pub fn secret_file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }
}

/// Writes a new secret into a new file that only its owner can read.
pub fn write_secret(path: &Path) {
    use std::io::Write;
    let secret = Secret::generate().expect("random numbers");
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o600).open(path).expect("a new file");
    writeln!(file, "{}", secret.expose().as_str()).expect("a small file can be written");
}

impl Index<&str> for Cluster {
    type Output = Node;

    fn index(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }
}

impl IndexMut<&str> for Cluster {
    fn index_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }
}
