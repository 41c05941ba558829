//! Swarm testing: the seed draws the cluster, the work and the faults; some faults are off and some are extreme, so that
//! no fault hides behind another that is always there.

use evenkeel_core::batch::Allocate;
use evenkeel_core::settings::{Averaging, Metric, Partition};
use evenkeel_core::units::Micros;
use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Ratio};
use crate::options::{Cluster, Faults, Lengths, Options, Phases, Recurring, Work};
use crate::span::Spans;

/// Documents, times nodes, above which logs are not short: whoever lags behind a short log gets the whole state each time,
/// and the simulation would do nothing else.
const MOST_COPIED: u64 = 20_000;

/// Milliseconds from and to which it is drawn how often something goes wrong, and for how long.
type Range = ((u64, u64), (u64, u64));

const CRASH: Range = ((3_000, 40_000), (2_000, 30_000));
const OUTAGE: Range = ((10_000, 60_000), (100, 20_000));
const DISK: Range = ((5_000, 40_000), (1_000, 30_000));

/// A fault that a swarm may have in each of its worlds, instead of in some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Always {
    /// Nodes are killed.
    Crash,
    /// Some of them lose their disks by it.
    Amnesia,
    /// All are killed at one instant.
    Outage,
    /// Disks fail for a while.
    Disk,
    /// Syncs are slow.
    Syncing,
}

/// The world that a seed stands for.
pub fn draw(seed: u64) -> Options {
    draw_with(seed, &[])
}

/// The world that a seed stands for, where some faults are in each: there are journals then, or disks had nothing to lose.
pub fn draw_with(seed: u64, always: &[Always]) -> Options {
    let mut dice = Dice::new(seed).fork("swarm");
    let nodes = draw_size(&mut dice);
    let mut cluster = draw_cluster(nodes, &mut dice);
    let work = draw_work(nodes, &mut dice);
    let documents: u64 = work.iter().map(|work| u64::from(work.documents) * u64::from(work.times)).sum();
    if documents * nodes as u64 > MOST_COPIED {
        cluster.log_bytes = Cluster::default().log_bytes;
    }
    // A cautious minority waits for ever, as it should: it has to be the whole cluster that is healed.
    let whole = cluster.partition == Partition::Cautious || dice.below(2) == 0;
    let faults = draw_faults(nodes, &mut dice);
    let faulty = Micros::from_secs(dice.between(20, 120));
    let (mut cluster, faults) = draw_disks(cluster, faults, &mut Dice::new(seed).fork("disks"));
    let faults = draw_slots(faults, &mut Dice::new(seed).fork("slots"));
    let faults = turn_on(always, faults, &mut Dice::new(seed).fork("always"));
    cluster.journal |= !always.is_empty();
    if cluster.partition == Partition::Cautious && !faults.amnesia.is_never() {
        // Who comes back as somebody else is never seen again: those who wait for a majority of the old must give up.
        cluster.minority_delay.get_or_insert(Micros::from_secs(20).into());
    }
    Options {
        cluster,
        work,
        faults,
        phases: Phases {
            faults: faulty.into(),
            liveness: Micros::from_secs(3_600).into(),
            core: if whole { Ratio::new(1, 1) } else { Ratio::new(2, 3) },
            ..Default::default()
        },
    }
}

/// Mostly small: what goes wrong in a hundred nodes nearly always goes wrong in four.
fn draw_size(dice: &mut Dice) -> usize {
    match dice.below(20) {
        0 => 1,
        1..=11 => dice.between(2, 6) as usize,
        12..=17 => dice.between(7, 16) as usize,
        18 => dice.between(17, 40) as usize,
        _ => dice.between(41, 100) as usize,
    }
}

fn draw_cluster(nodes: usize, dice: &mut Dice) -> Cluster {
    let most = if nodes > 16 { 4 } else { 12 };
    let alike = dice.below(2) == 0;
    let kinds = if alike { 1 } else { 4 };
    let max_process = (0..kinds).map(|_| dice.between(1, most) as u32).collect();
    let speed = |dice: &mut Dice| if alike { 1.0 } else { [0.1, 0.5, 1.0, 1.0, 2.0][dice.below(5) as usize] };
    let speeds = (0..kinds).map(|_| speed(dice)).collect();
    let quick = Micros::from_millis(dice.between(50, 400));
    Cluster {
        nodes,
        max_process,
        speeds,
        gossip_interval: quick.into(),
        fanout: dice.between(1, 4) as usize,
        rebalance_interval: quick.times(dice.between(1, 8)).into(),
        detection: Micros::from_secs(dice.between(3, 10)).into(),
        takeover_delay: Micros::from_millis(dice.between(500, 2_000)).into(),
        metric: if dice.below(5) == 0 { Metric::Count } else { Metric::Length },
        averaging: if dice.below(5) == 0 { Averaging::Halves } else { Averaging::Carry },
        partition: if dice.below(5) == 0 { Partition::Cautious } else { Partition::Available },
        minority_delay: (dice.below(2) == 0).then(|| Micros::from_secs(20).into()),
        // A log that is soon forgotten makes snapshots.
        log_bytes: if dice.below(3) == 0 { 256 << 10 } else { 64 << 20 },
        ..Cluster::default()
    }
}

fn draw_work(nodes: usize, dice: &mut Dice) -> Vec<Work> {
    let batches = dice.between(1, 3);
    (0..batches).map(|_| draw_batch(nodes, dice)).collect()
}

fn draw_batch(nodes: usize, dice: &mut Dice) -> Work {
    let rare = |dice: &mut Dice, often: u64| match dice.below(often) {
        0 => Ratio::new(1, dice.between(5, 200) as u32),
        _ => Ratio::NEVER,
    };
    let lengths = match dice.below(5) {
        0 => Lengths::Equal(dice.between(1, 3_000)),
        1 => Lengths::Uniform { low: 1, high: dice.between(2, 3_000) },
        2 => Lengths::Bimodal { short: dice.between(1, 200), long: dice.between(500, 10_000) },
        3 => Lengths::Pareto { alpha: 1.1, low: 50, high: 60_000 },
        _ => Lengths::Pareto { alpha: 1.5, low: 20, high: 20_000 },
    };
    let hanging = rare(dice, 4);
    let at = Micros::from_millis(dice.between(0, 20_000)).into();
    let to = dice.below(nodes as u64) as usize;
    let documents = match dice.below(6) {
        0 => dice.between(1, 5) as u32,
        1 => dice.between(4_000, 9_000) as u32,
        _ => dice.between(20, 1_500) as u32,
    };
    Work {
        at,
        to,
        documents,
        lengths,
        times: if dice.below(4) == 0 { dice.between(2, 6) as u32 } else { 1 },
        every: Micros::from_secs(dice.between(1, 10)).into(),
        allocate: [Allocate::Lpt, Allocate::Lpt, Allocate::Uniform, Allocate::Pareto][dice.below(4) as usize],
        misprediction: [0.0, 0.5, 1.0][dice.below(3) as usize],
        unknown: dice.below(4) == 0,
        retries: dice.below(4) as u32,
        // What hangs needs one, or the world would never come to its end.
        timeout: (!hanging.is_never() || dice.below(4) == 0).then(|| Micros::from_secs(dice.between(2, 30)).into()),
        failing: rare(dice, 3),
        flaky: rare(dice, 3),
        hanging,
        // A few of them say all: where there are many, nodes die and come back without end.
        poison: match dice.below(6) {
            0 => {
                let rare = Ratio::new(1, dice.between(100, 400) as u32);
                if documents > 2_000 { Ratio::NEVER } else { rare }
            }
            _ => Ratio::NEVER,
        },
        cancel_after: (dice.below(8) == 0).then(|| Micros::from_millis(dice.between(100, 30_000)).into()),
        remove_after: (dice.below(5) == 0).then(|| Micros::from_millis(dice.between(100, 60_000)).into()),
    }
}

fn draw_faults(nodes: usize, dice: &mut Dice) -> Faults {
    // One world in ten has no faults at all: there every promise is at its strictest.
    if dice.below(10) == 0 {
        return Faults::default();
    }
    let ratio = |dice: &mut Dice, most: u64| match dice.below(2) {
        0 => Ratio::NEVER,
        _ => Ratio::new(dice.between(1, most) as u32, 100),
    };
    Faults {
        crash: recurring(dice, CRASH.0, CRASH.1),
        amnesia: ratio(dice, 50),
        pause: recurring(dice, (3_000, 40_000), (1_000, 30_000)),
        slow: recurring(dice, (5_000, 40_000), (5_000, 60_000)),
        slow_factor: dice.between(2, 20) as u32,
        starve: recurring(dice, (5_000, 40_000), (1_000, 20_000)),
        starve_by: Spans::new(Micros::from_millis(1), Micros::from_millis(dice.between(2, 500))),
        partition: recurring(dice, (5_000, 60_000), (3_000, 40_000)),
        clog: recurring(dice, (2_000, 20_000), (500, 10_000)),
        suspicion: recurring(dice, (5_000, 40_000), (1_000, 20_000)),
        join: recurring(dice, (10_000, 60_000), (1, 2)).filter(|_| nodes < 40),
        drain: recurring(dice, (10_000, 60_000), (1, 2)),
        clock_jump: recurring(dice, (10_000, 60_000), (1_000, 3_600_000)).filter(|_| dice.below(2) == 0),
        clock_drift: [0, 200, 5_000][dice.below(3) as usize],
        loss: ratio(dice, 30),
        duplication: ratio(dice, 50),
        delay: match dice.below(3) {
            0 => Spans::default(),
            1 => Spans::new(Micros(100), Micros::from_millis(dice.between(1, 50))),
            _ => Spans::new(Micros::from_millis(1), Micros::from_millis(dice.between(50, 500))),
        },
        hostile: if dice.below(5) == 0 { Ratio::new(1, 50) } else { Ratio::NEVER },
        unavailable: ratio(dice, 20),
        keeping: match dice.below(3) {
            0 => Spans::new(Micros::from_millis(1), Micros::from_millis(dice.between(100, 3_000))),
            _ => Spans::default(),
        },
        flap: recurring(dice, (10_000, 60_000), (10_000, 60_000)).filter(|_| dice.below(2) == 0),
        outage: None,
        disk: None,
        slots: None,
        syncing: Spans::default(),
    }
}

/// Draws those of these faults that are off.
fn turn_on(always: &[Always], mut faults: Faults, dice: &mut Dice) -> Faults {
    for fault in always {
        match fault {
            Always::Crash => drop(faults.crash.get_or_insert_with(|| drawn(dice, CRASH.0, CRASH.1))),
            Always::Amnesia if faults.amnesia.is_never() => {
                faults.amnesia = Ratio::new(dice.between(1, 50) as u32, 100)
            }
            Always::Outage => drop(faults.outage.get_or_insert_with(|| drawn(dice, OUTAGE.0, OUTAGE.1))),
            Always::Disk => drop(faults.disk.get_or_insert_with(|| drawn(dice, DISK.0, DISK.1))),
            Always::Syncing if faults.syncing == Spans::default() => faults.syncing = slow_syncs(dice),
            Always::Amnesia | Always::Syncing => {}
        }
    }
    faults
}

fn slow_syncs(dice: &mut Dice) -> Spans {
    Spans::new(Micros::from_millis(1), Micros::from_millis(dice.between(20, 1_000)))
}

fn recurring(dice: &mut Dice, every: (u64, u64), lasts: (u64, u64)) -> Option<Recurring> {
    let on = dice.below(2) == 0;
    let drawn = drawn(dice, every, lasts);
    on.then_some(drawn)
}

fn drawn(dice: &mut Dice, every: (u64, u64), lasts: (u64, u64)) -> Recurring {
    let every = Micros::from_millis(dice.between(every.0, every.1));
    let (low, high) = (dice.between(1, lasts.0), dice.between(lasts.0, lasts.1));
    let lasts = Spans::new(Micros::from_millis(low), Micros::from_millis(high));
    Recurring { every: every.into(), lasts }
}

/// Disks, and what becomes of them.
fn draw_disks(cluster: Cluster, faults: Faults, dice: &mut Dice) -> (Cluster, Faults) {
    let cluster = Cluster {
        // Without a journal, who comes back knows nothing.
        journal: dice.below(8) > 0,
        // One that is soon written anew makes checkpoints.
        journal_bytes: if dice.below(2) == 0 { 64 << 10 } else { 8 << 20 },
        ..cluster
    };
    if faults.are_none() {
        return (cluster, faults);
    }
    let faults = Faults {
        outage: recurring(dice, OUTAGE.0, OUTAGE.1),
        disk: recurring(dice, DISK.0, DISK.1),
        syncing: match dice.below(3) {
            0 => slow_syncs(dice),
            _ => Spans::default(),
        },
        ..faults
    };
    (cluster, faults)
}

/// Whether slots change. From a generator of its own, so that the worlds of seeds are otherwise what they were.
fn draw_slots(faults: Faults, dice: &mut Dice) -> Faults {
    if faults.are_none() {
        return faults;
    }
    Faults { slots: recurring(dice, (1_000, 20_000), (1, 2)).filter(|_| dice.below(2) == 0), ..faults }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_on_is_on_and_the_rest_of_the_world_is_the_same() {
        let always = [Always::Crash, Always::Amnesia, Always::Outage, Always::Disk, Always::Syncing];
        for seed in 0..200 {
            let (usual, there) = (draw(seed), draw_with(seed, &always));
            let faults = &there.faults;
            assert!(faults.crash.is_some() && faults.outage.is_some() && faults.disk.is_some(), "{seed}");
            assert!(!faults.amnesia.is_never() && faults.syncing != Spans::default(), "{seed}");
            assert!(there.cluster.journal, "{seed}");
            assert!(usual.faults.crash.is_none() || usual.faults.crash == faults.crash, "{seed}");
            assert_eq!(usual.work, there.work, "{seed}");
        }
    }
}
