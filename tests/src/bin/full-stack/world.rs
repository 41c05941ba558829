//! One simulated world: hosts that each run the daemon, and an operator who submits work, breaks things, and looks at
//! what became of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, ensure};
use evenkeel_net::{Keyring, Network, Secret};
use evenkeel_node::config::Config;
use evenkeel_node::daemon::{Daemon, Options};
use tempfile::TempDir;
use turmoil::Sim;

use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::panics;
use crate::schedule::Schedule;
use crate::surroundings::{Networks, SimulatedHost};

/// The port that every node listens on.
const PORT: u16 = 7400;

/// Virtual time after which a story that has not ended has failed.
const LONGEST: Duration = Duration::from_secs(600);

/// How far each host is simulated at a time. A datagram takes one at least.
const TICK: Duration = Duration::from_millis(1);

/// Datagrams that wait at one host; a loss beyond that would be the simulation's doing and not the network's.
const UDP_CAPACITY: usize = 4096;

/// The bounds between which a seed chooses the longest time that a datagram takes, in milliseconds.
const LATENCY_MILLIS: (u64, u64) = (2, 30);

/// How likely a link that broke off by chance is to be whole again, for each datagram.
const REPAIR_RATE: f64 = 0.3;

/// When all simulations begin: 2026.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// What the operator does.
pub(crate) type Play = fn(World) -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// A story: hosts `n1`, `n2` and so on with so many slots each, and what the operator does with them.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) slots: &'static [u32],
    pub(crate) play: Play,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) events: u64,
    pub(crate) hash: u64,
}

/// What only the simulation itself can do.
enum Fault {
    Crash(String),
    Bounce(String),
    Losses(f64),
}

/// Handles of one world.
#[derive(Clone)]
pub(crate) struct World(Rc<Inner>);

struct Inner {
    slots: BTreeMap<String, u32>,
    secret: Secret,
    directory: TempDir,
    schedule: Schedule,
    ledger: Ledger,
    chance: RefCell<Chance>,
    daemons: RefCell<BTreeMap<String, Daemon>>,
    networks: Networks,
    faults: RefCell<VecDeque<Fault>>,
}

/// Plays a story to its end. Must be called on a thread whose random numbers follow from `seed`.
pub(crate) fn run(story: &Story, seed: u64, print: bool) -> anyhow::Result<Outcome> {
    let mut chance = Chance::new(seed);
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(chance.next())
        .epoch(SystemTime::UNIX_EPOCH + EPOCH)
        .simulation_duration(LONGEST)
        .tick_duration(TICK)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::from_millis(chance.between(LATENCY_MILLIS)))
        .repair_rate(REPAIR_RATE)
        .udp_capacity(UDP_CAPACITY)
        .enable_random_order();
    let mut sim = builder.build();
    let world = World::new(story, chance, print)?;
    for name in world.hosts() {
        let world = world.clone();
        sim.host(name.clone(), move || live(world.clone(), name.clone()));
    }
    let play = (story.play)(world.clone());
    sim.client("operator", async move { Ok(play.await?) });
    let elapsed = world.simulate(&mut sim)?;
    let (hash, events) = world.0.schedule.sum();
    Ok(Outcome { elapsed, events, hash })
}

/// A host's software: the daemon, until it leaves.
async fn live(world: World, name: String) -> turmoil::Result {
    let surroundings = SimulatedHost {
        name: name.clone(),
        slots: world.slots(&name),
        ledger: world.0.ledger.clone(),
        schedule: world.0.schedule.clone(),
        networks: world.0.networks.clone(),
    };
    let daemon = Daemon::start_in(world.options(&name), Arc::new(surroundings)).await?;
    world.0.daemons.borrow_mut().insert(name.clone(), daemon.clone());
    daemon.left().await?;
    daemon.stop().await;
    world.forget(&name);
    Ok(())
}

impl World {
    fn new(story: &Story, chance: Chance, print: bool) -> anyhow::Result<World> {
        let names = (1..).map(|number| format!("n{number}"));
        Ok(World(Rc::new(Inner {
            slots: names.zip(story.slots.iter().copied()).collect(),
            secret: Secret::generate()?,
            directory: tempfile::Builder::new().prefix("evenkeel-simulated-").tempdir()?,
            schedule: Schedule::new(print),
            ledger: Ledger::default(),
            chance: RefCell::new(chance),
            daemons: RefCell::default(),
            networks: Networks::default(),
            faults: RefCell::default(),
        })))
    }

    fn options(&self, name: &str) -> Options {
        let address = |name: &str| SocketAddr::new(turmoil::lookup(name), PORT);
        let mut config = Config::default();
        config.node.name = Some(name.to_owned());
        config.node.data_dir = Some(self.0.directory.path().join(name));
        config.node.max_process = self.0.slots[name].into();
        config.network.listen = SocketAddr::from(([0, 0, 0, 0], PORT));
        config.network.advertise = Some(address(name));
        config.network.seeds =
            self.hosts().filter(|other| other != name).map(|other| address(&other).to_string()).collect();
        Options {
            config,
            keyring: Some(Keyring::single(self.0.secret.clone())),
            token: None,
            http: false,
            keep_identity: true,
            outcomes: None,
            guardian: None,
        }
    }

    /// Steps until the operator is done. Faults happen between two steps.
    fn simulate(&self, sim: &mut Sim<'_>) -> anyhow::Result<Duration> {
        loop {
            while let Some(fault) = self.0.faults.borrow_mut().pop_front() {
                self.strike(sim, fault);
            }
            let done = sim.step();
            // Before the simulation's own error, which may be no more than that a task has ended.
            let panics = panics::seen();
            ensure!(panics.is_empty(), "after {:?}: {}", sim.elapsed(), panics.join("; "));
            if done.map_err(|error| anyhow!("after {:?}: {error:#}", sim.elapsed()))? {
                return Ok(sim.elapsed());
            }
        }
    }

    fn strike(&self, sim: &mut Sim<'_>, fault: Fault) {
        let note = |host: &str, event: &str| self.0.schedule.note_at(sim.elapsed(), host, event);
        match fault {
            Fault::Crash(host) => {
                note(&host, "crashes");
                self.forget(&host);
                sim.crash(host.as_str());
            }
            Fault::Bounce(host) => {
                note(&host, "starts again");
                self.forget(&host);
                sim.bounce(host.as_str());
            }
            Fault::Losses(rate) => {
                note("network", &format!("breaks off for {rate} of all datagrams"));
                sim.set_fail_rate(rate);
            }
        }
    }

    /// The names of all hosts.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = String> + use<> {
        self.0.slots.keys().cloned().collect::<Vec<_>>().into_iter()
    }

    /// How many documents a host runs at once.
    pub(crate) fn slots(&self, host: &str) -> u32 {
        self.0.slots[host]
    }

    /// What the documents really did.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The operator's own choices.
    pub(crate) fn between(&self, bounds: (u64, u64)) -> u64 {
        self.0.chance.borrow_mut().between(bounds)
    }

    /// The daemon that runs on a host. Not to be kept across a fault of the host.
    pub(crate) fn daemon(&self, host: &str) -> anyhow::Result<Daemon> {
        self.0.daemons.borrow().get(host).cloned().with_context(|| format!("nothing runs on {host}"))
    }

    /// The daemons that run now, with their hosts.
    pub(crate) fn daemons(&self) -> Vec<(String, Daemon)> {
        self.0.daemons.borrow().iter().map(|(name, daemon)| (name.clone(), daemon.clone())).collect()
    }

    fn networks(&self) -> MutexGuard<'_, BTreeMap<String, Network>> {
        self.0.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs on a host is going. The handles go first: the host's tasks have the rest of it, and go on the host.
    fn forget(&self, host: &str) {
        self.0.ledger.crashed(host);
        self.0.daemons.borrow_mut().remove(host);
        self.networks().remove(host);
    }

    /// How much each host that runs has refused of what others sent.
    pub(crate) fn refused(&self) -> Vec<(String, u64)> {
        self.networks().iter().map(|(host, network)| (host.clone(), network.traffic().refused)).collect()
    }

    /// Everything that runs on a host is gone, without a word.
    pub(crate) async fn crash(&self, host: &str) {
        self.fault(Fault::Crash(host.to_owned())).await;
    }

    /// Starts a host's daemon again, in the same directory; one that runs is gone first, as in a crash.
    pub(crate) async fn bounce(&self, host: &str) {
        self.fault(Fault::Bounce(host.to_owned())).await;
    }

    /// From now on a link breaks off with this probability for each datagram, for a few datagrams. Zero: never.
    pub(crate) async fn losses(&self, rate: f64) {
        self.fault(Fault::Losses(rate)).await;
    }

    /// Waits until it has happened.
    async fn fault(&self, fault: Fault) {
        self.0.faults.borrow_mut().push_back(fault);
        while !self.0.faults.borrow().is_empty() {
            tokio::time::sleep(TICK).await;
        }
    }
}
