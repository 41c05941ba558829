//! The variables by which a document's process is known, to itself and to whoever looks for it.

use rustix::process::Pid;

use super::running::Run;

/// The variables, with their values: which run of which document this is, and of which node.
pub(super) fn marks((doc, epoch): Run, node: &str) -> [(&'static str, String); 4] {
    [
        ("EVENKEEL_BATCH", doc.batch.to_string()),
        ("EVENKEEL_DOCUMENT", doc.number.to_string()),
        ("EVENKEEL_EPOCH", epoch.to_string()),
        ("EVENKEEL_NODE", node.to_owned()),
    ]
}

/// Whether a process was started with all of these. One that cannot be asked, being another user's, is taken to be none of ours.
pub(super) fn bears(process: Pid, marks: &[(&str, String)]) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{}/environ", process.as_raw_nonzero())) else { return false };
    let holds = |name: &str, value: &str| {
        environment.split(|&byte| byte == 0).any(|variable| {
            let rest = variable.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            rest == Some(value.as_bytes())
        })
    };
    marks.iter().all(|(name, value)| holds(name, value))
}
