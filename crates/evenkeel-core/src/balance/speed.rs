//! Speeds of all nodes, from what each says of itself: measurements shrunk towards the mean by how uncertain they are.
//!
//! A node that has measured nothing is held as fast as it claims to be; one that has measured much is
//! taken at its word; in between the evidence decides, and so does how much nodes differ at all.

use super::standing::sane_speed;
use crate::load::Load;

/// Squared standard error below which none is believed, and above which a node has measured next to nothing.
const VARIANCES: (f64, f64) = (1e-5, 0.25);

/// No speed is held to be further than this, in ln, from the mean: a factor of twenty. Hosts differ by less; what seems
/// to be more is lengths that say nothing.
const FARTHEST: f64 = 3.0;

/// How many standard deviations the spread of measurements must exceed what chance would give before nodes are held to
/// differ. Where lengths predict nothing speeds must stay equal: a node held slow by chance refuses work.
const CAUTION: f64 = 3.0;

/// What a node says of its speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// As claimed beforehand, 1 = nominal.
    pub bench: f64,
    /// `ln(work finished / seconds / bench)`.
    pub ln_rate: f64,
    /// Squared standard error of that; infinite if nothing was measured.
    pub variance: f64,
}

impl From<&Load> for Measured {
    fn from(load: &Load) -> Measured {
        Measured { bench: load.bench, ln_rate: load.ln_rate, variance: load.rate_variance }
    }
}

/// Speeds of all nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Speeds {
    /// One speed for each node, in the order given, 1 = that of an average node whose benchmark says 1.
    pub of: Vec<f64>,
    /// Work per second and slot at speed 1, if anything was measured: levels divided by it are seconds.
    pub rate: Option<f64>,
}

/// The speeds of these nodes: `bench * exp((raw - m) * tau2 / (tau2 + se2))`, where m is the mean of what was measured
/// and tau2 the variance between nodes that their standard errors se2 do not explain.
pub fn speeds(nodes: &[Measured]) -> Speeds {
    let mut raw: Vec<Option<(f64, f64)>> = nodes.iter().map(believable).collect();
    pool(&mut raw);
    let measured: Vec<(f64, f64)> = raw.iter().flatten().copied().collect();
    let spread = spread_between(&measured);
    let mean = weighted_mean(&measured, spread);
    let speed = |(node, raw): (&Measured, &Option<(f64, f64)>)| {
        let difference = match (raw, mean) {
            (Some((raw, variance)), Some(mean)) => (raw - mean) * spread / (spread + variance),
            _ => 0.0,
        };
        sane_speed(sane_speed(node.bench) * libm::exp(difference.clamp(-FARTHEST, FARTHEST)))
    };
    Speeds { of: nodes.iter().zip(&raw).map(speed).collect(), rate: mean.map(libm::exp) }
}

/// The measured ln of the rate and its squared standard error, if there is any.
fn believable(node: &Measured) -> Option<(f64, f64)> {
    let measured = node.ln_rate.is_finite() && node.variance.is_finite() && node.variance >= 0.0;
    // A rate may be in any unit, bytes per second as well as pages per day.
    measured.then(|| (node.ln_rate.clamp(-100.0, 100.0), node.variance.max(VARIANCES.0)))
}

/// Holds nobody surer than the average of those that have measured something. How far durations stray is in the
/// documents: a node that has not met a long one yet would take its good luck for certainty.
fn pool(raw: &mut [Option<(f64, f64)>]) {
    let informed = raw.iter().flatten().map(|(_, variance)| *variance).filter(|variance| *variance <= VARIANCES.1);
    let (sum, count) = informed.fold((0.0, 0.0), |(sum, count), variance| (sum + variance, count + 1.0));
    if count > 0.0 {
        raw.iter_mut().flatten().for_each(|(_, variance)| *variance = variance.max(sum / count));
    }
}

/// The mean, in which the uncertain count for less; the more nodes truly differ, the more equally all count.
fn weighted_mean(measured: &[(f64, f64)], spread: f64) -> Option<f64> {
    let weights: f64 = measured.iter().map(|(_, variance)| 1.0 / (spread + variance)).sum();
    let sum: f64 = measured.iter().map(|(raw, variance)| raw / (spread + variance)).sum();
    (weights > 0.0).then(|| sum / weights)
}

/// Variance of the true rates between nodes, by the method of moments of DerSimonian and Laird, less [`CAUTION`]:
/// unlike the plain variance less the mean squared error it is not drowned by one node that has measured next to
/// nothing.
fn spread_between(measured: &[(f64, f64)]) -> f64 {
    let Some(mean) = weighted_mean(measured, 0.0) else { return 0.0 };
    let (mut weights, mut squares, mut strays) = (0.0, 0.0, 0.0);
    for (raw, variance) in measured {
        let weight = 1.0 / variance;
        weights += weight;
        squares += weight * weight;
        strays += weight * (raw - mean) * (raw - mean);
    }
    let freedom = measured.len() as f64 - 1.0;
    let by_chance = freedom + CAUTION * libm::sqrt(2.0 * freedom);
    let scale = weights - squares / weights;
    if scale > 0.0 { ((strays - by_chance) / scale).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    use super::super::rate::RateEstimate;
    use super::*;
    use crate::units::Micros;

    fn measured(rate: f64, variance: f64) -> Measured {
        Measured { bench: 1.0, ln_rate: libm::log(rate), variance }
    }

    /// Uniform in (0, 1), the same on every machine.
    fn uniform(seed: u64, draw: u64) -> f64 {
        ((xxh3_64(&[seed.to_le_bytes(), draw.to_le_bytes()].concat()) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Speeds of eight nodes after each has finished so many documents, drawn by `draw(node, number)`.
    fn after(count: u64, draw: impl Fn(u64, u64) -> (f64, f64)) -> Vec<f64> {
        let node = |node: u64| {
            let mut estimate = RateEstimate::default();
            for (weight, seconds) in (0..count).map(|number| draw(node, number)) {
                estimate.observe(weight, Micros((seconds * 1e6) as u64));
            }
            let (ln_rate, variance) = estimate.estimate(1.0);
            Measured { bench: 1.0, ln_rate, variance }
        };
        speeds(&(0..8).map(node).collect::<Vec<_>>()).of
    }

    fn slowest_over_fastest(speeds: &[f64]) -> f64 {
        let slowest = speeds.iter().copied().fold(f64::INFINITY, f64::min);
        slowest / speeds.iter().copied().fold(0.0, f64::max)
    }

    #[test]
    fn whoever_has_measured_nothing_is_as_fast_as_its_benchmark() {
        let unknown = Measured { bench: 2.0, ln_rate: 0.0, variance: f64::INFINITY };
        assert_eq!(speeds(&[unknown, Measured { bench: 1.0, ..unknown }]), Speeds { of: vec![2.0, 1.0], rate: None });
        let known = [measured(5.0, 0.01), measured(5.0, 0.01), unknown];
        let known = speeds(&known);
        assert_eq!(known.of, [1.0, 1.0, 2.0]);
        assert!((known.rate.expect("measured") - 5.0).abs() < 1e-9);
        assert_eq!(speeds(&[]), Speeds { of: vec![], rate: None });
    }

    #[test]
    fn good_evidence_is_believed_and_bad_is_not() {
        let sure = speeds(&[measured(1.0, 1e-4), measured(1.0, 1e-4), measured(1.0, 1e-4), measured(0.1, 1e-4)]).of;
        assert!((sure[3] / sure[0] - 0.1).abs() < 0.01, "{sure:?}");
        let unsure = speeds(&[measured(1.0, 0.5), measured(1.2, 0.5), measured(1.0, 0.5), measured(0.5, 0.5)]).of;
        assert_eq!(unsure, [1.0; 4]);
    }

    #[test]
    fn one_ignorant_node_does_not_drown_what_the_others_know() {
        let nodes = [measured(1.0, 1e-3), measured(1.0, 1e-3), measured(0.2, 1e-3), measured(1.0, 4.0)];
        let speeds = speeds(&nodes).of;
        assert!((speeds[2] / speeds[0] - 0.2).abs() < 0.02, "{speeds:?}");
    }

    #[test]
    fn a_node_half_as_fast_is_found_out_within_twenty_documents() {
        for seed in 0..100 {
            let speeds = after(20, |node, number| {
                let length = 1.0 + 9.0 * uniform(seed, node * 1000 + number);
                // Durations stray from their prediction by up to a fifth.
                let noise = 0.8 + 0.4 * uniform(seed, node * 1000 + number + 500);
                (length, length * noise * if node == 0 { 2.0 } else { 1.0 })
            });
            assert!(speeds[0] / speeds[1] < 0.65, "seed {seed}: {speeds:?}");
            assert!(slowest_over_fastest(&speeds[1..]) > 0.8, "seed {seed}: {speeds:?}");
        }
    }

    #[test]
    fn where_lengths_say_nothing_speeds_stay_near_equal() {
        let mut held_slow = 0;
        for seed in 0..200 {
            for count in [5, 20, 100, 400] {
                let pareto = |node: u64, number: u64| {
                    (1.0, (0.05 * libm::pow(uniform(seed, node * 1000 + number), -1.0 / 1.5)).min(2.0))
                };
                held_slow += usize::from(slowest_over_fastest(&after(count, pareto)) < 0.7);
            }
        }
        assert!(held_slow <= 8, "{held_slow} of 800 clusters of equal nodes have a slow one");
    }

    proptest! {
        #[test]
        fn any_measurements_give_speeds(
            nodes in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>()), 0..10),
        ) {
            let measured = |&(bench, ln_rate, variance): &(f64, f64, f64)| Measured { bench, ln_rate, variance };
            let nodes: Vec<_> = nodes.iter().map(measured).collect();
            let speeds = speeds(&nodes);
            prop_assert_eq!(speeds.of.len(), nodes.len());
            prop_assert!(speeds.of.iter().all(|speed| speed.is_finite() && *speed > 0.0));
            prop_assert!(speeds.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0));
        }

        #[test]
        fn the_unit_of_length_does_not_matter(
            rates in prop::collection::vec((0.1..10.0f64, 0.001..1.0f64), 1..10),
            unit in 1e-6..1e9f64,
        ) {
            let nodes: Vec<_> = rates.iter().map(|&(rate, variance)| measured(rate, variance)).collect();
            let scaled: Vec<_> = rates.iter().map(|&(rate, variance)| measured(rate * unit, variance)).collect();
            for (a, b) in speeds(&nodes).of.iter().zip(speeds(&scaled).of) {
                prop_assert!((a - b).abs() < 1e-6 * a);
            }
        }
    }
}
