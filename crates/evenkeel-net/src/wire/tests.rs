//! The bytes of every kind of message, and what becomes of bytes that are none.

use std::sync::Arc;

use bytes::Bytes;
use evenkeel_core::batch::{Batch, BatchOptions};
use evenkeel_core::change::{Clock, Entries, Entry, Outcome, Status, Title};
use evenkeel_core::docset::DocSet;
use evenkeel_core::ids::{
    Attempt, BatchId, DocId, DocNumber, Epoch, Generation, NodeId, OfferId, Origin, SegmentNumber,
};
use evenkeel_core::message::{Cursor, Logged, Offered, Reason};
use evenkeel_core::record::Record;
use proptest::prelude::*;

use super::*;
use crate::lists::{HeldResults, Lists, ReadResults, Reading};
use crate::records::{Captured, Exit, Payload, ResultRecord, SegmentId};
use crate::request::{Item, Part, Request};
use crate::service::{PutResults, Refusal};

const NODE: NodeId = NodeId([0xab; 16]);
const BATCH: BatchId = BatchId(0x0123_4567);

fn origin() -> Origin {
    Origin { node: NODE, generation: Generation(9) }
}

fn clock() -> Arc<Clock> {
    let mut clock = Clock::new();
    clock.dots.insert(origin(), 300);
    Arc::new(clock)
}

fn docs() -> DocSet {
    [1, 2, 70_000].into_iter().map(DocNumber).collect()
}

fn load() -> Load {
    Load {
        pending: 300,
        running: 2,
        max_process: 4,
        static_slots: 3,
        work: 1.5,
        bench: 1.0,
        ln_rate: -0.5,
        rate_variance: f64::INFINITY,
        shortest: Some(Length(1)),
        longest: None,
        in_flight: 0,
        draining: false,
        head: 5,
        digest: 6,
        state: 8,
        regret: 0.25,
        started: 7,
        duplicates: 1,
        taken_over: 2,
        moved: 3,
    }
}

fn changes() -> Vec<Change> {
    let entry = |epoch, status| Entry { epoch: Epoch(epoch), node: NODE, status };
    vec![
        Change::Batch(Batch {
            id: BATCH,
            submitter: NODE,
            submitted_unix_millis: 1_700_000_000_000,
            command: vec!["echo".to_owned(), "{}".to_owned()],
            options: BatchOptions { timeout_millis: Some(5), ..BatchOptions::default() },
            documents: 3,
            retry_of: None,
        }),
        Change::Segment {
            batch: BATCH,
            segment: SegmentNumber(0),
            lengths: Arc::new(Lengths::pack(&[Length(1), Length(300), Length(2)])),
            entries: Arc::new(Entries::pack([
                entry(1, Status::Owned(Title::Given)),
                entry(1, Status::Owned(Title::Given)),
                entry(2, Status::Ended(Outcome::Failed)),
            ])),
        },
        Change::Moved { batch: BATCH, docs: docs(), epoch: Epoch(2), owner: NODE, title: Title::Claimed },
        Change::Ended { batch: BATCH, docs: docs(), epoch: Epoch(2), node: NODE, outcome: Outcome::Done },
        Change::Running { batch: BATCH, docs: DocSet::new(), epoch: Epoch(2), node: NODE },
        Change::Tried { doc: DocId { batch: BATCH, number: DocNumber(4) }, failures: Attempt(1), crashes: 2 },
        Change::Cancelled(BATCH),
        Change::Draining(origin()),
        Change::Removed(BATCH),
    ]
}

fn messages() -> Vec<Message> {
    let offered = Offered { doc: DocId { batch: BATCH, number: DocNumber(4) }, epoch: Epoch(1), length: Length(1000) };
    let cursor = || Cursor { base: clock(), batch: Some(BATCH), segment: SegmentNumber(2) };
    let logged = |(place, change)| Logged {
        origin: origin(),
        sequence: place as u64 + 1,
        record: Arc::new(Record::new(vec![change])),
    };
    vec![
        Message::Head { head: 300 },
        Message::Pull {
            number: 7,
            generation: Generation(9),
            clock: clock(),
            synced: true,
            snapshot: Some(cursor()),
            settling: true,
            missing: vec![NODE],
        },
        Message::Changes {
            number: 7,
            records: changes().into_iter().enumerate().map(logged).collect(),
            more: true,
            gap: true,
            live: vec![NODE],
        },
        Message::Snapshot { number: 7, changes: Vec::new(), next: cursor(), complete: false },
        Message::Ahead { generation: Generation(9), reason: Reason::Offer(OfferId(3)), changes: Vec::new() },
        Message::Offer { id: OfferId(3), work: 1.0, capacity: 2.0, mean: 0.5, export: true, docs: vec![offered] },
        Message::Grant { id: OfferId(3), accepted: docs(), load: load() },
        Message::Dry { want: 2, load: load() },
        Message::Nothing { load: load() },
    ]
}

fn notes() -> Vec<Note> {
    let record = Arc::new(Record::new(vec![Change::Cancelled(BATCH)]));
    vec![
        Note::Decided(Change::Cancelled(BATCH)),
        Note::Ahead(origin(), Change::Draining(origin())),
        Note::Logged(Logged { origin: origin(), sequence: 5, record }),
        Note::Known(Change::Cancelled(BATCH)),
        Note::Seen(clock()),
        Note::Met(NODE),
    ]
}

fn segment() -> SegmentId {
    SegmentId { batch: BATCH, segment: SegmentNumber(1) }
}

fn requests() -> Vec<Request> {
    vec![
        Request::PutPayloads { segment: segment(), holders: vec![NODE], documents: 3 },
        Request::GetPayloads { segment: segment() },
        Request::PutResults { header: PutResults { generation: Generation(9), holders: vec![NODE] } },
        Request::GetResults { batch: BATCH, wanted: docs() },
        Request::Explain { doc: DocId { batch: BATCH, number: DocNumber(4) } },
        Request::Lists { segment: segment(), reading: Reading { payloads: true, results: docs() } },
    ]
}

fn lists() -> Lists {
    let run = ReadResults { epoch: Epoch(2), node: NODE, outcome: Outcome::Failed, docs: docs() };
    Lists {
        payloads: Some(vec![NODE]),
        results: vec![HeldResults { holders: vec![NODE, NODE], docs: docs() }],
        read: vec![run],
    }
}

fn parts() -> Vec<Part<'static>> {
    let payloads = vec![Payload { number: DocNumber(4), bytes: Bytes::from_static(b"abc") }];
    let results = vec![ResultRecord {
        doc: DocId { batch: BATCH, number: DocNumber(4) },
        epoch: Epoch(1),
        attempt: Attempt(1),
        node: NODE,
        outcome: Outcome::Done,
        exit: Exit::NotStarted("no".to_owned()),
        started_unix_micros: 1,
        wall_micros: 2,
        user_micros: 3,
        system_micros: 4,
        max_rss_bytes: 5,
        stdout: Captured { bytes: Bytes::from_static(b"out"), dropped: 6 },
        stderr: Captured::default(),
    }];
    vec![
        Part::Payloads(payloads.into()),
        Part::Results(results.into()),
        Part::Explanation(Some("{}".to_owned())),
        Part::Done,
        Part::Absent,
        Part::Refused(Refusal("no".to_owned())),
        Part::Lists(lists()),
    ]
}

fn encode<T: Serialize>(value: &T) -> BytesMut {
    let mut buffer = BytesMut::new();
    append_frame(&mut buffer, value).unwrap();
    buffer
}

/// Golden bytes are a file: one line for each value, the frame in hexadecimal digits.
#[track_caller]
fn golden<T: Wire + PartialEq + std::fmt::Debug>(values: &[T], lines: &str) {
    let written: Vec<String> = values.iter().map(|value| hex::encode(encode(value))).collect();
    let wanted: Vec<&str> = lines.lines().collect();
    assert_eq!(
        written,
        wanted,
        "the encoding has changed: that needs a new version of the protocol\n{}",
        written.join("\n")
    );
    for (value, line) in values.iter().zip(wanted) {
        let bytes = hex::decode(line).unwrap();
        assert_eq!(body_size(bytes[..HEADER].try_into().unwrap()), Ok(bytes.len() - HEADER));
        assert_eq!(&decode::<T>(&bytes[HEADER..]).unwrap(), value);
    }
}

#[test]
fn the_bytes_of_messages_are_fixed() {
    golden(&messages(), include_str!("golden/messages"));
}

/// They are on disks: another encoding of them, or of the changes in them, needs another format of the store.
#[test]
fn the_bytes_of_notes_are_fixed() {
    golden(&notes(), include_str!("golden/notes"));
    for note in notes() {
        let bytes = crate::notes::to_bytes(&note).unwrap();
        assert_eq!(crate::notes::from_bytes(&bytes), Ok(note));
        assert!(crate::notes::from_bytes(&bytes[1..]).is_err() || bytes.len() < 3);
    }
}

#[test]
fn the_bytes_of_requests_are_fixed() {
    golden(&requests(), include_str!("golden/requests"));
    golden(&parts(), include_str!("golden/parts"));
}

#[test]
fn a_group_has_the_bytes_of_what_it_is_read_as() {
    let Part::Payloads(payloads) = &parts()[0] else { unreachable!() };
    assert_eq!(encode(&Payload::part(payloads)), encode(&parts()[0]));
}

#[test]
fn frames_are_no_larger_than_they_may_be() {
    assert_eq!(body_size([0x02, 0x10, 0, 0]), Ok(MAX_FRAME));
    assert_eq!(body_size([0x02, 0x10, 0, 1]), Err(WireError::TooLarge(MAX_FRAME as u64 + 1)));
    assert_eq!(body_size([0xff; 4]), Err(WireError::TooLarge(u64::from(u32::MAX))));
    let mut buffer = BytesMut::from(&b"before"[..]);
    let large = Part::Explanation(Some("x".repeat(MAX_FRAME)));
    assert!(matches!(append_frame(&mut buffer, &large), Err(WireError::TooLarge(_))));
    assert_eq!(buffer, b"before"[..]);
}

#[test]
fn the_largest_record_and_the_largest_payload_fit_into_a_frame() {
    let zeros = |bytes: u64| Bytes::from(vec![0; bytes as usize]);
    let Part::Results(results) = &parts()[1] else { unreachable!() };
    let most = || Captured { bytes: zeros(MAX_CAPTURE), dropped: u64::MAX };
    let exit = Exit::NotStarted("x".repeat(MAX_REASON));
    let record = ResultRecord { exit, stdout: most(), stderr: most(), ..results[0].clone() };
    let mut buffer = BytesMut::new();
    append_frame(&mut buffer, &ResultRecord::part(std::slice::from_ref(&record))).unwrap();
    assert_eq!(ResultRecord::from_bytes(&record.to_bytes().unwrap()), Ok(record));
    let payload = Payload { number: DocNumber(u32::MAX), bytes: zeros(MAX_PAYLOAD) };
    append_frame(&mut buffer, &Payload::part(&[payload])).unwrap();
}

#[test]
fn lengths_that_lie_reserve_nothing() {
    // Vectors, texts, maps and sets that claim 2^63 entries, at every place of every value.
    let huge = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for value in messages() {
        let body = encode(&value).split_off(HEADER);
        for place in 0..body.len() {
            let _ = decode::<Message>(&[&body[..place], &huge].concat());
        }
    }
}

#[test]
fn wrong_values_are_refused() {
    let wrong = |value: f64| {
        let spoil: [fn(&mut Load, f64); 4] = [
            |load, value| load.work = value,
            |load, value| load.bench = value,
            |load, value| load.regret = value,
            |load, value| load.ln_rate = value,
        ];
        for spoil in spoil {
            let mut load = load();
            spoil(&mut load, value);
            if load.ln_rate != -1.0 {
                assert!(decode::<Message>(&encode(&Message::Nothing { load })[HEADER..]).is_err());
            }
        }
        for (work, capacity, mean) in [(value, 1.0, 1.0), (1.0, value, 1.0), (1.0, 1.0, value)] {
            let offer = Message::Offer { id: OfferId(1), work, capacity, mean, export: false, docs: Vec::new() };
            assert!(matches!(decode::<Message>(&encode(&offer)[HEADER..]), Err(WireError::Invalid(_))));
        }
    };
    [f64::NAN, f64::INFINITY, -1.0].into_iter().for_each(wrong);

    let segment = |lengths, entries| Change::Segment {
        batch: BATCH,
        segment: SegmentNumber(0),
        lengths: Arc::new(lengths),
        entries: Arc::new(entries),
    };
    let ahead = |change| Message::Ahead { generation: Generation(1), reason: Reason::Dry, changes: vec![change] };
    let too_long = segment(Lengths::Same { length: Length(u64::MAX), count: 1 }, Entries::default());
    let too_many = segment(Lengths::Same { length: Length(1), count: u32::MAX }, Entries::default());
    for change in [too_long, too_many] {
        assert!(matches!(decode::<Message>(&encode(&ahead(change))[HEADER..]), Err(WireError::Invalid(_))));
    }
    let set = |documents: u32| DocSet::from_iter((0..documents).map(DocNumber));
    let held = |holders, documents| HeldResults { holders: vec![NODE; holders], docs: set(documents) };
    let read = |documents| ReadResults { docs: set(documents), ..lists().read[0].clone() };
    let wrong = [
        Lists { payloads: Some(vec![NODE; 5000]), ..Lists::default() },
        Lists { results: vec![held(5000, 1)], ..Lists::default() },
        Lists { results: vec![held(1, 4096), held(2, 1)], ..Lists::default() },
        Lists { results: vec![held(1, 0)], ..Lists::default() },
        Lists { read: vec![read(4000), read(97)], ..Lists::default() },
        Lists { read: vec![read(0)], ..Lists::default() },
    ];
    for lists in wrong {
        let bytes = encode(&Part::Lists(lists));
        assert!(matches!(decode::<Part<'static>>(&bytes[HEADER..]), Err(WireError::Invalid(_))));
    }
    let whole = Part::Lists(Lists { results: vec![held(1, 4096)], read: vec![read(4096)], ..Lists::default() });
    assert_eq!(decode::<Part<'static>>(&encode(&whole)[HEADER..]), Ok(whole));

    // A run of one document, its epoch, the place of its node in the table, and its status: that place is beyond the end.
    let one = Entries::pack([Entry { epoch: Epoch(1), node: NODE, status: Status::Owned(Title::Given) }]);
    let mut body = encode(&ahead(segment(Lengths::pack(&[Length(1)]), one)))[HEADER..].to_vec();
    let end = body.len() - 5;
    assert_eq!(body[end..], [1, 1, 0, 0, 0]);
    body[end + 2] = 7;
    assert!(matches!(decode::<Message>(&body), Err(WireError::Junk(why)) if why.contains("names no node")));
}

/// Values whose bytes are spoilt at a few places: they come further into the decoders than random bytes do.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let bodies: Vec<Vec<u8>> = messages()
        .iter()
        .map(|message| encode(message)[HEADER..].to_vec())
        .chain(requests().iter().map(|request| encode(request)[HEADER..].to_vec()))
        .chain(parts().iter().map(|part| encode(part)[HEADER..].to_vec()))
        .collect();
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (prop::sample::select(bodies), damage, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut body, damage, end, cut)| {
            for (place, byte) in damage {
                let place = place.index(body.len());
                body[place] = byte;
            }
            if cut {
                body.truncate(end.index(body.len()));
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode::<Message>(&bytes), decode::<Request>(&bytes), decode::<Part<'static>>(&bytes));
    }

    #[test]
    fn spoilt_bytes_are_a_value_or_an_error(bytes in spoilt()) {
        if let Ok(message) = decode::<Message>(&bytes) {
            prop_assert!(message.validate().is_ok());
        }
        if let Ok(Part::Lists(lists)) = decode::<Part<'static>>(&bytes) {
            prop_assert!(lists.validate().is_ok());
        }
        let _ = decode::<Request>(&bytes);
    }

    #[test]
    fn spoilt_sets_are_a_value_or_an_error(
        runs in any::<bool>(),
        containers in 0u16..4,
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()], 0..200),
    ) {
        // The two cookies of the format, with few enough containers to get past them.
        let cookie = if runs { 12347 | u32::from(containers) << 16 } else { 12346 };
        let count = if runs { Vec::new() } else { u32::from(containers).to_le_bytes().to_vec() };
        let set = [&cookie.to_le_bytes()[..], &count, &bytes].concat();
        let _ = decode::<Request>(&[&[3, 1, set.len() as u8], &set[..]].concat());
    }
}

proptest! {
    #[test]
    fn sets_of_documents_survive(numbers in prop::collection::btree_set(any::<u32>(), 0..2000)) {
        let wanted: DocSet = numbers.iter().copied().map(DocNumber).collect();
        let request = Request::GetResults { batch: BATCH, wanted };
        prop_assert_eq!(decode::<Request>(&encode(&request)[HEADER..]), Ok(request));
    }

    #[test]
    fn payloads_survive(payloads in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..50)), 0..50)) {
        let payload = |(number, bytes)| Payload { number: DocNumber(number), bytes: Bytes::from(bytes) };
        let part = Part::Payloads(payloads.into_iter().map(payload).collect::<Vec<_>>().into());
        prop_assert_eq!(decode::<Part<'static>>(&encode(&part)[HEADER..]), Ok(part));
    }
}
