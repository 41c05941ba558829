//! The lanes: order, independence, and what is dropped.

use evenkeel_core::ids::OfferId;

use super::*;

fn head(message: &(NodeId, Message)) -> Option<u64> {
    match &message.1 {
        Message::Head { head } => Some(*head),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_arrive_in_order_in_both_directions() {
    const MESSAGES: u64 = 20_000;
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    a.sees_live(&b).await;
    b.sees_live(&a).await;
    for number in 0..MESSAGES {
        b.network.send(a.id(), &Message::Head { head: number });
        a.network.send(b.id(), &Message::Nothing { load: load(number) });
    }
    let got = a.got(MESSAGES as usize).await;
    assert!(got.iter().all(|(from, _)| *from == b.id()));
    assert!(got.iter().filter_map(head).eq(0..MESSAGES));
    let got = b.got(MESSAGES as usize).await;
    let pending = |message: &(NodeId, Message)| match &message.1 {
        Message::Nothing { load } => Some(load.pending),
        _ => None,
    };
    assert!(got.iter().filter_map(pending).eq(0..MESSAGES));
    assert_eq!(a.network.traffic().messages_dropped, 0);
    assert_eq!(b.network.traffic().messages_out, MESSAGES);
    assert_eq!(a.network.traffic().messages_in, MESSAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_message_arrives_as_it_was() {
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    b.sees_live(&a).await;
    let pull = Message::Pull {
        number: 1,
        generation: Generation(4),
        clock: std::sync::Arc::default(),
        synced: true,
        snapshot: None,
        settling: false,
        missing: Vec::new(),
    };
    let offer = Message::Offer { id: OfferId(1), work: 2.0, capacity: 3.0, mean: 4.0, export: true, docs: Vec::new() };
    b.network.send(a.id(), &pull);
    b.network.send(a.id(), &offer);
    let mut got: Vec<Message> = a.got(2).await.into_iter().map(|(_, message)| message).collect();
    if got[0] != pull {
        got.reverse();
    }
    assert_eq!(got, [pull, offer]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_dropped_and_counted() {
    let a = start(config("a")).await;
    a.network.send(NodeId([9; 16]), &Message::Head { head: 1 });
    a.network.send(a.id(), &Message::Head { head: 1 });
    eventually("dropped", || a.network.traffic().messages_dropped == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_dropped_stops_the_network() {
    let a = start(config("a")).await;
    let address = a.network.local_addr();
    drop(a);
    eventually("the port is free again", || UdpSocket::bind(address).is_ok()).await;
}
