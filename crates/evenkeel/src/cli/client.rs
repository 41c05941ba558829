//! Arguments of every command that talks to a running node.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use reqwest::Url;

use super::value;
use crate::input::printable;
use crate::output::exit::{ExitStatus, Failure};
use crate::output::table::Format;

/// Environment variable that holds the token itself.
const TOKEN_VARIABLE: &str = "EVENKEEL_TOKEN";

/// A token is short; whatever is longer is another file.
const LONGEST_TOKEN: u64 = 4_096;

/// Which node to talk to, and with what right.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ClientArgs {
    /// The node to talk to, as HOST:PORT or a URL; any one answers for the whole cluster.
    #[arg(
        long,
        value_name = "URL",
        env = "EVENKEEL_HTTP",
        hide_env_values = true,
        default_value = value::DEFAULT_HTTP,
        value_parser = value::http_url
    )]
    pub http: Url,

    /// File with the bearer token that the node wants (- for standard input) [default: the token in EVENKEEL_TOKEN, if any].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

impl ClientArgs {
    /// The token to send, if there is one.
    pub fn token(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.token_file else {
            return match std::env::var(TOKEN_VARIABLE) {
                Ok(token) if !token.trim().is_empty() => checked(&token, TOKEN_VARIABLE).map(Some),
                Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => Err(no_token(TOKEN_VARIABLE)),
            };
        };
        let shown = printable(path.as_os_str());
        let mut text = Vec::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin().take(LONGEST_TOKEN + 1).read_to_end(&mut text)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(LONGEST_TOKEN + 1).read_to_end(&mut text))
        };
        read.map_err(|error| Failure::says(ExitStatus::Usage, format!("cannot read the token file {shown}: {error}")))?;
        checked(&String::from_utf8_lossy(&text), &shown).map(Some)
    }
}

/// Refuses what cannot travel in a header. The text itself is not repeated: it may be another secret.
fn checked(text: &str, origin: &str) -> Result<String, Failure> {
    let token = text.trim();
    let sound =
        !token.is_empty() && token.len() as u64 <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if sound { Ok(token.to_owned()) } else { Err(no_token(origin)) }
}

fn no_token(origin: &str) -> Failure {
    Failure::usage(format!("{origin} holds no token: it must be one line of printable ASCII without spaces"))
}

/// How a reading command prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct FormatArgs {
    /// How to print.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Option<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, text).unwrap();
        let http = value::http_url("http://127.0.0.1:7117").unwrap();
        ClientArgs { http, token_file: Some(path) }.token().map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_token_is_one_word_and_never_repeated() {
        assert_eq!(token("abc.DEF-123\n"), Ok(Some("abc.DEF-123".into())));
        for text in ["", "\n", "two words", "b\u{e4}d", &"x".repeat(10_000)] {
            let error = token(text).unwrap_err();
            assert!(error.contains("holds no token") && !error.contains("two"), "{error}");
        }
    }
}
