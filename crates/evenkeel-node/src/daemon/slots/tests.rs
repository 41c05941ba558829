//! The controller on machines that are made up: so many processors, so much memory, documents of one kind.

use proptest::prelude::*;

use super::control::{Bounds, Change, Controller, Sample, Why};
use super::trial::Ran;
use super::*;
use crate::machine::Memory;

const GIB: u64 = 1 << 30;

/// A machine and what runs on it.
#[derive(Debug, Clone)]
struct World {
    processors: f64,
    memory: u64,
    /// Seconds that a document takes by itself, and the part of them in which it computes.
    takes: f64,
    computes: f64,
    /// Bytes of a document.
    bytes: u64,
    /// Documents that one external thing, such as a disk or a service, does in a second.
    shared: f64,
    documents: u64,
}

impl World {
    fn of(takes: f64, computes: f64) -> World {
        World {
            processors: 4.0,
            memory: 16 * GIB,
            takes,
            computes,
            bytes: 10 << 20,
            shared: f64::INFINITY,
            documents: u64::MAX,
        }
    }

    /// Seconds that each of so many takes.
    fn each(&self, running: u32) -> f64 {
        let running = f64::from(running);
        let crowding = (running * self.computes / self.processors).max(1.0);
        (self.takes * crowding).max(running / self.shared)
    }

    fn busy(&self, running: u32) -> f64 {
        (f64::from(running) * self.computes * self.takes / self.each(running) / self.processors).min(1.0)
    }
}

/// A run of the controller in such a world.
struct Run {
    world: World,
    controller: Controller,
    now: f64,
    slots: u32,
    /// Ends of what runs: when, when started.
    running: Vec<(f64, f64)>,
    changes: Vec<(f64, u32, Change)>,
    highest_memory: u64,
    /// Memory that others take.
    others: u64,
}

impl Run {
    fn new(world: World, start: u32, most: u32) -> Run {
        let controller = Controller::new(Bounds { start, most });
        let (running, changes) = (Vec::new(), Vec::new());
        Run { world, controller, now: 0.0, slots: start, running, changes, highest_memory: 0, others: 0 }
    }

    fn go(&mut self, seconds: f64) -> &mut Run {
        let end = self.now + seconds;
        while self.now < end {
            self.look(0.5);
        }
        self
    }

    fn look(&mut self, step: f64) {
        self.now += step;
        let mut ran = Vec::new();
        // Each slot goes on with the next document as soon as it is free.
        while let Some(place) = (0..self.running.len()).min_by(|a, b| self.running[*a].0.total_cmp(&self.running[*b].0))
            && self.running[place].0 <= self.now
        {
            let (end, start) = self.running.swap_remove(place);
            let took = Duration::from_secs_f64(end - start);
            ran.push(Ran { started: Duration::from_secs_f64(start), took, weight: 1.0, peak: self.world.bytes });
            self.fill(end);
        }
        self.fill(self.now);
        let in_use = self.running.len() as u32;
        let used = u64::from(in_use) * self.world.bytes + self.others;
        self.highest_memory = self.highest_memory.max(used);
        let memory = Memory { limit: self.world.memory, available: self.world.memory.saturating_sub(used) };
        let sample = Sample {
            now: Duration::from_secs_f64(self.now),
            slots: self.slots,
            in_use,
            waiting: self.world.documents,
            ran,
            busy: Some(self.world.busy(in_use)),
            memory: Some(memory),
            stall: Some((0.0, 0.0)),
        };
        if let Some(change) = self.controller.consider(&sample) {
            self.changes.push((self.now, self.slots, change));
            self.slots = change.slots;
            self.fill(self.now);
        }
    }

    fn fill(&mut self, at: f64) {
        while (self.running.len() as u32) < self.slots && self.world.documents > 0 {
            self.world.documents -= 1;
            let takes = self.world.each(self.running.len() as u32 + 1);
            self.running.push((at + takes, at));
        }
    }

    fn changes_since(&self, time: f64) -> usize {
        self.changes.iter().filter(|(at, ..)| *at >= time).count()
    }
}

#[test]
fn documents_that_sleep_take_it_to_the_most_that_it_may_have() {
    let mut run = Run::new(World::of(0.5, 0.0), 4, 100);
    run.go(60.0);
    assert_eq!(run.slots, 100, "{:?}", run.changes);
    assert!(run.changes.iter().all(|(_, _, change)| change.why == Why::Idle), "{:?}", run.changes);
    run.go(3_600.0);
    assert_eq!(run.slots, 100);
}

#[test]
fn documents_that_compute_leave_it_where_it_is() {
    let mut run = Run::new(World::of(1.0, 1.0), 4, 100);
    run.go(3_600.0);
    assert_eq!((run.slots, run.changes.len()), (4, 0), "{:?}", run.changes);
}

#[test]
fn it_finds_the_knee_of_documents_that_compute_half_of_the_time() {
    let mut run = Run::new(World::of(0.5, 0.5), 4, 100);
    run.go(600.0);
    assert!((6..=12).contains(&run.slots), "{:?}", run.changes);
}

#[test]
fn what_something_else_holds_up_is_not_pressed_further() {
    let mut run = Run::new(World { shared: 20.0, ..World::of(0.5, 0.1) }, 4, 1_000);
    run.go(3_600.0);
    assert!((8..=20).contains(&run.slots), "{:?}", run.changes);
    assert!(run.changes_since(1_800.0) <= 8, "it does not flap: {:?}", run.changes);
}

#[test]
fn documents_that_take_an_hour_are_tried_too() {
    let mut run = Run::new(World::of(3_600.0, 0.0), 2, 16);
    run.go(900.0);
    assert_eq!(run.slots, 16, "{:?}", run.changes);
}

/// More than one for each processor get more done, and crowd it: the way up, down and further down must not go round for ever,
/// also where few documents, or none, end while a step is tried.
#[test]
fn long_documents_that_nearly_fill_the_processors_do_not_make_it_go_round() {
    for takes in [1.0, 18.369_355, 45.0, 200.0] {
        let mut run = Run::new(World::of(takes, 0.878_068), 1, 6);
        run.go(7_200.0);
        assert!(run.changes_since(3_600.0) <= 26, "{takes}: {:?}", run.changes);
    }
}

#[test]
fn it_stops_before_memory_would_run_out() {
    let mut run = Run::new(World { bytes: GIB, ..World::of(0.5, 0.0) }, 2, 100);
    run.go(3_600.0);
    assert!((10..=13).contains(&run.slots), "{:?}", run.changes);
    assert!(run.highest_memory <= 13 * GIB);
    assert!(run.changes.iter().all(|(_, _, change)| change.why != Why::Memory), "{:?}", run.changes);
}

#[test]
fn memory_that_others_take_is_given_way_to_at_once_down_to_one() {
    let mut run = Run::new(World { bytes: GIB / 2, ..World::of(0.5, 0.0) }, 2, 64);
    run.go(120.0);
    assert!(run.slots > 16, "{:?}", run.changes);
    let full = run.slots;
    run.others = 16 * GIB - u64::from(full) * GIB / 2 - GIB;
    let begun = run.now;
    run.go(3.0);
    assert!(run.slots < full, "{:?}", run.changes);
    assert_eq!(run.changes.last().unwrap().2.why, Why::Memory);
    run.others = 16 * GIB;
    run.go(60.0);
    assert_eq!(run.slots, 1, "{:?}", run.changes);
    assert!(run.changes.iter().filter(|(at, ..)| *at >= begun).all(|(.., change)| change.why == Why::Memory));
    run.others = 0;
    run.go(1_800.0);
    assert!(run.slots > 16, "it climbs again: {:?}", run.changes);
}

#[test]
fn crowded_processors_take_it_down_again_and_not_below_where_it_began() {
    let mut run = Run::new(World::of(0.5, 0.0), 4, 64);
    run.go(60.0);
    assert_eq!(run.slots, 64);
    (run.world.computes, run.world.takes) = (1.0, 0.5);
    run.go(1_200.0);
    assert!((4..=8).contains(&run.slots), "{:?}", run.changes);
}

#[test]
fn after_all_is_done_it_begins_afresh() {
    let mut run = Run::new(World { documents: 5_000, ..World::of(0.5, 0.0) }, 4, 64);
    run.go(600.0);
    assert_eq!((run.slots, run.changes.last().unwrap().2.why), (4, Why::Afresh), "{:?}", run.changes);
    let changes = run.changes.len();
    run.go(600.0);
    assert_eq!(run.changes.len(), changes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn it_keeps_within_its_bounds_and_comes_to_rest(
        takes in 0.05..20.0f64,
        computes in 0.0..1.0f64,
        mebibytes in 1u64..2_000,
        shared in prop_oneof![Just(f64::INFINITY), 0.5..200.0f64],
        start in 1u32..16,
        more in 0u32..100,
    ) {
        let world = World { bytes: mebibytes << 20, shared, ..World::of(takes, computes) };
        let started = u64::from(start) * world.bytes;
        let mut run = Run::new(world, start, start + more);
        run.go(7_200.0);
        let changes = &run.changes;
        prop_assert!(changes.iter().all(|(_, _, change)| (1..=start + more).contains(&change.slots)));
        // It cannot know beforehand what those need that it starts with. What comes later it knows.
        if started < run.world.memory / 2 {
            prop_assert!(run.highest_memory < run.world.memory * 9 / 10, "{:?}", changes);
        }
        // In the second hour every trial waits for ten minutes, once up and once down.
        prop_assert!(run.changes_since(3_600.0) <= 26, "{:?}", changes);
    }

    #[test]
    fn whatever_is_seen_it_goes_on(
        seen in prop::collection::vec(
            (1u32..50, 0u32..80, 0u64..3, any::<Option<f64>>(), any::<(u64, u64)>(), any::<Option<(f64, f64)>>(), 0u64..100_000),
            1..60,
        ),
    ) {
        let mut controller = Controller::new(Bounds { start: 3, most: 40 });
        let mut now = Duration::ZERO;
        for (slots, in_use, waiting, busy, (limit, available), stall, millis) in seen {
            now += Duration::from_millis(millis);
            let ran = vec![Ran { started: now, took: Duration::from_millis(millis), weight: f64::NAN, peak: available }; 30];
            let memory = Some(Memory { limit, available });
            let sample = Sample { now, slots, in_use, waiting, ran, busy, memory, stall };
            if let Some(change) = controller.consider(&sample) {
                prop_assert!((1..=40).contains(&change.slots) && change.slots != slots);
            }
        }
    }
}
