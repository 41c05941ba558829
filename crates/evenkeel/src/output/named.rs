//! Results as lines of JSON, with the name of the node beside its id: the API tells ids, people know names.

use evenkeel_node::api::types::ResultLine;
use serde::Serialize;

/// A result and the name of the node that ran it.
#[derive(Debug, Serialize)]
pub struct Named<'a> {
    /// The result.
    #[serde(flatten)]
    pub result: &'a ResultLine,
    /// The name; `None` if the node has been forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<&'a str>,
}

/// The line of a result as a node sent it, with the name added: outputs may be long, and are not taken apart for this.
pub fn add_name(line: &[u8], name: Option<&str>) -> Vec<u8> {
    let line = line.trim_ascii_end();
    match (line.strip_suffix(b"}"), name) {
        (Some(open), Some(name)) => {
            let name = serde_json::Value::from(name).to_string();
            [open, b",\"node_name\":", name.as_bytes(), b"}"].concat()
        }
        _ => line.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn both_ways_give_the_same_line() {
        let result = ResultLine::from(&sample::record(3, "out}", ""));
        let sent = serde_json::to_vec(&result).unwrap();
        for node_name in [None, Some("two \"words\"")] {
            let whole = serde_json::to_vec(&Named { result: &result, node_name }).unwrap();
            assert_eq!(add_name(&[&sent[..], b"\n"].concat(), node_name), whole);
            assert_eq!(serde_json::from_slice::<ResultLine>(&whole).unwrap(), result, "it is still a result");
        }
    }
}
