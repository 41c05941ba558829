//! What a check has found: how bad it is, and what to do.

use serde::Serialize;

use crate::output::table::{Column, Row};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// A node works, and not as well as it might, or not in every case.
    Warning,
    /// A node does not work.
    Problem,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    /// What there is.
    pub(super) message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Ok, message: message.into(), advice: None }
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Warning, message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn problem(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Problem, message: message.into(), advice: Some(advice.into()) }
    }
}

impl Row for Finding {
    const LIST: &'static str = "checks";
    const COLUMNS: &'static [Column] =
        &[Column::Text("check"), Column::Text("verdict"), Column::Text("what, and what to do")];

    fn cells(&self) -> Vec<String> {
        let what = match &self.advice {
            Some(advice) => format!("{} - {advice}", self.message),
            None => self.message.clone(),
        };
        vec![self.check.to_owned(), self.verdict.as_str().to_owned(), what]
    }
}
