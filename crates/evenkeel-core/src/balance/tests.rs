//! The whole averaging step, played through on small clusters: plan, offer, grant, move, until nothing moves.

use proptest::prelude::*;

use super::*;
use crate::ids::NodeId;
use crate::settings::Averaging;

/// A document: its length, and how often it has moved.
#[derive(Debug, Clone, Copy)]
struct Doc {
    length: f64,
    moves: u32,
}

/// A node of the model: what it is and the documents it has, longest first.
#[derive(Debug, Clone)]
struct Host {
    id: NodeId,
    slots: u32,
    speed: f64,
    draining: bool,
    docs: Vec<Doc>,
    /// Sums over the documents of their lengths and of the squares of these, exact since lengths are whole.
    work: f64,
    squares: f64,
}

impl Host {
    fn put(&mut self, doc: Doc) {
        self.docs.insert(self.docs.partition_point(|other| other.length >= doc.length), doc);
        self.work += doc.length;
        self.squares += doc.length * doc.length;
    }

    fn take(&mut self, length: f64) -> Doc {
        let at = self.docs.partition_point(|other| other.length > length);
        let doc = self.docs.remove(at);
        assert_eq!(doc.length, length, "offered documents are there");
        self.work -= doc.length;
        self.squares -= doc.length * doc.length;
        doc
    }

    fn standing(&self) -> Standing {
        Standing::new(self.id, self.work, self.slots, self.speed)
            .with_shortest(self.docs.last().map(|doc| doc.length))
            .with_draining(self.draining)
    }

    fn psi(&self) -> f64 {
        psi(self.work, self.squares, self.standing().capacity())
    }
}

#[derive(Debug, Clone)]
struct Cluster {
    hosts: Vec<Host>,
    averaging: Averaging,
    hysteresis: f64,
    least_gain: f64,
}

impl Cluster {
    /// Hosts of these slots and speeds, with documents of these lengths.
    fn new(hosts: impl IntoIterator<Item = (u32, f64, Vec<u32>)>) -> Cluster {
        let host = |(n, (slots, speed, lengths)): (u128, (u32, f64, Vec<u32>))| {
            let id = NodeId(n.to_be_bytes());
            let mut host = Host { id, slots, speed, draining: false, docs: Vec::new(), work: 0.0, squares: 0.0 };
            lengths.iter().for_each(|length| host.put(Doc { length: f64::from(*length), moves: 0 }));
            host
        };
        let hosts = (0..).zip(hosts).map(host).collect();
        Cluster { hosts, averaging: Averaging::Carry, hysteresis: 0.1, least_gain: EPSILON }
    }

    fn view(&self) -> Vec<Standing> {
        self.hosts.iter().map(Host::standing).collect()
    }

    fn guard(&self) -> Guard {
        Guard::new(SlowRule::default(), &self.view())
    }

    /// The potential of two hosts, and the higher of their levels: nobody else's change in a move between them.
    fn pair(&self, a: usize, b: usize) -> (f64, f64) {
        let (a, b) = (&self.hosts[a], &self.hosts[b]);
        (a.psi() + b.psi(), a.standing().level().max(b.standing().level()))
    }

    /// Every document there is, in order of length.
    fn census(&self) -> Vec<u64> {
        let mut lengths: Vec<u64> =
            self.hosts.iter().flat_map(|host| &host.docs).map(|doc| doc.length as u64).collect();
        lengths.sort_unstable();
        lengths
    }

    fn most_moves(&self) -> u32 {
        self.hosts.iter().flat_map(|host| &host.docs).map(|doc| doc.moves).max().unwrap_or(0)
    }

    /// What a host offers by this view of the others: by its plan, or else as a best response.
    fn offers(&self, me: usize, view: &[Standing], guard: Guard) -> Vec<Parcel<f64>> {
        let id = self.hosts[me].id;
        let pack = |rows: &[Row]| {
            let mut packing = Packing::new(view, id, rows, &guard);
            for doc in &self.hosts[me].docs {
                match packing.limit() {
                    Some(limit) if doc.length <= limit => packing.place(doc.length, doc.length),
                    Some(_) => continue,
                    None => break,
                };
            }
            packing.parcels()
        };
        let planned = pack(&plan(view, id, self.averaging, self.hysteresis));
        if !planned.is_empty() || self.averaging == Averaging::Halves {
            return planned;
        }
        pack(best_response(view, id, &guard, self.least_gain).as_slice())
    }

    /// One offer: the receiver grants by its exact load, and what it grants moves. Checks what must hold of each move.
    fn settle(&mut self, from: usize, parcel: &Parcel<f64>, guard: &Guard) -> usize {
        let to = self.hosts.iter().position(|host| host.id == parcel.to).expect("offers go to hosts");
        let granted = grant(&parcel.terms, &self.hosts[to].standing(), guard, &parcel.docs);
        for place in &granted {
            let (before, higher) = self.pair(from, to);
            let mut doc = self.hosts[from].take(parcel.docs[*place]);
            doc.moves += 1;
            self.hosts[to].put(doc);
            let (after, now) = self.pair(from, to);
            assert!(after < before * (1.0 + 1e-12), "the potential rose from {before} to {after}");
            assert!(now <= higher, "the higher level of the two rose from {higher} to {now}");
        }
        granted.len()
    }

    /// Every host acts once, each by an exact view, or all by the view at the round's start. Number of moves.
    fn round(&mut self, stale: bool) -> usize {
        let guard = self.guard();
        let start = self.clone();
        let view = start.view();
        let mut moves = 0;
        for me in 0..self.hosts.len() {
            let offers = if stale { start.offers(me, &view, guard) } else { self.offers(me, &self.view(), guard) };
            moves += offers.iter().map(|parcel| self.settle(me, parcel, &guard)).sum::<usize>();
        }
        moves
    }

    /// Rounds until nothing moves.
    fn settle_down(&mut self, stale: bool) -> usize {
        let census = self.census();
        for round in 0..1000 {
            if self.round(stale) == 0 {
                assert_eq!(self.census(), census, "documents are neither lost nor made");
                return round;
            }
        }
        panic!("it never settles: {self:?}");
    }
}

#[test]
fn the_white_papers_example() {
    let mut cluster = Cluster::new([100, 150, 175, 200].map(|count| (10, 1.0, vec![1; count])));
    cluster.averaging = Averaging::Halves;
    cluster.round(true);
    let pending: Vec<usize> = cluster.hosts.iter().map(|host| host.docs.len()).collect();
    assert_eq!(pending, [150, 162, 163, 150]);
}

/// Bursts of documents on the first `hot` of `nodes` hosts: (slots, speed) in turn from `kinds`.
fn burst(nodes: usize, hot: usize, kinds: &[(u32, f64)], length: impl Fn(usize) -> u32) -> Cluster {
    let count = 100 * nodes / hot;
    Cluster::new((0..nodes).map(|n| {
        let (slots, speed) = kinds[n % kinds.len()];
        let docs = if n < hot { (0..count).map(|k| length(n * count + k)).collect() } else { Vec::new() };
        (slots, speed, docs)
    }))
}

#[test]
fn a_burst_settles_in_few_moves_and_rounds() {
    let kinds: [&[(u32, f64)]; 3] =
        [&[(4, 1.0)], &[(2, 0.5), (4, 1.0), (8, 1.0), (4, 2.0)], &[(4, 1.0), (4, 1.0), (4, 0.1)]];
    let lengths: [fn(usize) -> u32; 3] =
        [|_| 1, |k| if k % 5 == 0 { 400 } else { 100 }, |k| 20_000 / (k as u32 % 97 + 1)];
    for nodes in [4usize, 16, 40] {
        for hot in [1, nodes.div_ceil(10)] {
            for kinds in kinds {
                for length in lengths {
                    for stale in [true, false] {
                        let mut cluster = burst(nodes, hot, kinds, length);
                        let rounds = cluster.settle_down(stale);
                        let case = format!("{nodes} nodes, {hot} hot, {kinds:?}, stale {stale}, {rounds} rounds");
                        let allowed = libm::log2(nodes as f64) as u32 + 3;
                        assert!(cluster.most_moves() <= allowed, "{case}: {} moves", cluster.most_moves());
                        let stands = equilibrium(&cluster.view(), &cluster.guard(), EPSILON);
                        assert!(stands.in_equilibrium, "{case}: {stands:?}");
                        assert!(stands.max_level <= stands.certificate * (1.0 + 1e-12), "{case}: {stands:?}");
                        assert!(rounds <= 20, "{case}");
                    }
                }
            }
        }
    }
}

fn any_cluster() -> impl Strategy<Value = Cluster> {
    let length = prop_oneof![4 => 1u32..20, 1 => 100u32..1000];
    let host = (1u32..12, prop::sample::select(vec![0.1, 0.5, 1.0, 1.3]), prop::collection::vec(length, 0..30));
    prop::collection::vec(host, 1..12).prop_map(Cluster::new)
}

proptest! {
    #[test]
    fn without_hysteresis_it_ends_in_an_exact_equilibrium(mut cluster in any_cluster(), stale: bool) {
        cluster.hysteresis = 0.0;
        cluster.least_gain = 0.0;
        cluster.settle_down(stale);
        let stands = equilibrium(&cluster.view(), &cluster.guard(), EPSILON);
        prop_assert!(stands.regret <= 1e-9 * stands.max_level, "{:?}", stands);
        prop_assert!(stands.in_equilibrium && stands.max_level <= stands.certificate * (1.0 + 1e-12), "{:?}", stands);
    }

    #[test]
    fn with_hysteresis_it_ends_within_epsilon(mut cluster in any_cluster(), stale: bool) {
        cluster.settle_down(stale);
        let stands = equilibrium(&cluster.view(), &cluster.guard(), EPSILON);
        prop_assert!(stands.in_equilibrium && stands.max_level <= stands.certificate * (1.0 + 1e-12), "{:?}", stands);
    }

    #[test]
    fn halves_settle_too(mut cluster in any_cluster(), stale: bool) {
        cluster.averaging = Averaging::Halves;
        cluster.settle_down(stale);
    }

    #[test]
    fn whoever_leaves_is_given_nothing(mut cluster in any_cluster(), stale: bool) {
        cluster.hosts[0].draining = true;
        let had = cluster.hosts[0].docs.len();
        cluster.settle_down(stale);
        prop_assert!(cluster.hosts[0].docs.len() <= had && cluster.hosts[0].docs.iter().all(|doc| doc.moves == 0));
    }
}
