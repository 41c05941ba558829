//! The first spread of a new batch over the nodes, by the node that took it.

use std::cmp::Reverse;

use super::guard::{Guard, SlowRule};
use super::standing::{Standing, mean_level, weigh};
use crate::batch::Allocate;
use crate::ids::NodeId;
use crate::settings::Metric;
use crate::units::Length;

/// A document that takes the slowest node no longer than this fraction of the drain time is poured out in bulk.
const FINE: f64 = 0.001;

/// At most so many documents are placed one by one. The next longest is no more than this part of the batch.
const PLACED_SINGLY: usize = 1 << 16;

/// The node of each document, as its place in `nodes`; empty if there are no nodes.
///
/// Draining nodes and those without slots get nothing, unless there are no others. Documents that a slow node could
/// not end in time are kept from it as far as they are placed by length. Runs of consecutive documents go to one node
/// wherever that costs nothing, so that the allocation is small to tell. Nodes beyond the 65,536th get nothing.
pub fn allocate(kind: Allocate, metric: Metric, rule: SlowRule, lengths: &[Length], nodes: &[Standing]) -> Vec<u16> {
    let mut bins = bins(nodes);
    if bins.is_empty() {
        return Vec::new();
    }
    let batch: f64 = lengths.iter().map(|length| weigh(metric, *length)).sum();
    let capacity: f64 = bins.iter().map(|bin| bin.capacity).sum();
    let guard = Guard::draining_in(rule, nodes, mean_level(nodes) + batch / capacity);
    let mut spread = Spread { metric, lengths, bins: &mut bins, guard, placed: vec![0; lengths.len()] };
    let mut numbers: Vec<u32> = (0..=u32::MAX).take(lengths.len()).collect();
    match kind {
        Allocate::Lpt => spread.longest_first(&mut numbers),
        Allocate::Uniform => spread.by_count(&numbers, |_| 1.0),
        Allocate::Pareto => {
            let fifth = numbers.len().div_ceil(5);
            if fifth < numbers.len() {
                numbers.select_nth_unstable_by_key(fifth, |number| (Reverse(spread.length(*number)), *number));
            }
            let (heavy, light) = numbers.split_at_mut(fifth);
            heavy.sort_unstable();
            light.sort_unstable();
            spread.longest_first(heavy);
            spread.by_count(light, |bin| bin.capacity);
        }
    }
    spread.placed
}

/// A node that documents are put on.
struct Bin {
    place: u16,
    node: NodeId,
    work: f64,
    capacity: f64,
    speed: f64,
}

impl Bin {
    fn level_with(&self, weight: f64) -> f64 {
        (self.work + weight) / self.capacity
    }
}

/// The nodes that get something, by id: where two are as good, the lower id comes first, however the view is ordered.
fn bins(nodes: &[Standing]) -> Vec<Bin> {
    let anybody = !nodes.iter().any(Standing::takes);
    let bin = |(place, node): (u16, &Standing)| Bin {
        place,
        node: node.node(),
        work: node.work(),
        // A node without slots is here only where nobody takes anything: it counts as if it had one.
        capacity: if node.capacity() > 0.0 { node.capacity() } else { node.speed() },
        speed: node.speed(),
    };
    let mut bins: Vec<_> = (0..=u16::MAX).zip(nodes).filter(|(_, node)| anybody || node.takes()).map(bin).collect();
    bins.sort_by_key(|bin| bin.node);
    bins
}

struct Spread<'a> {
    metric: Metric,
    lengths: &'a [Length],
    bins: &'a mut [Bin],
    guard: Guard,
    /// Place, in the caller's list, of each document's node.
    placed: Vec<u16>,
}

impl Spread<'_> {
    fn length(&self, number: u32) -> Length {
        self.lengths[number as usize]
    }

    fn weight(&self, number: u32) -> f64 {
        weigh(self.metric, self.length(number))
    }

    /// LPT: longest first, each to the node with the lowest level after it. Documents too short to matter singly are
    /// poured into what then is lacking.
    fn longest_first(&mut self, numbers: &mut [u32]) {
        let Some(first) = numbers.first().map(|number| self.weight(*number)) else { return };
        let slowest = self.bins.iter().map(|bin| bin.speed).fold(f64::INFINITY, f64::min);
        let fine = FINE * self.guard.drain_time() * slowest;
        let equal = numbers.iter().all(|number| self.weight(*number) == first);
        let mut coarse = 0;
        for at in 0..numbers.len() {
            if equal || self.weight(numbers[at]) > fine {
                numbers.swap(coarse, at);
                coarse += 1;
            }
        }
        let order = |number: &u32| (Reverse(self.length(*number)), *number);
        if !equal && coarse > PLACED_SINGLY {
            numbers[..coarse].select_nth_unstable_by_key(PLACED_SINGLY, order);
            coarse = PLACED_SINGLY;
        }
        let (singly, poured) = numbers.split_at_mut(coarse);
        if !equal {
            singly.sort_unstable_by_key(order);
        }
        poured.sort_unstable();
        let mut rest = &*singly;
        while let Some(first) = rest.first() {
            let weight = self.weight(*first);
            let alike = rest.iter().take_while(|number| self.weight(**number) == weight).count();
            let (group, others) = rest.split_at(alike);
            self.place_alike(group, weight);
            rest = others;
        }
        self.pour(poured);
    }

    /// Places documents that weigh the same as LPT would place them one by one, but each node's share as one run.
    fn place_alike(&mut self, numbers: &[u32], weight: f64) {
        let guard = self.guard;
        let in_time = |bin: &Bin| guard.in_time(bin.speed, weight);
        // Should the rule forbid them all, none is forbidden.
        let forbidden = !self.bins.iter().any(in_time);
        let open: Vec<usize> = (0..self.bins.len()).filter(|at| forbidden || in_time(&self.bins[*at])).collect();
        let mut counts = vec![0; open.len()];
        let mut left = numbers.len();
        if left > open.len() {
            // Up to here every node takes its share whatever the order; the last few are placed singly.
            let level = water_level(open.iter().map(|at| &self.bins[*at]), left as f64 * weight) * (1.0 - 1e-9);
            for (count, at) in counts.iter_mut().zip(&open) {
                let bin = &mut self.bins[*at];
                *count = (((level * bin.capacity - bin.work) / weight).max(0.0) as usize).min(left);
                bin.work += *count as f64 * weight;
                left -= *count;
            }
        }
        for _ in 0..left {
            let after = |which: &usize| self.bins[open[*which]].level_with(weight);
            if let Some(which) = (0..open.len()).min_by(|a, b| after(a).total_cmp(&after(b))) {
                counts[which] += 1;
                self.bins[open[which]].work += weight;
            }
        }
        let mut numbers = numbers.iter();
        for (count, at) in counts.into_iter().zip(open) {
            numbers.by_ref().take(count).for_each(|number| self.placed[*number as usize] = self.bins[at].place);
        }
    }

    /// Fills what each node lacks to the common level with a run of consecutive documents.
    fn pour(&mut self, numbers: &[u32]) {
        let total: f64 = numbers.iter().map(|number| self.weight(*number)).sum();
        let level = water_level(self.bins.iter(), total);
        let lacking = self.bins.iter().map(|bin| (bin.place, level * bin.capacity - bin.work));
        let mut lacking = lacking.filter(|(_, lack)| *lack > 0.0).peekable();
        let Some((mut place, mut edge)) = lacking.next() else { return };
        let mut poured = 0.0;
        for number in numbers {
            let weight = self.weight(*number);
            // The document belongs where its middle falls.
            while poured + weight / 2.0 > edge && lacking.peek().is_some() {
                if let Some((next, lack)) = lacking.next() {
                    (place, edge) = (next, edge + lack);
                }
            }
            self.placed[*number as usize] = place;
            poured += weight;
        }
    }

    /// Each node a run of documents, their number in proportion to its share: exact but for the remainders, of which
    /// the largest are rounded up.
    fn by_count(&mut self, numbers: &[u32], share: impl Fn(&Bin) -> f64) {
        let whole: f64 = self.bins.iter().map(&share).sum();
        let exact: Vec<f64> = self.bins.iter().map(|bin| numbers.len() as f64 * (share(bin) / whole)).collect();
        let mut counts: Vec<usize> = exact.iter().map(|exact| *exact as usize).collect();
        let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
        by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
        let left = numbers.len().saturating_sub(counts.iter().sum());
        by_remainder.iter().cycle().take(left).for_each(|at| counts[*at] += 1);
        let mut numbers = numbers.iter();
        for (count, bin) in counts.into_iter().zip(self.bins.iter()) {
            numbers.by_ref().take(count).for_each(|number| self.placed[*number as usize] = bin.place);
        }
    }
}

/// The level up to which these nodes are filled by so much fluid work; nodes above it get none.
fn water_level<'a>(bins: impl Iterator<Item = &'a Bin>, amount: f64) -> f64 {
    let mut bins: Vec<&Bin> = bins.collect();
    bins.sort_by(|a, b| a.level_with(0.0).total_cmp(&b.level_with(0.0)));
    let (mut work, mut capacity, mut level) = (amount, 0.0, 0.0);
    for bin in bins {
        if capacity > 0.0 && bin.level_with(0.0) >= level {
            break;
        }
        work += bin.work;
        capacity += bin.capacity;
        level = work / capacity;
    }
    level
}

#[cfg(test)]
mod tests;
