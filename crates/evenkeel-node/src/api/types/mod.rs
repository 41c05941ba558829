//! What the HTTP API says and is told, as JSON: shared by the server, the command line and every other client.
//!
//! Knows serde and the protocol's words; must not know how a node works or how HTTP carries this. Requests refuse
//! unknown fields, so that a misspelt option is an error; answers may grow fields, so readers must ignore unknown ones.

mod batch;
mod contents;
mod document;
mod event;
mod explanation;
mod live;
mod node;
mod problem;
mod result;
mod submission;
pub(crate) mod text;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use batch::{BatchState, BatchStatus, Batches};
pub use contents::{Contents, Digest};
pub use document::{DocumentStatus, Documents};
pub use event::{Event, Numbered};
pub use explanation::{DocumentState, Explanation, NodeName};
pub use live::{Fields, Frame, Moved, Ran};
pub use node::{Certificate, Draining, Equilibrium, NodeState, NodeStatus, Nodes};
pub use problem::{ErrorCode, Problem};
pub use result::{ResultLine, ResultsLine};
pub use submission::{Accepted, DocumentLine, NewBatch, SubmitOptions};

/// Version of the JSON: always written as the number 1, and any other is refused when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema;

impl Schema {
    /// The version that this program reads and writes.
    pub const VERSION: u32 = 1;
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Schema::VERSION)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Schema::VERSION => Ok(Schema),
            other => Err(de::Error::custom(format_args!(
                "this is schema {other}, and this program understands schema {}: use programs of one version",
                Schema::VERSION
            ))),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Schema::VERSION.fmt(f)
    }
}
