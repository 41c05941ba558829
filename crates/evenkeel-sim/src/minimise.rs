//! Making a world that fails smaller: without what is not needed for it to fail, so that people can follow its story.
//!
//! One thing after the other is left out, the largest first, and what fails no longer is put back. It must fail in the same
//! way, so that the world that is left tells of the same fault. With fewer documents other things happen by chance;
//! so a few other seeds are tried too.

use crate::check::Checkers;
use crate::dice::Ratio;
use crate::options::{Cluster, Faults, Lengths, Options, Phases, Work};
use crate::run::{Failure, Outcome, simulate};
use crate::span::Spans;
use crate::trace::Subject;
use evenkeel_core::units::Micros;

/// Seeds with which a smaller world is tried.
const SEEDS: u64 = 4;

/// A world that fails.
#[derive(Debug, Clone)]
pub struct Failing {
    /// The world.
    pub options: Options,
    /// The seed.
    pub seed: u64,
    /// How it fails.
    pub failure: Failure,
    /// Events until it does.
    pub events: u64,
}

impl Failing {
    fn of(options: Options, outcome: Outcome) -> Option<Failing> {
        let failure = outcome.failure?;
        Some(Failing { options, seed: outcome.seed, failure, events: outcome.counts.events })
    }
}

/// Makes the world of a seed smaller, as long as it fails as it did. `tell` hears of each thing that was left out.
/// `None` if it does not fail.
pub fn minimise(options: &Options, seed: u64, mut tell: impl FnMut(&str, &Failing)) -> Option<Failing> {
    let run = |options: &Options, seed: u64| {
        Failing::of(options.clone(), simulate(options, seed, Subject::Nothing, Checkers::all()))
    };
    let mut least = run(options, seed)?;
    loop {
        let fails = |(without, smaller): (String, Options)| {
            let seeds = std::iter::once(least.seed).chain(0..SEEDS);
            let mut found = seeds.filter_map(|seed| run(&smaller, seed));
            found.find(|found| found.failure.kind() == least.failure.kind()).map(|found| (without, found))
        };
        let Some((without, found)) = smaller(&least.options).into_iter().find_map(fails) else { return Some(least) };
        tell(&without, &found);
        least = found;
    }
}

/// Worlds that are a little smaller than this one, and what they lack.
fn smaller(options: &Options) -> Vec<(String, Options)> {
    let mut all = Vec::new();
    let mut offer = |without: String, change: &dyn Fn(&mut Options)| {
        let mut smaller = options.clone();
        change(&mut smaller);
        if smaller != *options && smaller.check().is_ok() {
            all.push((without, smaller));
        }
    };
    let nodes = options.cluster.nodes;
    for fewer in [nodes / 2, nodes * 3 / 4, nodes.saturating_sub(1)] {
        offer(format!("{fewer} nodes instead of {nodes}"), &|options| options.cluster.nodes = fewer);
    }
    for place in 0..options.work.len() {
        offer(format!("without batch {place}"), &|options| {
            options.work.remove(place);
        });
    }
    for (name, change) in WITHOUT_FAULTS {
        offer(format!("without {name}"), &|options| change(&mut options.faults));
    }
    for place in 0..options.work.len() {
        let documents = options.work[place].documents;
        for fewer in [documents / 10, documents / 2, documents - 1] {
            let what = format!("{fewer} documents instead of {documents} in batch {place}");
            offer(what, &|options| options.work[place].documents = fewer);
        }
        for (name, change) in SIMPLER_WORK {
            offer(format!("{name} in batch {place}"), &|options| change(&mut options.work[place]));
        }
    }
    for (name, change) in SIMPLER_CLUSTERS {
        offer((*name).to_owned(), &|options| change(&mut options.cluster));
    }
    let faults = options.phases.faults.0;
    offer("half the time for faults".to_owned(), &|options| options.phases.faults = Micros(faults.0 / 2).into());
    offer("all of the cluster healed".to_owned(), &|options| options.phases.core = Phases::default().core);
    all
}

type Change<T> = (&'static str, fn(&mut T));

const WITHOUT_FAULTS: &[Change<Faults>] = &[
    ("crashes", |faults| faults.crash = None),
    ("failing disks", |faults| faults.disk = None),
    ("outages", |faults| faults.outage = None),
    ("amnesia", |faults| faults.amnesia = Ratio::NEVER),
    ("pauses", |faults| faults.pause = None),
    ("slow nodes", |faults| faults.slow = None),
    ("late nodes", |faults| faults.starve = None),
    ("partitions", |faults| faults.partition = None),
    ("clogs", |faults| faults.clog = None),
    ("suspicions", |faults| faults.suspicion = None),
    ("flapping", |faults| faults.flap = None),
    ("joins", |faults| faults.join = None),
    ("drains", |faults| faults.drain = None),
    ("clock jumps", |faults| faults.clock_jump = None),
    ("changes of slots", |faults| faults.slots = None),
    ("clock drift", |faults| faults.clock_drift = 0),
    ("losses", |faults| faults.loss = Ratio::NEVER),
    ("doubled messages", |faults| faults.duplication = Ratio::NEVER),
    ("delays", |faults| faults.delay = Spans::default()),
    ("hostile messages", |faults| faults.hostile = Ratio::NEVER),
    ("unavailable payloads", |faults| faults.unavailable = Ratio::NEVER),
    ("slow keeping", |faults| faults.keeping = Spans::default()),
    ("slow syncs", |faults| faults.syncing = Spans::default()),
];

const SIMPLER_WORK: &[Change<Work>] = &[
    ("one time only", |work| work.times = 1),
    ("no poison", |work| work.poison = Ratio::NEVER),
    ("nothing that hangs", |work| work.hanging = Ratio::NEVER),
    ("nothing that fails", |work| work.failing = Ratio::NEVER),
    ("nothing that fails by chance", |work| work.flaky = Ratio::NEVER),
    ("no retries", |work| work.retries = 0),
    ("no time-out", |work| work.timeout = work.timeout.filter(|_| !work.hanging.is_never())),
    ("no cancellation", |work| work.cancel_after = None),
    ("no removal", |work| work.remove_after = None),
    ("lengths that are right", |work| work.misprediction = 0.0),
    ("lengths that are known", |work| work.unknown = false),
    ("equal lengths", |work| work.lengths = Lengths::Equal(1_000)),
    ("the first node takes it", |work| work.to = 0),
    ("submitted at once", |work| work.at = Micros::ZERO.into()),
    ("spread as usual", |work| work.allocate = Work::default().allocate),
];

const SIMPLER_CLUSTERS: &[Change<Cluster>] = &[
    ("all nodes of one speed", |cluster| cluster.speeds = vec![1.0]),
    ("all nodes of as many slots", |cluster| cluster.max_process.truncate(1)),
    ("one slot each", |cluster| cluster.max_process = vec![1]),
    ("usual gossip", |cluster| {
        let usual = Cluster::default();
        (cluster.gossip_interval, cluster.fanout) = (usual.gossip_interval, usual.fanout);
    }),
    ("usual averaging", |cluster| {
        let usual = Cluster::default();
        (cluster.rebalance_interval, cluster.averaging, cluster.metric) =
            (usual.rebalance_interval, usual.averaging, usual.metric);
    }),
    ("usual detection", |cluster| {
        let usual = Cluster::default();
        (cluster.detection, cluster.takeover_delay) = (usual.detection, usual.takeover_delay);
    }),
    ("usual partition policy", |cluster| {
        let usual = Cluster::default();
        (cluster.partition, cluster.minority_delay) = (usual.partition, usual.minority_delay);
    }),
    ("long journals", |cluster| cluster.journal_bytes = Cluster::default().journal_bytes),
    ("no journals", |cluster| cluster.journal = false),
    ("long logs", |cluster| cluster.log_bytes = Cluster::default().log_bytes),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;

    #[test]
    fn a_world_that_fails_is_made_as_small_as_it_can_be() {
        // What hangs for longer than the world has patience is not done: nothing else matters to that.
        let text = "why = 'x'\nseeds = '0'\n[world.cluster]\nnodes = 3\nspeeds = [1.0, 0.5]\n[[world.work]]\ndocuments = 20\n\
                    hanging = '1/1'\ntimeout = '15m'\nretries = 2\n[[world.work]]\ndocuments = 5\nlengths = { equal = 10 }\n\
                    [world.faults]\nloss = '1/10'\n[world.phases]\nfaults = '2s'\nliveness = '10s'";
        let scenario = suite::parse(text).expect("a scenario");
        let mut steps = 0;
        let least = minimise(&scenario.options(0), 0, |_, _| steps += 1).expect("it fails");
        assert!(least.failure.kind().starts_with("S1"), "{}", least.failure);
        assert_eq!(least.options.cluster.nodes, 1);
        assert_eq!(least.options.work.len(), 1);
        assert_eq!(least.options.work[0].documents, 1);
        assert_eq!(least.options.faults, Faults::default());
        assert!(steps > 5);
    }

    #[test]
    fn a_world_that_does_not_fail_is_left_alone() {
        assert!(minimise(&Options::default(), 0, |_, _| ()).is_none());
    }
}
