//! Payloads, results and explanations: round trips, limits, and refusals.

use super::*;
use crate::error::RequestFailure;

async fn pair() -> (Node, Node) {
    let a = start(config("a")).await;
    let b = seeded("b", &a).await;
    b.sees_live(&a).await;
    (a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_go_and_come_back() {
    let (a, b) = pair().await;
    for (number, payloads) in [payloads(4096, 100), payloads(5, 3 << 20), payloads(1, 0), Vec::new()].iter().enumerate()
    {
        let segment = segment(number as u32);
        b.network.put_payloads(a.id(), segment, &[a.id(), b.id()], payloads).await.unwrap();
        assert_eq!(*a.service.holders.lock().unwrap(), [a.id(), b.id()]);
        assert_eq!(b.network.get_payloads(a.id(), segment).await.unwrap().as_ref(), Some(payloads));
    }
    assert_eq!(b.network.get_payloads(a.id(), segment(99)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_go_and_come_back() {
    let (a, b) = pair().await;
    let all: Vec<ResultRecord> = (0..3_000).map(|number| result(number, 2_000)).collect();
    let header = PutResults { generation: Generation(1), holders: Vec::new() };
    b.network.put_results(a.id(), header.clone(), &all).await.unwrap();
    assert!(a.service.put_headers.lock().unwrap().iter().all(|got| *got == header));
    assert_eq!(*a.service.results.lock().unwrap(), all);

    let wanted: DocSet = (0..3_000).step_by(3).map(DocNumber).collect();
    let mut found = b.network.get_results(a.id(), BatchId(5), wanted);
    let mut got = Vec::new();
    while let Some(result) = soon("a result", found.recv()).await {
        got.push(result.unwrap());
    }
    assert_eq!(got, all.iter().step_by(3).cloned().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_sender_back_and_loses_nothing() {
    let (a, b) = pair().await;
    *a.service.results.lock().unwrap() = (0..200).map(|number| result(number, 200_000)).collect();
    let mut found = b.network.get_results(a.id(), BatchId(5), (0..200).map(DocNumber).collect());
    soon("the first", found.recv()).await.unwrap().unwrap();
    let before = a.network.traffic().udp_bytes_out;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let piled = a.network.traffic().udp_bytes_out - before;
    assert!(piled < 25 << 20, "{piled} bytes were sent to one that does not read");
    let mut count = 1;
    while let Some(result) = soon("a result", found.recv()).await {
        result.unwrap();
        count += 1;
    }
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_explained() {
    let (a, b) = pair().await;
    let doc = |number| DocId { batch: BatchId(5), number: DocNumber(number) };
    assert_eq!(b.network.get_explanation(a.id(), doc(7)).await.unwrap(), Some(format!("\"{}\"", doc(7))));
    assert_eq!(b.network.get_explanation(a.id(), doc(8)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_who_holds_a_segment() {
    let (a, b) = pair().await;
    b.network.put_payloads(a.id(), segment(1), &[a.id(), b.id()], &payloads(1, 1)).await.unwrap();
    let ask = async |number, reading| b.network.get_lists(a.id(), segment(number), reading).await;
    let lists = ask(1, Reading::default()).await.unwrap();
    assert_eq!(lists, Lists { payloads: Some(vec![a.id(), b.id()]), ..Lists::default() });
    let docs: DocSet = [4096, 8191].into_iter().map(DocNumber).collect();
    let lists = ask(2, Reading { payloads: false, results: docs.clone() }).await.unwrap();
    assert_eq!(lists, Lists { results: vec![HeldResults { holders: vec![b.id()], docs }], ..Lists::default() });
    *a.service.refuse.lock().unwrap() = Some(Refusal("the disk is ill".to_owned()));
    let error = ask(1, Reading::default()).await.unwrap_err();
    let words = format!("asking who holds a segment at node {}: it refused: the disk is ill", a.id());
    assert_eq!(error.to_string(), words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_who_and_why() {
    let (a, b) = pair().await;
    *a.service.refuse.lock().unwrap() = Some(Refusal("the disk is full".to_owned()));
    let error = b.network.put_payloads(a.id(), segment(0), &[], &payloads(10, 10)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("storing payloads at node {}: it refused: the disk is full", a.id()));
    let header = PutResults { generation: Generation(1), holders: Vec::new() };
    // Refused after the first group, while the rest is still being sent.
    let many: Vec<ResultRecord> = (0..100).map(|number| result(number, 500_000)).collect();
    let error = soon("an answer", b.network.put_results(a.id(), header, &many)).await.unwrap_err();
    assert!(matches!(error.why, RequestFailure::Refused(_)), "{error}");
    let mut found = b.network.get_results(a.id(), BatchId(5), DocSet::new());
    assert!(matches!(found.recv().await, Some(Err(RequestError { why: RequestFailure::Refused(_), .. }))));
    assert!(found.recv().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_on_either_side() {
    let mut small = config("small");
    small.max_segment_bytes = 1 << 20;
    let a = start(small).await;
    let b = seeded("b", &a).await;
    b.sees_live(&a).await;
    let error = b.network.put_payloads(a.id(), segment(0), &[], &payloads(30, 1 << 20)).await.unwrap_err();
    assert!(error.to_string().contains("at most 1048576 bytes"), "{error}");
    let error = b.network.put_payloads(a.id(), segment(0), &[], &payloads(5_000, 1)).await.unwrap_err();
    assert!(error.to_string().contains("at most 4096 documents"), "{error}");
    let error = b.network.put_payloads(a.id(), segment(0), &[], &payloads(1, 34 << 20)).await.unwrap_err();
    assert!(matches!(error.why, RequestFailure::TooLarge(_)), "{error}");
    *a.service.segments.lock().unwrap() = [(segment(1), payloads(1, 34 << 20))].into();
    let error = b.network.get_payloads(a.id(), segment(1)).await.unwrap_err();
    println!("{error}");
    b.network.put_payloads(a.id(), segment(2), &[], &payloads(2, 10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_given_up_stores_nothing() {
    let (a, b) = pair().await;
    let id = a.id();
    let many = payloads(4096, 20_000);
    let put = b.network.put_payloads(id, segment(0), &[], &many);
    // Long enough for some of it to be on its way, far too short for all.
    assert!(tokio::time::timeout(Duration::from_millis(20), put).await.is_err());
    b.network.put_payloads(id, segment(1), &[], &payloads(1, 1)).await.unwrap();
    assert_eq!(a.service.segments.lock().unwrap().keys().collect::<Vec<_>>(), [&segment(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_peer_is_unreachable() {
    let a = start(config("a")).await;
    let error = a.network.get_payloads(NodeId([9; 16]), segment(0)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cannot be reached: it is not a member") && text.contains("0909"), "{text}");
}
