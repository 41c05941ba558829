//! The hand-kept description against the program.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::change::Outcome;
use evenkeel_core::ids::{BatchId, DocNumber, NodeId};
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::Served;
use super::fake::{Fake, OTHER, record};
use crate::api::types::{
    Accepted, Batches, DocumentLine, DocumentState, Draining, ErrorCode, Event, Explanation, Frame, Moved, NewBatch,
    NodeState, Nodes, Numbered, Problem, Ran, ResultLine, Schema,
};
use crate::api::{Backend, Listing, monitoring, routes};

fn description() -> Value {
    serde_json::from_str(monitoring::OPENAPI).expect("JSON")
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn the_description_is_served() {
    let served = Served::new().await;
    assert_eq!(served.get_json::<Value>("/v1/openapi.json").await, description());
}

#[tokio::test]
async fn routes_and_methods_are_those_of_the_router() {
    let served = Served::new().await;
    let mut found = BTreeMap::new();
    for (path, _) in routes::<Fake>() {
        let response = served.send(Method::TRACE, path).await;
        let allowed = response.headers()["allow"].to_str().expect("text").to_ascii_lowercase();
        let methods: BTreeSet<String> = allowed.split(',').filter(|name| *name != "head").map(str::to_owned).collect();
        found.insert(path.to_owned(), methods);
    }
    let paths = description()["paths"].clone();
    let described: BTreeMap<String, BTreeSet<String>> =
        keys(&paths).into_iter().map(|path| (path.clone(), keys(&paths[&path]))).collect();
    assert_eq!(found, described);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    fn walk(all: &Value, value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("a local reference");
                    assert!(all.pointer(pointer).is_some(), "{target} leads nowhere");
                }
                if let Some(Value::String(name)) = fields.get("operationId") {
                    assert!(!names.contains(name), "{name} twice");
                    names.push(name.clone());
                }
                fields.values().for_each(|value| walk(all, value, names));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(all, value, names)),
            _ => {}
        }
    }
    let all = description();
    walk(&all, &all, &mut Vec::new());
}

/// What this value is as JSON must be what the schema says: no field unknown to it, none of its required ones missing.
fn conforms(name: &str, value: &impl Serialize) {
    check(&description()["components"]["schemas"], name, &serde_json::to_value(value).expect("JSON"));
}

fn check(schemas: &Value, name: &str, value: &Value) {
    let schema = &schemas[name];
    let (known, found) = (keys(&schema["properties"]), keys(value));
    assert!(found.is_subset(&known), "{name} lacks {:?}", found.difference(&known));
    for required in schema["required"].as_array().expect("a list") {
        let required = required.as_str().expect("a name");
        assert!(found.contains(required), "{name} says that {required} is always there");
    }
    for (field, value) in value.as_object().expect("an object") {
        let property = &schema["properties"][field];
        if let Some(allowed) = property["enum"].as_array() {
            assert!(allowed.contains(value), "{name}.{field} may not be {value}");
        }
        let nested = property["$ref"].as_str().or_else(|| property["items"]["$ref"].as_str());
        if let Some(nested) = nested.and_then(|target| target.strip_prefix("#/components/schemas/"))
            && nested != "Exit"
        {
            match value {
                Value::Array(items) => items.iter().for_each(|item| check(schemas, nested, item)),
                single => check(schemas, nested, single),
            }
        }
    }
}

#[tokio::test]
async fn schemas_are_those_of_the_types() {
    let fake = Fake::default();
    let mut header = NewBatch::new(vec!["true".to_owned()]);
    header.options.timeout = Some(std::time::Duration::from_secs(1));
    header.options.capture = Some(1);
    conforms("NewBatch", &header);
    conforms("DocumentLine", &DocumentLine::new(b"x", Some(1)));
    conforms("DocumentLine", &DocumentLine::new(b"\xff", None));
    conforms("Accepted", &Accepted { schema: Schema, batch: OTHER, documents: 1, copies: 1, warning: None });
    conforms("Batches", &Batches { schema: Schema, batches: fake.batches().await.expect("batches") });
    conforms("ResultLine", &ResultLine::from(&record(0, Outcome::Failed)));
    let doc = evenkeel_core::ids::DocId { batch: OTHER, number: DocNumber(0) };
    let explanation: Explanation = fake.explain(doc).await.expect("an explanation");
    conforms("Explanation", &explanation);
    let wanted = Listing { state: None, node: None, from: DocNumber(0), limit: 5 };
    conforms("Documents", &fake.documents(OTHER, wanted).await.expect("documents"));
    conforms("Contents", &fake.contents(OTHER, DocNumber(0)).await.expect("contents"));
    let (from, to) = (NodeId([1; 16]), NodeId([2; 16]));
    let event = Event::BatchCancelled { batch: OTHER };
    let at = "2026-01-02T03:04:05Z".parse().expect("a time");
    let frame = Frame {
        schema: Schema,
        at,
        full: true,
        nodes: vec![Default::default()],
        nodes_gone: vec![String::new()],
        equilibrium: Some(Default::default()),
        batches: vec![Default::default()],
        batches_gone: vec![String::new()],
        batches_known: Some(1),
        moved: vec![Moved { from, to, claimed: true, documents: 1 }],
        ran: Ran { started: 1, ..Ran::default() },
        events: vec![Numbered { schema: Schema, id: 7, at, event }],
        untold: 1,
        missed: true,
    };
    conforms("Frame", &frame);
    let nodes: Nodes = fake.nodes().await.expect("nodes");
    conforms("Nodes", &nodes);
    conforms("Draining", &Draining { schema: Schema, node: NodeId([1; 16]), name: "x".to_owned() });
    conforms("Problem", &Problem::new(ErrorCode::BadLine, "x").hint("y").line(3));
}

#[test]
fn errors_and_events_are_all_described() {
    use ErrorCode::*;
    let described = |schema: &str, field: &str| -> BTreeSet<String> {
        let values = description()["components"]["schemas"][schema]["properties"][field]["enum"].clone();
        values.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let codes = [
        BadRequest,
        BadLine,
        NotFound,
        Ambiguous,
        MethodNotAllowed,
        Unauthorized,
        Forbidden,
        Conflict,
        TooLarge,
        UnsupportedMediaType,
        Timeout,
        Unavailable,
        Internal,
    ];
    let named = |value: Value| value.as_str().expect("a name").to_owned();
    let errors = codes.map(|code| named(serde_json::to_value(code).expect("JSON"))).into();
    assert_eq!(described("Problem", "error"), errors);
    let states = NodeState::ALL.map(|state| named(serde_json::to_value(state).expect("JSON"))).into();
    assert_eq!(described("NodeStatus", "state"), states);
    assert_eq!(NodeState::ALL.map(|state| state.as_str().to_owned()).into_iter().collect::<BTreeSet<_>>(), states);

    let states = DocumentState::ALL.map(|state| named(serde_json::to_value(state).expect("JSON"))).into();
    assert_eq!(described("Explanation", "state"), states);
    assert_eq!(described("DocumentStatus", "state"), states);
    assert_eq!(DocumentState::ALL.map(|state| state.to_string()).into_iter().collect::<BTreeSet<_>>(), states);

    let (batch, node, document) = (BatchId(1), NodeId([1; 16]), DocNumber(1));
    let attempt = evenkeel_core::ids::Attempt(1);
    let events = [
        Event::BatchAccepted { batch, documents: 1 },
        Event::BatchCancelled { batch },
        Event::BatchRemoved { batch },
        Event::BatchFinished { batch, done: 1, failed: 0, cancelled: 0 },
        Event::DocumentStarted { batch, document, attempt },
        Event::DocumentEnded { batch, document, outcome: Outcome::Done, node },
        Event::DocumentsMoved { from: node, to: node, documents: 1 },
        Event::DocumentsTakenOver { from: node, to: node, documents: 1 },
        Event::DuplicateStopped { batch, document, owner: node },
        Event::NodeChanged { node, name: "x".to_owned(), state: NodeState::Live },
        Event::EquilibriumChanged { in_equilibrium: true, regret: 0.5 },
        Event::Missed { count: None },
    ];
    let mut names = BTreeSet::new();
    for event in events {
        let name = event.name();
        let numbered = Numbered { schema: Schema, id: 7, at: "2026-01-02T03:04:05Z".parse().expect("a time"), event };
        let value = serde_json::to_value(&numbered).expect("JSON");
        assert_eq!(value["event"], name);
        assert_eq!(serde_json::from_value::<Numbered>(value).expect("an event"), numbered);
        names.insert(name.to_owned());
    }
    assert_eq!(described("Event", "event"), names);
}
