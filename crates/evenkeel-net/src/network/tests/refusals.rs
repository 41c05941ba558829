//! Strangers, junk, and peers that break the rules: refused, and nobody else notices.

use std::time::Instant;

use bytes::{BufMut, BytesMut};
use quinn::{ConnectionError, SendStream};

use super::*;
use crate::streams::StreamKind;
use crate::wire;

/// A peer with the right secret and no manners.
struct Rogue {
    endpoint: Endpoint,
    connection: quinn::Connection,
}

impl Rogue {
    async fn connect(victim: &Node) -> Rogue {
        Rogue::with(victim, Some(&Keyring::single(secret()))).await.unwrap()
    }

    async fn with(victim: &Node, keyring: Option<&Keyring>) -> Result<Rogue, ConnectionError> {
        let key = NodeKey::generate().unwrap();
        let tls = Tls::new(&key, keyring).unwrap();
        let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = endpoint::client_config(&tls, Duration::from_secs(5));
        let connection =
            endpoint.connect_with(config, victim.network.local_addr(), crate::identity::SERVER_NAME).unwrap().await?;
        Ok(Rogue { endpoint, connection })
    }

    async fn lane(&self, bytes: &[u8]) -> SendStream {
        let mut stream = self.connection.open_uni().await.unwrap();
        stream.write_all(&[&[StreamKind::Sync as u8], bytes].concat()).await.unwrap();
        stream
    }
}

fn frame(message: &Message) -> BytesMut {
    let mut buffer = BytesMut::new();
    wire::append_frame(&mut buffer, message).unwrap();
    buffer
}

/// Good peers go on: a message still gets through, quickly.
async fn unharmed(a: &Node, b: &Node) {
    let before = a.service.messages.lock().unwrap().len();
    b.network.send(a.id(), &Message::Head { head: 77 });
    a.got(before + 1).await;
    assert!(a.network.members().borrow().live.contains_key(&b.id()));
}

async fn pair() -> (Node, Node) {
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    a.sees_live(&b).await;
    b.sees_live(&a).await;
    (a, b)
}

async fn refused(a: &Node, count: u64) {
    eventually("a refusal", || a.network.traffic().refused >= count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_refused_by_both_sides() {
    let (a, b) = pair().await;
    let mut stranger = config("stranger");
    stranger.keyring = Some(Keyring::single(Secret::generate().unwrap()));
    stranger.seeds = vec![a.address()];
    let stranger = start(stranger).await;
    refused(&a, 1).await;
    refused(&stranger, 1).await;
    unharmed(&a, &b).await;
    assert!(stranger.network.members().borrow().live.is_empty());
    assert!(!a.network.members().borrow().live.contains_key(&stranger.id()));
    assert!(Rogue::with(&a, None).await.is_err(), "the public key is no key to a cluster that has a secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_secret_only_loopback_is_listened_on() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7400"] {
        let mut config = config("a");
        config.keyring = None;
        config.listen = listen.parse().unwrap();
        let error = Network::start(config, Arc::new(Recorder::default())).await.unwrap_err().to_string();
        assert!(error.contains("evenkeel secret new") && error.contains("--secret-file"), "{error}");
    }
    let open = |name: &str| {
        let mut config = config(name);
        config.keyring = None;
        config
    };
    let a = start(open("a")).await;
    let mut config_b = open("b");
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    a.sees_live(&b).await;
    b.sees_live(&a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_settings_say_what_to_do() {
    let start = async |change: fn(&mut NetworkConfig)| {
        let mut config = config("a");
        change(&mut config);
        Network::start(config, Arc::new(Recorder::default())).await.unwrap_err().to_string()
    };
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut in_use = config("a");
    in_use.listen = taken.local_addr().unwrap();
    let error = Network::start(in_use, Arc::new(Recorder::default())).await.unwrap_err().to_string();
    assert!(error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("another node"), "{error}");
    let error = start(|config| config.listen = "192.0.2.1:0".parse().unwrap()).await;
    assert!(error.contains("not an address of this host"), "{error}");
    let error = start(|config| config.listen = "0.0.0.0:0".parse().unwrap()).await;
    assert!(error.contains("--advertise"), "{error}");
    let error = start(|config| config.seeds = vec!["somewhere".to_owned()]).await;
    assert!(error.contains("HOST:PORT"), "{error}");
    let error = start(|config| config.detection = Duration::from_millis(1)).await;
    assert!(error.contains("detection"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listening_everywhere_the_address_towards_the_seed_is_told() {
    let a = start(config("a")).await;
    let mut config_b = config("b");
    config_b.listen = "0.0.0.0:0".parse().unwrap();
    config_b.seeds = vec![a.address()];
    let b = start(config_b).await;
    assert_eq!(b.network.advertised_addr().ip(), a.network.local_addr().ip());
    assert_eq!(a.sees_live(&b).await.address, b.network.advertised_addr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_udp_peer_is_named_and_ignored() {
    let (a, b) = pair().await;
    let before = a.network.traffic().refused;
    let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
    for junk in [&b"hello"[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 1400], &[0xff; 1400]] {
        plain.send_to(junk, a.network.local_addr()).unwrap();
    }
    refused(&a, before + 4).await;
    unharmed(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evil_frames_cost_their_stream_and_nothing_else() {
    let (a, b) = pair().await;
    let rogue = Rogue::connect(&a).await;
    let good = frame(&Message::Head { head: 5 });

    // Good, then one that claims 4 GiB.
    let evil: Vec<Vec<u8>> = vec![
        [&good[..], &[0xff; 4]].concat(),
        [&good[..], &[0, 0, 0, 3], b"abc"].concat(),
        [&good[..], &[0, 0, 0, 0]].concat(),
        // One byte too many behind a message.
        [&good[..], &[0, 0, 0, 3, 0, 5, 0]].concat(),
        // A load that is not a number.
        [&good[..], &frame(&Message::Nothing { load: Load { work: f64::NAN, ..load(1) } })].concat(),
    ];
    for (place, bytes) in evil.iter().enumerate() {
        let started = Instant::now();
        let before = a.network.traffic().refused;
        let stream = rogue.lane(bytes).await;
        refused(&a, before + 1).await;
        soon("the stream is stopped", stream.stopped()).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(2));
        assert_eq!(a.got(place + 1).await.len(), place + 1, "what came before was good");
    }
    // Cut off within a frame.
    let before = a.network.traffic().refused;
    let mut stream = rogue.lane(&[&good[..], &[0, 0, 1, 0], b"abc"].concat()).await;
    stream.finish().unwrap();
    refused(&a, before + 1).await;
    // Announced and never sent.
    let _hanging = rogue.lane(&[0, 0x10, 0, 0, 1]).await;
    // A stream of no known kind, and gossip that is none, and gossip without end.
    for (kind, body) in [(99, vec![1, 2, 3]), (1, b"no gossip".to_vec()), (1, vec![0; 300 << 10])] {
        let before = a.network.traffic().refused;
        let mut stream = rogue.connection.open_uni().await.unwrap();
        // It may be stopped before all is written.
        let _ = stream.write_all(&[&[kind], &body[..]].concat()).await;
        let _ = stream.finish();
        refused(&a, before + 1).await;
    }
    unharmed(&a, &b).await;
    assert!(rogue.connection.close_reason().is_none(), "the rogue's other streams go on");
    rogue.endpoint.close(quinn::VarInt::from_u32(0), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evil_requests_are_told_so() {
    let (a, b) = pair().await;
    let rogue = Rogue::connect(&a).await;
    let mut put = BytesMut::new();
    let request = crate::request::Request::PutPayloads { segment: segment(0), holders: Vec::new(), documents: 1 };
    wire::append_frame(&mut put, &request).unwrap();
    put.put_slice(&[0xff, 0xff, 0xff, 0xff]);
    for bytes in [&put[..], &[0, 0, 0, 2, 250, 1], &[0, 0, 0, 9, 1]] {
        let (mut send, mut receive) = rogue.connection.open_bi().await.unwrap();
        let before = a.network.traffic().refused;
        send.write_all(bytes).await.unwrap();
        send.finish().unwrap();
        refused(&a, before + 1).await;
        let answer = soon("an answer", receive.read_to_end(1000)).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("malformed request"));
    }
    assert!(a.service.segments.lock().unwrap().is_empty());
    unharmed(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_not_whole_is_not_stored() {
    let (a, b) = pair().await;
    let rogue = Rogue::connect(&a).await;
    let put = |came: u32, documents: u32| {
        let request = crate::request::Request::PutPayloads { segment: segment(0), holders: Vec::new(), documents };
        let payloads = payloads(came, 10);
        let part = <crate::records::Payload as crate::request::Item>::part(&payloads);
        let mut put = BytesMut::new();
        wire::append_frame(&mut put, &request).unwrap();
        wire::append_frame(&mut put, &part).unwrap();
        put
    };
    for (came, documents, said) in
        [(3, 4, "3 payloads came, of 4"), (4, 3, "the 3 announced"), (1, 5_000, "at most 4096")]
    {
        let (mut send, mut receive) = rogue.connection.open_bi().await.unwrap();
        // It may be refused before all is written.
        let _ = send.write_all(&put(came, documents)).await;
        let _ = send.finish();
        let answer = soon("an answer", receive.read_to_end(1000)).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains(said), "{}", String::from_utf8_lossy(&answer));
    }
    // One whose sender gives up is no whole one either, even if all of it has come.
    let (send, mut receive) = rogue.connection.open_bi().await.unwrap();
    let mut send = crate::frames::FrameWriter::new(send, None);
    let request = crate::request::Request::PutPayloads { segment: segment(0), holders: Vec::new(), documents: 3 };
    send.write(&request).await.unwrap();
    send.write(&crate::request::Part::Payloads(payloads(3, 10).into())).await.unwrap();
    drop(send);
    assert!(soon("an answer", receive.read_to_end(1000)).await.is_err(), "an answer that was not given has no end");
    assert!(a.service.segments.lock().unwrap().is_empty());
    unharmed(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_in_numbers_do_not_keep_friends_out() {
    let (a, b) = pair().await;
    let wrong = Keyring::single(Secret::generate().unwrap());
    let tls = Tls::new(&NodeKey::generate().unwrap(), Some(&wrong)).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = endpoint::client_config(&tls, Duration::from_secs(5));
    let dial = || endpoint.connect_with(config.clone(), a.network.local_addr(), crate::identity::SERVER_NAME).unwrap();
    let dials: Vec<_> = (0..200).map(|_| dial()).collect();
    let c = seeded("c", &a).await;
    a.sees_live(&c).await;
    for dial in dials {
        assert!(soon("a refusal", dial).await.is_err());
    }
    unharmed(&a, &b).await;
}

/// A gossip message that parses, and that chitchat 0.11.1 cannot bear: a node's state whose version is below its keys'.
fn poison(about: &Node) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |number: u64| number.to_le_bytes();
    let port = about.network.local_addr().port().to_le_bytes();
    let id = [&text(&about.id().to_string())[..], &number(1 << 8), &[4, 127, 0, 0, 1], &port].concat();
    let node = [&[0][..], &id, &number(0), &number(0)].concat();
    let key = [&[1][..], &text("key"), &text("value"), &number(1 << 40), &[0]].concat();
    let version = [&[2][..], &number(1 << 30)].concat();
    let block = [node, key, version].concat();
    [&[1][..], &45_139u16.to_le_bytes(), &[0, 2, 2], &(block.len() as u16).to_le_bytes(), &block, &[0]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_chitchat_cannot_bear_is_survived() {
    let (a, b) = pair().await;
    let mut members = b.network.members();
    let rogue = Rogue::connect(&a).await;
    let mut stream = rogue.connection.open_uni().await.unwrap();
    stream.write_all(&poison(&b)).await.unwrap();
    stream.finish().unwrap();
    // The node gossips on: what it says from now on is heard.
    a.network.publish(load(41));
    let id = a.id();
    let said = |members: &Arc<Members>| members.live[&id].load.as_ref().is_some_and(|load| load.pending == 41);
    soon("the new load", members.wait_for(said)).await.unwrap();
    b.network.publish(load(42));
    let id = b.id();
    a.sees("the other's load", |members| members.live[&id].load == Some(load(42))).await;
    unharmed(&a, &b).await;
}
