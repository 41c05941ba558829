//! `evenkeel explain`: the story of one document.

use std::io;

use evenkeel_core::ids::NodeId;
use evenkeel_node::api::types::{DocumentState, Explanation};
use indicatif::HumanBytes;

use super::status::time;
use crate::cli::read::ExplainArgs;
use crate::client::{self, Client};
use crate::output::ending::describe;
use crate::output::exit::{CommandResult, ExitStatus};
use crate::output::table;

/// Where no node that was asked has told who keeps the payload. The page says the same.
const UNKNOWN: &str = "no node that answered";

/// Explains a document.
pub(super) fn explain(arguments: ExplainArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        let explanation = client.explain(&arguments.document).await?;
        table::show(io::stdout().lock(), arguments.format.output, &explanation, &fields(&explanation))?;
        Ok(ExitStatus::Ok)
    })
}

pub(super) fn fields(explanation: &Explanation) -> Vec<(&'static str, String)> {
    let Explanation { batch, document, length, node, node_name, epoch, failures, crashes, .. } = explanation;
    let node = match node_name {
        Some(name) => format!("{name} ({node})"),
        None => node.to_string(),
    };
    let claimed = if explanation.claimed { ", claimed from a dead node" } else { "" };
    let mut fields = vec![
        ("document", format!("{batch}/{document}")),
        ("state", state(explanation.state).to_owned()),
        ("reason", explanation.reason.clone()),
        ("length", length.map_or_else(|| "no longer known".to_owned(), |length| length.to_string())),
        ("node", node),
        ("epoch", format!("{epoch}{claimed}")),
    ];
    if failures.0 > 0 {
        fields.push(("failed attempts", failures.to_string()));
    }
    if *crashes > 0 {
        fields.push(("owners lost while running it", crashes.to_string()));
    }
    let named = |nodes: &[NodeId]| {
        let names: Vec<String> = nodes.iter().map(|node| explanation.name_of(*node)).collect();
        names.join(", ")
    };
    let copies = if explanation.copies.is_empty() { UNKNOWN.to_owned() } else { named(&explanation.copies) };
    fields.push(("payload on", copies));
    if !explanation.unanswered.is_empty() {
        fields.push(("no answer from", named(&explanation.unanswered)));
    }
    fields.extend(explanation.next_attempt_at.map(|at| ("next attempt", time(at))));
    if let Some(result) = &explanation.result {
        fields.extend([
            ("ended with", format!("{}, at attempt {}", describe(&result.exit), result.attempt)),
            ("started", time(result.started_at)),
            (
                "used",
                format!(
                    "{:.3} s, of these {:.3} s of CPU in the program and {:.3} s in the system; {} of memory",
                    result.wall_seconds,
                    result.user_seconds,
                    result.system_seconds,
                    HumanBytes(result.max_rss_bytes)
                ),
            ),
        ]);
    }
    fields
}

fn state(state: DocumentState) -> &'static str {
    match state {
        DocumentState::Waiting => "waiting",
        DocumentState::BackingOff => "backing off",
        DocumentState::Running => "running",
        DocumentState::Done => "done",
        DocumentState::Failed => "failed",
        DocumentState::Cancelled => "cancelled",
    }
}
