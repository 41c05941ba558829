//! Whether a node may give up its copy of something: a pure function of who says what about it.
//!
//! Each holder has a list of those that are to have the thing. From a holder one comes, by the lists, to all that it counts on,
//! directly or through others: its *circle*. A circle *stands* if every node in it is live and stays, holds the thing, and has
//! just that circle; and if they are as many as copies are wanted. Those in it watch over one another, and count on nobody else.
//!
//! A node gives up its copy if there is a standing circle without it, unless its own stands, or may, and is not a later one in
//! the order of circles. So two nodes never give up because of each other. A node has one circle, so that two that stand have no
//! node in common. Of all that stand there is a first; nobody in it gives up anything, since what somebody in it sees of its
//! own circle is that it stands, or that it may, and no other that stands comes before it. It has as many nodes as there are to be
//! copies. And whoever gives up relies on a circle that stands: if none does, nobody gives up anything.
//!
//! That holds for what is so at one moment. What changes while a node asks is the affair of whoever asks: see `mod.rs`.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::ids::NodeId;

/// Nodes, without order.
pub(super) type Nodes = BTreeSet<NodeId>;

/// What is known about who holds one thing.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) me: NodeId,
    /// The lists of those that have answered, this node among them. `None`: it does not hold the thing.
    pub(super) lists: BTreeMap<NodeId, Option<&'a Nodes>>,
    /// The live nodes, this one among them, and whether they stay.
    pub(super) live: &'a BTreeMap<NodeId, bool>,
    /// Copies that there are to be.
    pub(super) wanted: usize,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It is one of the copies that there are to be.
    Keep,
    /// It may be too many: as long as others are being asked, or copied to, nobody can say.
    Unclear,
    /// These have it, and it may go.
    Release(Nodes),
}

/// A circle, as far as it is known.
enum Circle {
    Stands(Nodes),
    /// Somebody in it has not answered.
    May,
    Falls,
}

impl Known<'_> {
    /// All that a node counts on, itself included, if all of them have answered and hold the thing.
    fn reach(&self, from: NodeId) -> Result<Nodes, Circle> {
        let (mut reached, mut next) = (Nodes::from([from]), vec![from]);
        let mut unanswered = false;
        while let Some(node) = next.pop() {
            match self.lists.get(&node) {
                None => unanswered = true,
                Some(None) => return Err(Circle::Falls),
                Some(Some(list)) => {
                    // Who is not there any more is only still on the list.
                    let live = list.iter().copied().filter(|listed| self.live.contains_key(listed));
                    next.extend(live.filter(|listed| reached.insert(*listed)));
                }
            }
        }
        if unanswered { Err(Circle::May) } else { Ok(reached) }
    }

    fn circle(&self, from: NodeId) -> Circle {
        let reached = match self.reach(from) {
            Ok(reached) => reached,
            Err(circle) => return circle,
        };
        let stay = reached.iter().all(|node| self.live.get(node).is_some_and(|stays| *stays));
        let alike = || reached.iter().all(|node| self.reach(*node).is_ok_and(|other| other == reached));
        match reached.len() >= self.wanted && stay && alike() {
            true => Circle::Stands(reached),
            false => Circle::Falls,
        }
    }

    /// Whether this node, which holds the thing, may give it up.
    pub(super) fn judge(&self) -> Verdict {
        let own = match self.circle(self.me) {
            Circle::May => return Verdict::Unclear,
            Circle::Stands(own) => Some(own),
            Circle::Falls => None,
        };
        let others = self.lists.iter().filter(|(_, list)| list.is_some()).map(|(node, _)| *node);
        let standing = others.filter_map(|node| match self.circle(node) {
            Circle::Stands(circle) if !circle.contains(&self.me) => Some(circle),
            _ => None,
        });
        match (standing.min(), own) {
            (Some(first), Some(own)) if first < own => Verdict::Release(first),
            (_, Some(_)) => Verdict::Keep,
            (Some(first), None) => Verdict::Release(first),
            (None, None) => Verdict::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId([number; 16])
    }

    fn nodes(numbers: &[u8]) -> Nodes {
        numbers.iter().copied().map(node).collect()
    }

    /// Who holds the thing, with which list.
    type Held = BTreeMap<NodeId, Nodes>;

    /// What a node thinks that hears of these nodes, and of itself.
    fn judge(me: NodeId, held: &Held, heard: &Nodes, live: &BTreeMap<NodeId, bool>, wanted: usize) -> Verdict {
        let answers = |node: &&NodeId| **node == me || live.contains_key(*node) && heard.contains(*node);
        let asked: Nodes = live.keys().chain([&me]).filter(answers).copied().collect();
        let lists = asked.into_iter().map(|node| (node, held.get(&node))).collect();
        Known { me, lists, live, wanted }.judge()
    }

    fn says(me: u8, lists: &[(u8, &[u8])], live: &[u8], wanted: usize) -> Verdict {
        let held = lists.iter().map(|(holder, list)| (node(*holder), nodes(list))).collect();
        let live: BTreeMap<NodeId, bool> = live.iter().map(|one| (node(*one), true)).collect();
        judge(node(me), &held, &live.keys().copied().collect(), &live, wanted)
    }

    #[test]
    fn who_comes_back_gives_up_what_has_been_made_up_for() {
        let all = [1, 2, 3, 4];
        let lists: &[(u8, &[u8])] = &[(1, &[1, 2]), (2, &[2, 3]), (3, &[3, 2])];
        assert_eq!(says(1, lists, &all, 2), Verdict::Release(nodes(&[2, 3])));
        assert_eq!(says(2, lists, &all, 2), Verdict::Keep);
        // Not yet, too few, one that only seems to have it, one that counts on the node that asks.
        assert_eq!(says(1, &[(1, &[1, 2]), (2, &[2])], &all, 2), Verdict::Unclear);
        assert_eq!(says(1, lists, &all, 3), Verdict::Unclear);
        assert_eq!(says(1, &[(1, &[1, 2]), (2, &[2, 3])], &all, 2), Verdict::Unclear);
        assert_eq!(says(1, &[(1, &[1, 2]), (2, &[2, 1]), (3, &[3, 2])], &all, 2), Verdict::Keep);
        // Who is dead is only still on the lists.
        assert_eq!(says(1, &[(1, &[1, 9]), (2, &[2, 3, 9]), (3, &[3, 2])], &all, 2), Verdict::Release(nodes(&[2, 3])));
        // With three copies a holder of a result knows only itself and the sender.
        let chain: &[(u8, &[u8])] = &[(1, &[1, 2]), (2, &[2, 3, 4]), (3, &[3, 2]), (4, &[4, 2])];
        assert_eq!(says(1, chain, &all, 3), Verdict::Release(nodes(&[2, 3, 4])));
        // Each side of a cluster that was cut has made up for the other.
        let sides: &[(u8, &[u8])] = &[(1, &[1, 4]), (4, &[1, 4]), (2, &[2, 3]), (3, &[2, 3])];
        let verdicts = [1, 2, 3, 4].map(|me| says(me, sides, &all, 2));
        let goes = Verdict::Release(nodes(&[1, 4]));
        assert_eq!(verdicts, [Verdict::Keep, goes.clone(), goes, Verdict::Keep]);
    }

    #[test]
    fn who_does_not_answer_or_leaves_is_not_relied_on() {
        let held: Held = [(node(1), nodes(&[1, 4])), (node(2), nodes(&[2, 3])), (node(3), nodes(&[2, 3]))].into();
        let live = |stays| BTreeMap::from([(node(1), true), (node(2), true), (node(3), stays), (node(4), true)]);
        let all = nodes(&[1, 2, 3, 4]);
        assert_eq!(judge(node(1), &held, &all, &live(true), 2), Verdict::Release(nodes(&[2, 3])));
        assert_eq!(judge(node(1), &held, &all, &live(false), 2), Verdict::Unclear);
        assert_eq!(judge(node(1), &held, &nodes(&[2, 4]), &live(true), 2), Verdict::Unclear);
        // Its own circle may stand.
        assert_eq!(judge(node(1), &held, &nodes(&[2, 3]), &live(true), 2), Verdict::Unclear);
    }

    #[derive(Debug, Clone)]
    struct Case {
        held: Held,
        live: BTreeMap<NodeId, bool>,
        wanted: usize,
        /// Whom each node hears of.
        heard: Vec<Nodes>,
        /// Who looks, in this order, some more than once.
        order: Vec<u8>,
    }

    const MOST: u8 = 6;

    /// Lists are mostly of a few, so that there are circles that stand; some are anything.
    fn cases() -> impl Strategy<Value = Case> {
        let some = || prop::collection::btree_set(0..MOST, 0..4).prop_map(|set| set.into_iter().map(node).collect());
        let few = prop::collection::vec(some(), 1..4);
        let choice = (any::<prop::sample::Index>(), prop::option::weighted(0.2, some()), prop::bool::weighted(0.8));
        let choices = prop::collection::vec(choice, MOST as usize);
        let live = prop::collection::vec(
            prop_oneof![6 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)],
            MOST as usize,
        );
        let heard =
            prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.9), MOST as usize), MOST as usize);
        let order = prop::collection::vec(0..MOST, 0..12);
        (few, choices, live, 1..4_usize, heard, order).prop_map(|(few, choices, live, wanted, heard, order)| {
            let mut held = Held::new();
            for (number, (place, other, holds)) in (0..).zip(choices) {
                if holds {
                    // A list that names others only is rare; one that one is on oneself is chosen if there is any.
                    let own = few.iter().find(|list: &&Nodes| list.contains(&node(number)));
                    let list = other.unwrap_or_else(|| own.unwrap_or(place.get(&few)).clone());
                    held.insert(node(number), list);
                }
            }
            let live = (0..).zip(live).filter_map(|(number, stays)| Some((node(number), stays?))).collect();
            let heard =
                heard.into_iter().map(|row| (0..).zip(row).filter(|(_, hears)| *hears).map(|(n, _)| node(n)).collect());
            Case { held, live, wanted, heard: heard.collect(), order }
        })
    }

    impl Case {
        fn copies(&self, held: &Held) -> usize {
            held.keys().filter(|holder| self.live.contains_key(holder)).count()
        }

        fn gives_up(&self, me: u8, held: &Held) -> bool {
            let looks = self.live.get(&node(me)) == Some(&true) && held.contains_key(&node(me));
            looks
                && matches!(
                    judge(node(me), held, &self.heard[me as usize], &self.live, self.wanted),
                    Verdict::Release(_)
                )
        }
    }

    #[test]
    fn enough_copies_stay_whoever_gives_up_what_and_in_whatever_order() {
        let (given_up, at_once) = (Cell::new(0), Cell::new(0));
        let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let tested = runner.run(&cases(), |case| {
            let least = case.wanted.min(case.copies(&case.held));
            // All at one moment.
            let mut held = case.held.clone();
            let goes: Vec<u8> = (0..MOST).filter(|me| case.gives_up(*me, &case.held)).collect();
            goes.iter().for_each(|me| drop(held.remove(&node(*me))));
            prop_assert!(case.copies(&held) >= least, "{goes:?} at once");
            at_once.set(at_once.get() + usize::from(goes.len() > 1));
            // One after the other, and by groups that see the same.
            for size in 1..4 {
                let mut held = case.held.clone();
                for group in case.order.chunks(size) {
                    let goes: Vec<u8> = group.iter().copied().filter(|me| case.gives_up(*me, &held)).collect();
                    goes.iter().for_each(|me| drop(held.remove(&node(*me))));
                    given_up.set(given_up.get() + goes.len());
                    prop_assert!(case.copies(&held) >= least, "{goes:?} of {:?}", case.order);
                }
            }
            Ok(())
        });
        tested.unwrap_or_else(|error| panic!("{error}"));
        let (given_up, at_once) = (given_up.get(), at_once.get());
        assert!(given_up > 1000 && at_once > 100, "too little is given up to say anything: {given_up}, {at_once}");
    }
}
