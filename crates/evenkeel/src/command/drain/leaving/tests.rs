use evenkeel_node::api::types::{Equilibrium, NodeState, Schema};

use super::*;

const LEAVING: NodeId = NodeId([1; 16]);
const STAYING: NodeId = NodeId([2; 16]);

fn node(id: NodeId, state: NodeState, pending: u64, taken_over: u64) -> NodeStatus {
    NodeStatus {
        id,
        name: "n".to_owned(),
        generation: Generation(1),
        state,
        is_self: id == STAYING,
        pending,
        running: 0,
        max_process: 4,
        speed: 1.0,
        level: 0.0,
        work: 0.0,
        started: 0,
        duplicates: 0,
        taken_over,
        moved: 0,
        version: String::new(),
        address: "10.0.0.1:7116".parse().unwrap(),
        http: None,
    }
}

/// The leaving node in this state with so many documents, beside one that has taken so many over.
fn nodes(state: NodeState, pending: u64, taken_over: u64) -> Nodes {
    Nodes {
        schema: Schema,
        nodes: vec![node(LEAVING, state, pending, 0), node(STAYING, NodeState::Live, 5, taken_over)],
        equilibrium: Equilibrium { in_equilibrium: true, regret: 0.0, epsilon: 0.0, certificate: None },
    }
}

/// What is seen in the end if these are the looks, a second apart.
fn seen(looks: &[Nodes]) -> Seen {
    let mut leaving = Leaving::new(&looks[0], LEAVING, "n".to_owned());
    let begun = Instant::now();
    let mut seen = Seen::Undecided;
    for (second, look) in (0..).zip(looks) {
        assert_eq!(seen, Seen::Undecided, "it was decided before look {second}");
        seen = leaving.look(look, begun + Duration::from_secs(second));
    }
    seen
}

#[test]
fn a_node_that_gave_everything_away_has_left() {
    use NodeState::{Dead, Draining, Left, Live};
    assert_eq!(seen(&[nodes(Live, 9, 2), nodes(Draining, 4, 2)]), Seen::Undecided);
    assert_eq!(seen(&[nodes(Live, 9, 2), nodes(Draining, 0, 2), nodes(Dead, 0, 2)]), Seen::Gone);
    assert_eq!(seen(&[nodes(Live, 9, 2), nodes(Draining, 0, 2), nodes(Left, 0, 2)]), Seen::Gone);
    let forgotten = Nodes { nodes: Vec::new(), ..nodes(Dead, 0, 2) };
    assert_eq!(seen(&[nodes(Draining, 0, 2), forgotten]), Seen::Gone);
}

#[test]
fn the_last_that_a_node_did_before_it_left_may_be_heard_late() {
    use NodeState::{Dead, Draining};
    let mut looks = vec![nodes(Draining, 3, 2), nodes(Dead, 3, 2)];
    looks.extend((0..4).map(|_| nodes(Dead, 0, 2)));
    assert_eq!(seen(&looks), Seen::Undecided);
    looks.push(nodes(Dead, 0, 2));
    assert_eq!(seen(&looks), Seen::Gone);
}

#[test]
fn a_node_whose_documents_are_taken_over_has_died() {
    use NodeState::{Dead, Draining, Left};
    assert_eq!(seen(&[nodes(Draining, 3, 2), nodes(Dead, 3, 2), nodes(Dead, 1, 4)]), Seen::Lost(3));
    assert_eq!(seen(&[nodes(Draining, 3, 2), nodes(Left, 3, 2), nodes(Left, 1, 4)]), Seen::Lost(3), "it was hurried");
    assert_eq!(seen(&[nodes(Draining, 3, 2), nodes(Dead, 0, 5)]), Seen::Lost(3));
    let mut looks = vec![nodes(Draining, 3, 2)];
    looks.extend((0..6).map(|_| nodes(Dead, 3, 2)));
    assert_eq!(seen(&looks), Seen::Lost(3), "nobody may take them over, and they are lost all the same");
}

#[test]
fn the_next_run_of_a_node_is_another_matter() {
    let mut again = nodes(NodeState::Live, 7, 4);
    again.nodes[0].generation = Generation(2);
    assert_eq!(seen(&[nodes(NodeState::Draining, 2, 2), again.clone()]), Seen::Lost(2));
    assert_eq!(seen(&[nodes(NodeState::Draining, 0, 4), again]), Seen::Gone);
}
