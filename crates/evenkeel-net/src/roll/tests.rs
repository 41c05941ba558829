//! The roll, told by hand what gossip would bring.

use super::*;

const DETECTION: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(50);

/// What a node says, as a test has it.
#[derive(Default)]
struct Words {
    name: Option<&'static str>,
    left: bool,
}

impl Says for Words {
    fn name(&self) -> Option<String> {
        self.name.map(str::to_owned)
    }

    fn version(&self) -> String {
        String::new()
    }

    fn http(&self) -> Option<String> {
        None
    }

    fn load(&self) -> Option<Load> {
        None
    }

    fn low(&self) -> bool {
        false
    }

    fn left(&self) -> bool {
        self.left
    }
}

const NAMED: Words = Words { name: Some("b"), left: false };

fn peer() -> NodeId {
    NodeId([2; 16])
}

fn sees(generation: u64, heartbeat: u64, says: &Words) -> Sighting<'_> {
    Sighting {
        node: peer(),
        generation: Generation(generation),
        incarnation: generation,
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        heartbeat,
        version: heartbeat,
        says,
    }
}

struct Test {
    roll: Roll,
    now: Instant,
}

impl Test {
    fn new() -> Test {
        let now = Instant::now();
        Test { roll: Roll::new(DETECTION, now), now }
    }

    /// Time goes on as it does for a node that runs.
    fn passes(&mut self, time: Duration, sighting: &dyn Fn() -> Sighting<'static>) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            self.roll.call(self.now, [sighting()], &BTreeMap::new());
        }
    }

    fn hears(&mut self, sighting: Sighting<'_>) {
        self.roll.call(self.now, [sighting], &BTreeMap::new());
    }

    fn is(&self) -> &'static str {
        let members = self.roll.members(self.now);
        match (members.live.contains_key(&peer()), members.dead.contains_key(&peer())) {
            (true, false) => "live",
            (false, true) if members.dead[&peer()].left => "left",
            (false, true) => "dead",
            (false, false) => "unknown",
            (true, true) => "both",
        }
    }
}

#[test]
fn hearsay_is_no_life_until_the_heartbeat_rises() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &NAMED));
    assert_eq!(t.is(), "unknown");
    t.hears(sees(1, 6, &NAMED));
    assert_eq!(t.is(), "live");
    t.passes(DETECTION - TICK, &|| sees(1, 6, &NAMED));
    assert_eq!(t.is(), "live");
    t.passes(TICK * 2, &|| sees(1, 6, &NAMED));
    assert_eq!(t.is(), "dead");
    t.hears(sees(1, 7, &NAMED));
    assert_eq!(t.is(), "live");
}

#[test]
fn one_that_was_dead_before_is_dead_after_the_detection_time() {
    let mut t = Test::new();
    t.passes(DETECTION, &|| sees(1, 5, &NAMED));
    assert_eq!(t.is(), "unknown");
    t.passes(TICK * 2, &|| sees(1, 5, &NAMED));
    assert_eq!(t.is(), "dead");
}

#[test]
fn who_speaks_lives() {
    let mut t = Test::new();
    t.roll.call(t.now, [sees(1, 5, &NAMED)], &[(peer(), t.now)].into());
    assert_eq!(t.is(), "live");
}

#[test]
fn only_the_newest_generation_counts() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &NAMED));
    t.hears(sees(1, 6, &NAMED));
    assert_eq!(t.is(), "live");
    // The old one's heartbeat still rises on its way through others.
    t.roll.call(t.now, [sees(2, 1, &NAMED), sees(1, 9, &NAMED)], &BTreeMap::new());
    assert_eq!(t.is(), "unknown");
    t.roll.call(t.now, [sees(1, 10, &NAMED), sees(2, 2, &NAMED)], &BTreeMap::new());
    assert_eq!(t.is(), "live");
    assert_eq!(t.roll.members(t.now).live[&peer()].generation, Generation(2));
}

#[test]
fn one_that_left_is_told_from_the_dead_and_one_forgotten_is_gone() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &NAMED));
    t.hears(sees(1, 6, &NAMED));
    t.hears(sees(1, 7, &Words { left: true, ..NAMED }));
    assert_eq!(t.is(), "left");
    t.roll.call(t.now, [], &BTreeMap::new());
    assert_eq!(t.is(), "unknown");
}

#[test]
fn one_that_lives_outlives_a_new_start_of_gossip() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &NAMED));
    t.hears(sees(1, 6, &NAMED));
    t.roll.call(t.now, [], &BTreeMap::new());
    assert_eq!(t.is(), "live");
    t.passes(DETECTION + TICK, &|| sees(1, 6, &NAMED));
    t.roll.call(t.now, [], &BTreeMap::new());
    assert_eq!(t.is(), "unknown");
}

#[test]
fn one_that_has_not_said_its_name_is_no_member() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &Words::default()));
    t.hears(sees(1, 6, &Words::default()));
    assert_eq!(t.is(), "unknown");
    t.hears(sees(1, 7, &NAMED));
    assert_eq!(t.is(), "live");
}

#[test]
fn a_node_that_slept_buries_nobody() {
    let mut t = Test::new();
    t.hears(sees(1, 5, &NAMED));
    t.hears(sees(1, 6, &NAMED));
    t.passes(Duration::from_secs(1), &|| sees(1, 6, &NAMED));
    t.now += DETECTION * 3;
    t.hears(sees(1, 6, &NAMED));
    assert_eq!(t.is(), "live");
    // But from here on, silence counts.
    t.passes(DETECTION, &|| sees(1, 6, &NAMED));
    assert_eq!(t.is(), "dead");
}
