//! How a node is, and what time it has: what it tells everybody, without a token.

use std::time::{Duration, SystemTime};

use evenkeel_node::api::types::Problem;
use reqwest::Method;
use reqwest::header::DATE;

use super::{Client, ClientError};

/// Time that a node has for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a node tells of itself.
#[derive(Debug)]
pub struct Health {
    /// How far the clock here is ahead of its clock, in seconds; negative: behind. `None`: it told no time.
    pub ahead: Option<f64>,
    /// By how much that may be wrong: HTTP tells whole seconds, and the answer took its time.
    pub unsure: f64,
    /// Why it takes no work, if it does not.
    pub unready: Option<Problem>,
}

impl Client {
    /// Asks a node how it is.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let silent = |_| self.silent(ANSWER);
        let asked = SystemTime::now();
        let answer = tokio::time::timeout(ANSWER, self.request(Method::GET, &["livez"]).send()).await;
        let answer = answer.map_err(silent)?.map_err(|error| self.failed(&error))?;
        let took = asked.elapsed().unwrap_or_default().as_secs_f64();
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(seconds);
        let here = asked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() + took / 2.0;
        // It was the told second for a whole one: on average half of it had gone.
        let ahead = date.map(|date| here - (date as f64 + 0.5));
        let answer = tokio::time::timeout(ANSWER, self.request(Method::GET, &["readyz"]).send()).await;
        let answer = answer.map_err(silent)?.map_err(|error| self.failed(&error))?;
        let unready = match answer.status().is_success() {
            true => None,
            false => match self.refusal(answer).await {
                ClientError::Refused(problem) => Some(problem),
                error => return Err(error),
            },
        };
        Ok(Health { ahead, unsure: 0.5 + took / 2.0, unready })
    }
}

/// Seconds since 1970 of an HTTP date.
fn seconds(date: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok().map(|at| at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
    }
}
