//! Averaging: from any start to an equilibrium, with few moves.

use super::*;

#[test]
fn an_unequal_cluster_reaches_equilibrium_and_stays() {
    let slots = [4, 10, 10, 16];
    let mut world = World::new(&slots.map(settings), 21);
    let lengths: Vec<u64> = (0..4_000).map(|number| 20_000 + 100 * (number % 301)).collect();
    let batch = world.submit(0, &lengths, spread(Allocate::Uniform));
    world.run_for(Micros::from_secs(15));
    for machine in &world.machines {
        let balance = machine.node.balance();
        assert!(balance.equilibrium.in_equilibrium, "{:?}", balance.equilibrium);
    }
    let moved: u64 = world.machines.iter().map(|machine| machine.node.counters().moved).sum();
    world.run_for(Micros::from_secs(10));
    for machine in &world.machines {
        assert!(machine.node.balance().equilibrium.in_equilibrium);
    }
    let again: u64 = world.machines.iter().map(|machine| machine.node.counters().moved).sum::<u64>() - moved;
    assert!(moved > 500 && again <= moved / 10, "{moved} moves, then {again}");
    let most =
        (0..4_000).filter_map(|number| world.machines[0].node.state.slot(DocId { batch, number: DocNumber(number) }));
    let most = most.map(|slot| slot.epoch.0 - 1).max().unwrap();
    assert!(most <= 5, "a document moved {most} times");
}

#[test]
fn one_hot_node_is_levelled_within_seconds() {
    for averaging in [crate::settings::Averaging::Carry, crate::settings::Averaging::Halves] {
        let one = Settings { averaging, ..settings(4) };
        let mut world = World::new(std::slice::from_ref(&one), 22);
        let batch = world.submit(0, &[1_000; 3_000], spread(Allocate::Lpt));
        for _ in 0..7 {
            world.add(one.clone());
        }
        world.run_for(Micros::from_secs(12));
        let pending: Vec<u64> = world.machines.iter().map(|machine| machine.node.waiting()).collect();
        let (low, high) = (pending.iter().min().unwrap(), pending.iter().max().unwrap());
        let mean = pending.iter().sum::<u64>() / 8;
        assert!(high - low <= mean / 4 + 4, "{averaging:?}: {pending:?}");
        world.finish(batch);
        assert_eq!(world.extra_starts(), 0);
    }
}

#[test]
fn counts_are_levelled_where_lengths_mean_nothing() {
    let count = Settings { metric: crate::settings::Metric::Count, ..settings(2) };
    let mut world = World::new(&vec![count; 3], 23);
    let lengths: Vec<u64> = (0..300).map(|number| 1 + number % 40).collect();
    let batch = world.submit(2, &lengths, spread(Allocate::Uniform));
    world.finish(batch);
    assert_eq!(world.agreed(batch, Outcome::Done), 300);
}
