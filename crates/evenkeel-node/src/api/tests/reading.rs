//! Everything that can be asked, changed or mistyped besides uploads and streams.

use std::sync::atomic::Ordering::SeqCst;

use evenkeel_core::ids::NodeId;
use reqwest::{Method, StatusCode};

use super::fake::{OLD, OTHER, TWIN};
use super::{Served, json, refused};
use crate::api::types::{
    Accepted, BatchState, BatchStatus, Batches, Contents, Digest, Documents, Draining, ErrorCode, Explanation,
    NodeState, Nodes,
};

#[tokio::test]
async fn batches_are_listed_and_shown() {
    let served = Served::new().await;
    let batches: Batches = served.get_json("/v1/batches").await;
    assert_eq!(batches.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [OLD, TWIN, OTHER]);
    let batch: BatchStatus = served.get_json(&format!("/v1/batches/{OTHER}")).await;
    assert_eq!((batch.id, batch.retry_of, batch.is_settled()), (OTHER, Some(OLD), true));

    let raw: serde_json::Value = served.get_json(&format!("/v1/batches/{OTHER}")).await;
    assert_eq!(raw["schema"], 1);
    assert_eq!(raw["id"], OTHER.to_string());
    assert_eq!(raw["submitted_at"], "2026-01-02T03:04:05Z");
    assert_eq!(raw["state"], "finished");
}

#[tokio::test]
async fn a_batch_may_be_named_by_the_beginning_of_its_id() {
    let served = Served::new().await;
    let beginning = &OTHER.to_string()[..3];
    let batch: BatchStatus = served.get_json(&format!("/v1/batches/{beginning}")).await;
    assert_eq!(batch.id, OTHER);

    let common = &OLD.to_string()[..12];
    refused(served.get(&format!("/v1/batches/{common}")).await, ErrorCode::Ambiguous, "more than one batch").await;
    for unknown in ["0000000000000", "0", "zzz", "hello", "01234567890123", "%ff", "%F0%9F%98%80"] {
        let response = served.get(&format!("/v1/batches/{unknown}")).await;
        assert!(response.status().is_client_error(), "{unknown}");
        let problem = super::problem(response).await;
        let expected = if unknown == "%ff" { ErrorCode::BadRequest } else { ErrorCode::NotFound };
        assert_eq!(problem.error, expected, "{unknown}: {problem}");
    }
}

#[tokio::test]
async fn batches_are_cancelled_retried_and_removed() {
    let served = Served::new().await;
    let path = format!("/v1/batches/{OLD}");
    let cancelled: BatchStatus = json(served.send(Method::DELETE, &path).await, StatusCode::OK).await;
    assert_eq!(cancelled.state, BatchState::Cancelled);

    let retry = format!("{path}/retry");
    refused(served.send(Method::POST, &retry).await, ErrorCode::Conflict, "no document of batch").await;
    served.fake.state.batches.lock().expect("a lock").get_mut(&OLD).expect("a batch").failed = 1;
    let accepted: Accepted = json(served.send(Method::POST, &retry).await, StatusCode::CREATED).await;
    assert_eq!((accepted.documents, accepted.copies, accepted.warning), (1, 2, None));

    let remove = format!("{path}/remove");
    let removed: BatchStatus = json(served.send(Method::POST, &remove).await, StatusCode::OK).await;
    assert_eq!(removed.id, OLD);
    refused(served.send(Method::POST, &remove).await, ErrorCode::NotFound, "there is no batch").await;

    for (method, path) in [
        (Method::DELETE, "/v1/batches/00"),
        (Method::POST, "/v1/batches/00/retry"),
        (Method::POST, "/v1/batches/00/remove"),
    ] {
        refused(served.send(method, path).await, ErrorCode::NotFound, "there is no batch \"00\"").await;
    }
}

#[tokio::test]
async fn a_document_is_explained() {
    let served = Served::new().await;
    let explanation: Explanation = served.get_json(&format!("/v1/batches/{OTHER}/documents/9")).await;
    assert_eq!((explanation.document.0, explanation.copies.len()), (9, 2));
    assert_eq!(explanation.result.expect("a result").stdout_bytes(), b"text\n");
    let explain = async |number: &str| served.get(&format!("/v1/batches/{OTHER}/documents/{number}")).await;
    refused(explain("10").await, ErrorCode::NotFound, "has 10, numbered from 0").await;
    for nonsense in ["-1", "x", "4294967296"] {
        refused(explain(nonsense).await, ErrorCode::BadRequest, "is not the number of a document").await;
    }
}

#[tokio::test]
async fn nodes_are_listed_and_drained() {
    let served = Served::new().await;
    let nodes: Nodes = served.get_json("/v1/nodes").await;
    assert_eq!(nodes.nodes.len(), 5);
    assert_eq!(nodes.nodes[2].state, NodeState::Dead);
    assert!(nodes.equilibrium.in_equilibrium && nodes.equilibrium.certificate.is_some_and(|bound| bound.holds));

    let drain = async |name: &str| served.send(Method::POST, &format!("/v1/nodes/{name}/drain")).await;
    let whole = "44".repeat(16);
    for (name, number) in [("self", 0x11), ("here", 0x11), ("there", 0x22), ("33", 0x33), (whole.as_str(), 0x44)] {
        let draining: Draining = json(drain(name).await, StatusCode::ACCEPTED).await;
        assert_eq!(draining.node, NodeId([number; 16]), "{name}");
        assert_eq!(served.fake.drained.lock().expect("a lock").pop(), Some(draining.node));
    }
    refused(drain("twin").await, ErrorCode::Ambiguous, "more than one node answers to \"twin\"").await;
    refused(drain("4").await, ErrorCode::Ambiguous, "name it by its id").await;
    refused(drain("nobody").await, ErrorCode::NotFound, "there is no node \"nobody\"").await;
    refused(drain(&"00".repeat(16)).await, ErrorCode::NotFound, "there is no node").await;
    assert!(served.fake.drained.lock().expect("a lock").is_empty());
}

#[tokio::test]
async fn probes_and_metrics() {
    let served = Served::new().await;
    assert_eq!(served.get("/livez").await.text().await.expect("text"), "ok\n");
    assert_eq!(served.get("/readyz").await.status(), StatusCode::OK);
    served.fake.not_ready.store(true, SeqCst);
    refused(served.get("/readyz").await, ErrorCode::Unavailable, "still catching up").await;
    assert_eq!(served.get("/livez").await.status(), StatusCode::OK);
    served.fake.not_live.store(true, SeqCst);
    refused(served.get("/livez").await, ErrorCode::Unavailable, "the loop stands still").await;

    let metrics = served.get("/metrics").await;
    assert!(metrics.headers()["content-type"].to_str().expect("text").starts_with("text/plain; version=0.0.4"));
    let text = metrics.text().await.expect("text");
    assert!(text.contains("evenkeel_documents{state=\"waiting\"} 17\n"), "{text}");
    assert!(text.contains("evenkeel_build_info{version=\"0.1.0\",commit=\"\"} 1\n"), "{text}");
}

/// Whatever clients send: a series for each route and class of status, and no more.
#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_what_clients_send() {
    let served = Served::new().await;
    for number in 0..200 {
        let ids = format!("{number:016x}");
        for path in [format!("/v1/batches/{ids}"), format!("/v1/batches/{ids}/documents/{number}"), format!("/{ids}")] {
            assert_eq!(served.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
    for method in ["PUT", "BREW", "PROPFIND"] {
        served.send(Method::from_bytes(method.as_bytes()).expect("a method"), "/v1/nodes").await;
    }
    served.get(&format!("/v1/batches/{OLD}")).await;
    let refused = served.upload("nonsense\n").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let accepted = served.upload("{\"command\": [\"true\"]}\n{\"payload\": \"\"}\n{\"payload\": \"\"}\n").await;
    assert_eq!(accepted.status(), StatusCode::CREATED);
    let text = served.get("/metrics").await.text().await.expect("text");
    let mut series: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("evenkeel_http_requests_total")).collect();
    series.sort_unstable();
    assert_eq!(
        series,
        [
            "{route=\"/v1/batches\",status=\"2xx\"} 1",
            "{route=\"/v1/batches\",status=\"4xx\"} 1",
            "{route=\"/v1/batches/{id}\",status=\"2xx\"} 1",
            "{route=\"/v1/batches/{id}\",status=\"4xx\"} 200",
            "{route=\"/v1/batches/{id}/documents/{number}\",status=\"4xx\"} 200",
            "{route=\"/v1/nodes\",status=\"4xx\"} 3",
            "{route=\"other\",status=\"4xx\"} 200",
        ]
    );
    for line in [
        "evenkeel_uploads 0",
        "evenkeel_uploads_total{outcome=\"accepted\"} 1",
        "evenkeel_uploads_total{outcome=\"refused\"} 1",
        "evenkeel_uploads_total{outcome=\"broken\"} 0",
        "evenkeel_documents_accepted_total 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let served = Served::new().await;
    for path in ["/page", "/page/x.js", "/v1", "/v1/batch", "/v1/batches/", "/v2/nodes", "/metrics/x"] {
        refused(served.get(path).await, ErrorCode::NotFound, &format!("there is nothing at {path}")).await;
    }
    let response = served.send(Method::PUT, "/v1/batches").await;
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    refused(response, ErrorCode::MethodNotAllowed, "/v1/batches does not take PUT").await;
    let response = served.send(Method::OPTIONS, "/v1/nodes").await;
    refused(response, ErrorCode::MethodNotAllowed, "does not take OPTIONS").await;
}

#[tokio::test]
async fn documents_are_listed_page_by_page() {
    let served = Served::new().await;
    let list =
        async |query: &str| -> Documents { served.get_json(&format!("/v1/batches/{OTHER}/documents{query}")).await };
    let numbers = |page: &Documents| page.documents.iter().map(|row| row.document.0).collect::<Vec<_>>();
    let first = list("?limit=4").await;
    assert_eq!((numbers(&first), first.next.map(|next| next.0)), (vec![0, 1, 2, 3], Some(4)));
    let last = list("?limit=4&from=8").await;
    assert_eq!((numbers(&last), last.next, last.batch), (vec![8, 9], None, OTHER));
    assert_eq!(numbers(&list("?state=failed").await), [2, 5, 8]);
    assert_eq!(numbers(&list("?state=failed&node=here&from=3").await), [5, 8]);
    assert_eq!(numbers(&list("?node=44").await), [] as [u32; 0]);
    assert_eq!(list("").await.documents.len(), 10);
}

#[tokio::test]
async fn a_bad_question_for_documents_is_refused() {
    let served = Served::new().await;
    let ask = async |query: &str| served.get(&format!("/v1/batches/{OTHER}/documents?{query}")).await;
    refused(ask("state=lost").await, ErrorCode::BadRequest, "there are waiting, backing_off, running").await;
    refused(ask("limit=0").await, ErrorCode::BadRequest, "a page has 1 to 1000 documents").await;
    refused(ask("limit=1001").await, ErrorCode::BadRequest, "limit is 1001").await;
    refused(ask("from=-1").await, ErrorCode::BadRequest, "from").await;
    refused(ask("after=1").await, ErrorCode::BadRequest, "unknown field `after`").await;
    refused(ask("node=nobody").await, ErrorCode::NotFound, "there is no node \"nobody\"").await;
    refused(served.get("/v1/batches/00/documents").await, ErrorCode::NotFound, "there is no batch").await;
}

#[tokio::test]
async fn contents_are_told_as_digests() {
    let served = Served::new().await;
    let page: Contents = served.get_json(&format!("/v1/batches/{OTHER}/contents?from=4")).await;
    assert_eq!((page.batch, page.first.0, page.next), (OTHER, 4, None));
    let digest = |number: u32| Some(Digest::of(&number.to_le_bytes()));
    assert_eq!(page.digests, [digest(4), None, digest(6), digest(7), None, digest(9)]);
    let ask = async |query: &str| served.get(&format!("/v1/batches/{OTHER}/contents?{query}")).await;
    refused(ask("from=-1").await, ErrorCode::BadRequest, "from").await;
    refused(ask("limit=1").await, ErrorCode::BadRequest, "unknown field `limit`").await;
    refused(served.get("/v1/batches/00/contents").await, ErrorCode::NotFound, "there is no batch").await;
}

#[tokio::test]
async fn a_payload_is_bytes_to_be_saved() {
    let served = Served::new().await;
    let fetch = async |number: &str| served.get(&format!("/v1/batches/{OTHER}/documents/{number}/payload")).await;
    let response = fetch("3").await;
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.headers()["content-disposition"], "attachment");
    assert_eq!(response.bytes().await.expect("bytes").as_ref(), b"<b>\xff");
    refused(fetch("10").await, ErrorCode::NotFound, "has 10, numbered from 0").await;
    refused(fetch("x").await, ErrorCode::BadRequest, "is not the number of a document").await;
}
