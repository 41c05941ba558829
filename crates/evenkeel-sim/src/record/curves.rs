//! How pending counts, potential and regret went: samples at equal distances, which are doubled whenever there are too many.

use evenkeel_core::balance::{psi, weigh};
use evenkeel_core::settings::Metric;
use evenkeel_core::units::Micros;

use super::{balance, standings};
use crate::world::Truth;

/// Most samples, of which half are dropped when there are more: a picture is a thousand points wide.
const MOST: usize = 2_000;

/// Documents looked at for all samples together, on all machines: a second or two.
const LOOKS: u64 = 2_000_000_000;

/// How it stood at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Micros,
    /// Documents that each machine owns and that have no outcome.
    pub pending: Vec<u64>,
    /// The potential Psi of all that are pending on machines that are up.
    pub psi: f64,
    /// The largest gain that any document could have by moving alone.
    pub regret: f64,
    /// The level at which all would stand if work were fluid.
    pub mean_level: f64,
}

/// Samples at equal distances.
#[derive(Debug, Clone)]
pub struct Curves {
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// Between two of them.
    pub every: Micros,
    most: usize,
}

impl Curves {
    pub(super) fn new(truth: &Truth) -> Curves {
        let documents: u64 =
            truth.options.work.iter().map(|work| u64::from(work.documents) * u64::from(work.times)).sum();
        let looks = (documents * truth.options.cluster.nodes as u64).max(1);
        let most = (LOOKS / looks).clamp(60, MOST as u64) as usize;
        let every = Micros((truth.options.cluster.gossip_interval.0.0 / 2).max(1));
        Curves { samples: Vec::new(), every, most }
    }

    /// What holds now holds until then.
    pub(super) fn pass(&mut self, until: Micros, pending: &[u64], truth: &Truth) {
        loop {
            let next = self.samples.last().map_or(Micros::ZERO, |last| last.at + self.every);
            if next >= until {
                return;
            }
            self.samples.push(sample(next, pending, truth));
            if self.samples.len() >= self.most {
                let mut place = 0;
                self.samples.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.every = self.every.times(2);
            }
        }
    }

    pub(super) fn conclude(&mut self, truth: &Truth, pending: &[u64]) {
        self.samples.push(sample(truth.now, pending, truth));
    }
}

fn sample(at: Micros, pending: &[u64], truth: &Truth) -> Sample {
    let stands = balance(truth);
    let metric = truth.options.cluster.metric;
    let up = truth.machines.iter().filter_map(|machine| machine.node.as_ref().map(|node| (machine, node)));
    let squares = up.map(|(machine, node)| match metric {
        Metric::Count => node.state().owned_by(machine.identity()) as f64,
        Metric::Length => {
            let lengths = node.state().documents_of(machine.identity()).filter_map(|(doc, _)| node.state().length(doc));
            lengths.map(|length| weigh(metric, length)).map(|weight| weight * weight).sum()
        }
    });
    let psi =
        standings(truth).iter().zip(squares).map(|(node, squares)| psi(node.work(), squares, node.capacity())).sum();
    Sample { at, pending: pending.to_vec(), psi, regret: stands.regret, mean_level: stands.mean_level }
}
