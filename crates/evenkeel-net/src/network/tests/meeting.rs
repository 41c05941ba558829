//! Nodes find each other, notice each other's death, and tell each other their loads.

use std::time::Instant;

use super::*;
use crate::seeds::{Pursuit, Resolved};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_meet_through_a_seed_within_two_gossip_intervals() {
    let mut config_a = config("a");
    config_a.gossip_interval = Duration::from_millis(400);
    config_a.http = Some("127.0.0.1:7401".to_owned());
    let interval = config_a.gossip_interval;
    let a = start(config_a).await;
    a.network.publish(load(7));
    let mut config_b = config("b");
    config_b.gossip_interval = interval;
    config_b.seeds = vec![a.address()];
    let started = Instant::now();
    let b = start(config_b).await;
    let seen = b.sees_live(&a).await;
    let took = started.elapsed();
    assert_eq!((seen.name.as_str(), seen.address), ("a", a.network.local_addr()));
    assert_eq!(seen.http.as_deref(), Some("127.0.0.1:7401"));
    a.sees_live(&b).await;
    let both = started.elapsed();
    println!("the new node saw the seed after {took:?}; the seed saw it after {both:?}");
    assert!(both < interval * 2, "{both:?}");
    let id = a.id();
    b.sees("its load", |members| members.live[&id].load == Some(load(7))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_meet_through_one_seed() {
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    let c = seeded("c", &a).await;
    for (one, other) in [(&a, &b), (&a, &c), (&b, &a), (&b, &c), (&c, &a), (&c, &b)] {
        one.sees_live(other).await;
    }
    b.network.publish(load(11));
    let id = b.id();
    let members = c.sees("the load", |members| members.live[&id].load.is_some()).await;
    assert_eq!(members.live[&id].load, Some(load(11)));
    assert_eq!(members.view().live.keys().collect::<Vec<_>>(), [&id]);
    assert!(!members.live.contains_key(&c.id()), "a node is no member of its own view");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_starts_later_is_found() {
    let reserved = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    let mut config_b = config("b");
    config_b.seeds = vec![format!("localhost:{}", address.port())];
    let b = start(config_b).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(reserved);
    let mut config_a = config("a");
    config_a.listen = address;
    let a = start(config_a).await;
    b.sees_live(&a).await;
    a.sees_live(&b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_seeds_itself_lives_alone() {
    let reserved = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config_a = config("a");
    config_a.listen = reserved;
    config_a.seeds = vec![reserved.to_string(), format!("localhost:{}", reserved.port())];
    let a = start(config_a).await;
    let b = seeded("b", &a).await;
    b.sees_live(&a).await;
    assert_eq!(a.sees_live(&b).await.name, "b");
    assert_eq!(a.network.members().borrow().live.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_death_and_a_new_generation_a_new_life() {
    let quick = |name: &str| {
        let mut config = config(name);
        config.detection = Duration::from_secs(1);
        config
    };
    let a = start(quick("a")).await;
    let mut config_b = quick("b");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.key");
    config_b.key = NodeKey::load_or_create(&path).unwrap();
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    let id = b.id();
    assert_eq!(a.sees_live(&b).await.generation, Generation(1));

    // Killed: nothing is said any more.
    let address = b.network.local_addr();
    let killed = Instant::now();
    let main = b.network.0.main.lock().unwrap().take().unwrap();
    drop(main.stop);
    main.ended.wait().await;
    a.sees_dead(id).await;
    let took = killed.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");

    drop(b);
    let mut config_b = quick("b again");
    config_b.key = NodeKey::load_or_create(&path).unwrap();
    config_b.generation = Generation(2);
    config_b.listen = address;
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    let again = a.sees("a new life", |members| members.live.get(&id).is_some_and(|b| b.generation.0 == 2)).await;
    assert_eq!(again.live[&id].name, "b again");
    assert!(!again.dead.contains_key(&id), "only the newest generation counts");
    b.network.send(a.id(), &Message::Head { head: 1 });
    a.got(1).await;
    a.network.send(id, &Message::Head { head: 2 });
    b.got(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_leaves_is_gone_at_once() {
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    let c = seeded("c", &a).await;
    a.sees_live(&b).await;
    c.sees_live(&b).await;
    b.sees_live(&c).await;
    let id = b.id();
    let started = Instant::now();
    b.network.shutdown().await;
    a.sees_dead(id).await;
    c.sees_dead(id).await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    b.network.shutdown().await;
    b.network.send(a.id(), &Message::Head { head: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_is_told_at_once() {
    let mut config_a = config("a");
    config_a.gossip_interval = Duration::from_secs(1);
    let a = start(config_a).await;
    let mut config_b = config("b");
    config_b.gossip_interval = Duration::from_secs(1);
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    b.network.publish(load(1));
    let id = b.id();
    a.sees("the load", |members| members.live.get(&id).is_some_and(|b| b.load.is_some())).await;
    b.sees_live(&a).await;
    let started = Instant::now();
    b.network.publish(Load { draining: true, ..load(1) });
    let drains = |b: &Member| b.load.as_ref().is_some_and(|load| load.draining);
    a.sees("the drain", |members| members.live.get(&id).is_some_and(drains)).await;
    let took = started.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_without_losing_anybody() {
    let (old, new) = (secret(), Secret::generate().unwrap());
    let ring =
        |secrets: &[&Secret]| Some(Keyring::new(secrets.iter().map(|secret| (*secret).clone()).collect()).unwrap());
    let mut stages = Vec::new();
    for (name, keyring) in [("old", ring(&[&old])), ("both", ring(&[&old, &new])), ("turned", ring(&[&new, &old]))] {
        let mut config = config(name);
        config.keyring = keyring;
        config.seeds = stages.iter().map(Node::address).collect();
        stages.push(start(config).await);
    }
    // A node that presents the new secret's certificate is accepted by those that hold both, as is the old one's.
    let [old_one, both, turned] = &stages[..] else { unreachable!() };
    both.sees_live(old_one).await;
    both.sees_live(turned).await;
    turned.sees_live(both).await;
    let mut config_new = config("new");
    config_new.keyring = ring(&[&new]);
    config_new.seeds = vec![turned.address()];
    let new_one = start(config_new).await;
    new_one.sees_live(turned).await;
    turned.sees_live(&new_one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_gossip_is_under_20_kilobytes_a_second() {
    const NODES: usize = 4;
    let node = |name: &str| {
        let mut config = config(name);
        config.gossip_interval = Duration::from_millis(200);
        config.detection = Duration::from_secs(10);
        config
    };
    let mut nodes = vec![start(node("0")).await];
    for number in 1..NODES {
        let mut config = node(&number.to_string());
        config.seeds = vec![nodes[0].address()];
        nodes.push(start(config).await);
    }
    for node in &nodes {
        node.network.publish(load(3));
    }
    for node in &nodes {
        node.sees("all loads", |members| {
            members.live.len() == NODES - 1 && members.live.values().all(|member| member.load.is_some())
        })
        .await;
    }
    // What is measured is a rate: time has to pass.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before: Vec<Traffic> = nodes.iter().map(|node| node.network.traffic()).collect();
    let window = Duration::from_secs(4);
    tokio::time::sleep(window).await;
    for (node, before) in nodes.iter().zip(before) {
        let after = node.network.traffic();
        let rate = |after: u64, before: u64| (after - before) as f64 / window.as_secs_f64();
        let total = rate(after.udp_bytes_out, before.udp_bytes_out);
        let gossip = rate(after.gossip_bytes_out, before.gossip_bytes_out);
        let messages = rate(after.gossip_messages_out, before.gossip_messages_out);
        println!("idle: {total:.0} B/s of UDP out, of it {gossip:.0} B/s gossip in {messages:.0} messages/s");
        assert!(total < 20_000.0, "{total} B/s");
        assert_eq!(after.gossip_messages_dropped, before.gossip_messages_dropped);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_program_does_not_look_dead() {
    let quick = |name: &str| {
        let mut config = config(name);
        config.detection = Duration::from_secs(2);
        config
    };
    let a = start(quick("a")).await;
    let mut config_b = quick("b");
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    a.sees_live(&b).await;
    b.sees_live(&a).await;
    // Every worker of the runtime is kept from everything else for twice the detection time.
    let until = Instant::now() + Duration::from_secs(4);
    let busy: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let (mut of_a, mut of_b) = (a.network.members(), b.network.members());
    while Instant::now() < until {
        for members in [&mut of_a, &mut of_b] {
            assert_eq!(members.borrow_and_update().live.len(), 1);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for task in busy {
        task.await.unwrap();
    }
}

/// What the name of a cluster stands for, which is this node alone at first, and how often it was asked.
static BEHIND_THE_NAME: Mutex<(Vec<SocketAddr>, u32)> = Mutex::new((Vec::new(), 0));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_stands_for_this_node_alone_is_looked_up_again() {
    let (a, b) = (start(config("a")).await, start(config("b")).await);
    let pursuit = |resolve| {
        // Without a handle of gossip it introduces itself to nobody: that it has dialled is what is looked at.
        let (_, gossip) = watch::channel(None);
        Pursuit {
            peers: a.network.0.asker.peers.clone(),
            members: a.network.members(),
            gossip,
            interval: Duration::from_millis(50),
            own: a.network.local_addr(),
            resolve,
        }
    };
    // An address does not come to mean another node.
    soon("the end of it", pursuit(crate::seeds::resolve).run(a.address())).await;

    BEHIND_THE_NAME.lock().unwrap().0 = vec![a.network.local_addr()];
    let resolve = |_| -> Resolved {
        let mut behind = BEHIND_THE_NAME.lock().unwrap();
        behind.1 += 1;
        let addresses = behind.0.clone();
        Box::pin(async move { Ok(addresses) })
    };
    let pursued = tokio::spawn(pursuit(resolve).run("nodes.example:7116".to_owned()));
    eventually("a look", || BEHIND_THE_NAME.lock().unwrap().1 > 0).await;
    BEHIND_THE_NAME.lock().unwrap().0.push(b.network.local_addr());
    let peers = a.network.0.asker.peers.clone();
    eventually("a connection", || peers.current(b.id()).is_some()).await;
    pursued.abort();
}
