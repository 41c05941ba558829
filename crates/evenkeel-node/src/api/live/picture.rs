//! What a page shows, at one moment, and what is different in it from an earlier moment.

use std::collections::BTreeMap;

use evenkeel_core::ids::NodeId;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Number, Value};

use crate::api::Backend;
use crate::api::types::{BatchStatus, Fields, Frame, Moved, Problem, Ran, Schema};

/// Batches that are shown. Who wants all of them asks for `/v1/batches`.
const BATCHES: usize = 200;

/// Bytes of a batch's command that are shown.
const COMMAND: usize = 160;

/// The cluster at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) at: Timestamp,
    nodes: BTreeMap<String, Fields>,
    equilibrium: Fields,
    batches: BTreeMap<String, Fields>,
    batches_known: u64,
    /// Documents that have ever gone from one node to another, claimed or not.
    passages: BTreeMap<(NodeId, NodeId, bool), u64>,
}

impl Picture {
    pub(super) async fn take(backend: &impl Backend) -> Result<Picture, Problem> {
        let cluster = backend.nodes().await?;
        let all = backend.batches().await?;
        let passages = backend.passages().await?;
        let batches_known = all.len() as u64;
        Ok(Picture {
            at: super::now(),
            nodes: cluster.nodes.iter().map(|node| (node.id.to_string(), fields(node))).collect(),
            equilibrium: fields(&cluster.equilibrium),
            batches: shown(all).iter().map(|batch| (batch.id.to_string(), fields(batch))).collect(),
            batches_known,
            passages: passages
                .into_iter()
                .map(|passage| ((passage.from, passage.to, passage.claimed), passage.documents))
                .collect(),
        })
    }

    /// Everything.
    pub(super) fn whole(&self) -> Frame {
        Frame {
            full: true,
            nodes: self.nodes.values().cloned().collect(),
            equilibrium: Some(self.equilibrium.clone()),
            batches: self.batches.values().cloned().collect(),
            batches_known: Some(self.batches_known),
            ..Picture::nothing(self.at)
        }
    }

    /// What is different from an earlier picture; `None` if nothing is.
    pub(super) fn since(&self, before: &Picture) -> Option<Frame> {
        let (nodes, nodes_gone) = compared(&before.nodes, &self.nodes);
        let (batches, batches_gone) = compared(&before.batches, &self.batches);
        let moved = self.passages.iter().filter_map(|((from, to, claimed), documents)| {
            let earlier = before.passages.get(&(*from, *to, *claimed)).copied().unwrap_or_default();
            let documents = documents.checked_sub(earlier).filter(|documents| *documents > 0)?;
            Some(Moved { from: *from, to: *to, claimed: *claimed, documents })
        });
        let frame = Frame {
            nodes,
            nodes_gone,
            equilibrium: (self.equilibrium != before.equilibrium).then(|| self.equilibrium.clone()),
            batches,
            batches_gone,
            batches_known: (self.batches_known != before.batches_known).then_some(self.batches_known),
            moved: moved.collect(),
            ..Picture::nothing(self.at)
        };
        (frame != Picture::nothing(self.at)).then_some(frame)
    }

    /// One without nodes, for tests of who is told what.
    #[cfg(test)]
    pub(super) fn of_batches(batches_known: u64) -> Picture {
        Picture {
            at: Timestamp::UNIX_EPOCH,
            nodes: BTreeMap::new(),
            equilibrium: Fields::new(),
            batches: BTreeMap::new(),
            batches_known,
            passages: BTreeMap::new(),
        }
    }

    /// A frame that tells nothing.
    pub(super) fn nothing(at: Timestamp) -> Frame {
        Frame {
            schema: Schema,
            at,
            full: false,
            nodes: Vec::new(),
            nodes_gone: Vec::new(),
            equilibrium: None,
            batches: Vec::new(),
            batches_gone: Vec::new(),
            batches_known: None,
            moved: Vec::new(),
            ran: Ran::default(),
            events: Vec::new(),
            untold: 0,
            missed: false,
        }
    }
}

/// Those at work, and the newest of the others.
fn shown(mut batches: Vec<BatchStatus>) -> Vec<BatchStatus> {
    batches.sort_by_key(|batch| (batch.is_settled(), std::cmp::Reverse(batch.submitted_at), batch.id));
    batches.truncate(BATCHES);
    for batch in &mut batches {
        cut(&mut batch.command);
    }
    batches
}

/// Cuts a command that is longer than anybody reads in a table.
fn cut(command: &mut Vec<String>) {
    let mut left = COMMAND;
    for (place, word) in command.iter_mut().enumerate() {
        if word.len() > left {
            let end = (0..=left).rev().find(|end| word.is_char_boundary(*end)).unwrap_or_default();
            word.truncate(end);
            word.push('…');
            command.truncate(place + 1);
            return;
        }
        left -= word.len();
    }
}

/// A value's fields as JSON. What is the same in every frame is left out, and numbers have four digits: a page shows no
/// more, and the rest would make every number a new one.
fn fields(value: &impl Serialize) -> Fields {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(value) else {
        unreachable!("what is shown is made of strings and numbers, and has names")
    };
    fields.remove("schema");
    fields.values_mut().for_each(shorten);
    fields
}

fn shorten(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let short = number.as_f64().and_then(|exact| format!("{exact:.3e}").parse().ok());
            *number = short.and_then(Number::from_f64).unwrap_or_else(|| number.clone());
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// What is new or has changed, with its id and the fields that have, and the ids of what is gone.
fn compared(before: &BTreeMap<String, Fields>, now: &BTreeMap<String, Fields>) -> (Vec<Fields>, Vec<String>) {
    let changed = now.iter().filter_map(|(id, fields)| match before.get(id) {
        None => Some(fields.clone()),
        Some(earlier) => difference(id, earlier, fields),
    });
    let gone = before.keys().filter(|id| !now.contains_key(*id)).cloned().collect();
    (changed.collect(), gone)
}

fn difference(id: &str, before: &Fields, now: &Fields) -> Option<Fields> {
    let changed = now.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let mut all: Fields = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
    all.extend(before.keys().filter(|name| !now.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
    if all.is_empty() {
        return None;
    }
    all.insert("id".to_owned(), Value::String(id.to_owned()));
    Some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    fn picture(nodes: &[Value], passages: &[(u8, u8, bool, u64)]) -> Picture {
        let name = |node: &Value| node["id"].as_str().expect("an id").to_owned();
        let id = |number| NodeId([number; 16]);
        Picture {
            nodes: nodes.iter().map(|node| (name(node), fields(node))).collect(),
            passages: passages.iter().map(|(from, to, claimed, n)| ((id(*from), id(*to), *claimed), *n)).collect(),
            ..Picture::of_batches(0)
        }
    }

    #[test]
    fn a_change_has_what_changed_and_nothing_else() {
        let quiet = json!({"id": "a", "pending": 5, "level": 0.123_456});
        let before = picture(
            &[quiet.clone(), json!({"id": "b", "pending": 5, "http": "x"}), json!({"id": "c"})],
            &[(1, 2, false, 10), (1, 3, true, 2)],
        );
        let now = picture(
            &[quiet, json!({"id": "b", "pending": 6}), json!({"id": "d", "pending": 1})],
            &[(1, 2, false, 13), (1, 3, true, 2)],
        );
        let frame = now.since(&before).expect("a difference");
        assert_eq!(
            frame.nodes,
            [object(json!({"id": "b", "pending": 6, "http": null})), object(json!({"id": "d", "pending": 1}))]
        );
        assert_eq!((frame.nodes_gone, frame.equilibrium, frame.batches_known), (vec!["c".to_owned()], None, None));
        let (from, to) = (NodeId([1; 16]), NodeId([2; 16]));
        assert_eq!(frame.moved, [Moved { from, to, claimed: false, documents: 3 }]);
        assert_eq!(now.since(&now), None);
    }

    #[test]
    fn numbers_are_as_long_as_people_read_them() {
        let long =
            json!({"id": "a", "level": 1234.5678, "small": 0.000_123_456, "count": 123_456_789_u64, "zero": 0.0});
        let short = json!({"id": "a", "level": 1235.0, "small": 0.000_123_5, "count": 123_456_789_u64, "zero": 0.0});
        assert_eq!(fields(&long), object(short));
    }

    #[test]
    fn a_long_command_is_cut_where_a_character_ends() {
        let mut command = vec!["sh".to_owned(), "-c".to_owned(), "é".repeat(200), "rest".to_owned()];
        cut(&mut command);
        assert_eq!(command[2], format!("{}…", "é".repeat(78)));
        assert_eq!(command.len(), 3);
        let mut short = vec!["true".to_owned()];
        cut(&mut short);
        assert_eq!(short, ["true"]);
    }
}
