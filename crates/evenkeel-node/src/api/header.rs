//! The header of an upload, everything about the batch but its documents: the first line of a JSON upload, or the query
//! of a text one.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use evenkeel_core::batch::Allocate;
use futures_util::Stream;

use super::lines::Lines;
use super::types::{ErrorCode, NewBatch, Problem};
use super::{ApiSettings, document};

/// What a client that has the first line wrong should know.
const FIRST_LINE: &str = r#"the first line is the header, {"command": ["sha256sum", "{}"]} for example"#;

/// Most bytes of a command, each word with one more for its end. Every node keeps it as long as the batch, and sends it
/// within one message; Linux gives a process about twice as much, its environment included.
pub const MAX_COMMAND: usize = 1 << 20;

/// Bytes of a command as they count against [`MAX_COMMAND`].
pub fn command_bytes(command: &[String]) -> usize {
    command.iter().map(|word| word.len() + 1).sum()
}

/// Every parameter. `command` is repeated: a word of the command each.
const PARAMETERS: [&str; 7] = ["command", "retries", "backoff", "timeout", "allocate", "capture", "documents"];

/// Reads the header from the first line that is not blank. The query must be empty then.
pub(super) async fn from_first_line<S, E>(
    parameters: Vec<(String, String)>,
    lines: &mut Lines<S>,
) -> Result<NewBatch, Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    if let Some((name, _)) = parameters.first() {
        let message = format!("the query has {name:?}, but the header of a JSON upload is its first line");
        return Err(Problem::new(ErrorCode::BadRequest, message).hint("put it there, or send text/plain"));
    }
    while let Some(line) = lines.next().await? {
        if !line.trim_ascii().is_empty() {
            return document::object(&line, "the header is an object").map_err(|mut problem| {
                problem.hint.get_or_insert_with(|| FIRST_LINE.to_owned());
                problem.line(lines.number())
            });
        }
    }
    Err(Problem::new(ErrorCode::BadRequest, "the upload is empty")
        .hint(format!("{FIRST_LINE}; a document a line follows")))
}

/// Reads the header from the parameters of the query.
pub(super) fn from_query(parameters: Vec<(String, String)>) -> Result<NewBatch, Problem> {
    let mut header = NewBatch::new(Vec::new());
    let mut given: Vec<String> = Vec::new();
    for (name, value) in parameters {
        if name == "command" {
            header.command.push(value);
            continue;
        }
        if given.contains(&name) {
            return Err(Problem::new(ErrorCode::BadRequest, format!("the query has {name:?} twice")));
        }
        let options = &mut header.options;
        match name.as_str() {
            "retries" => options.retries = number(&name, &value)?,
            "backoff" => options.backoff = Some(duration(&name, &value)?),
            "timeout" => options.timeout = Some(duration(&name, &value)?),
            "allocate" => options.allocate = allocate(&value)?,
            "capture" => options.capture = Some(number(&name, &value)?),
            "documents" => header.documents = Some(number(&name, &value)?),
            _ => return Err(unknown(&name)),
        }
        given.push(name);
    }
    if header.command.is_empty() {
        return Err(Problem::new(ErrorCode::BadRequest, "no command in the query")
            .hint("give it word by word: ?command=sha256sum&command={}"));
    }
    Ok(header)
}

/// Refuses what cannot be meant, before any document is read.
pub(super) fn check(header: &NewBatch, settings: &ApiSettings) -> Result<(), Problem> {
    let bad = |message: &str| Err(Problem::new(ErrorCode::BadRequest, message));
    match header.command.first() {
        None => return bad("the command is empty"),
        Some(program) if program.is_empty() => return bad("the command's first word, the program, is empty"),
        Some(_) => {}
    }
    if header.command.iter().any(|word| word.contains('\0')) {
        return bad("the command holds a NUL character, which no process can be given");
    }
    let bytes = command_bytes(&header.command);
    if bytes > MAX_COMMAND {
        let message = format!("a command of {bytes} bytes, and {MAX_COMMAND} are the most");
        return Err(Problem::new(ErrorCode::TooLarge, message).hint("put the text into a file, or into the documents"));
    }
    if header.options.timeout.is_some_and(|timeout| timeout.is_zero()) {
        return bad("a timeout of 0 would kill every document: leave it out for none");
    }
    if let Some(capture) = header.options.capture
        && capture > settings.max_capture
    {
        let message = format!("{capture} bytes to capture, and this node keeps at most {}", settings.max_capture);
        return Err(Problem::new(ErrorCode::TooLarge, message)
            .hint("let the command write to files, or raise processes.capture_max on this node"));
    }
    match header.documents {
        Some(0) => bad("a batch has at least one document"),
        Some(announced) if announced > settings.max_documents => {
            let message = format!("{announced} documents, and this node takes at most {}", settings.max_documents);
            Err(Problem::new(ErrorCode::TooLarge, message)
                .hint("split it into several batches, or raise http.max_documents on this node"))
        }
        _ => Ok(()),
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| wrong(name, value, "a whole number, 0 or more"))
}

fn duration(name: &str, value: &str) -> Result<std::time::Duration, Problem> {
    humantime::parse_duration(value).map_err(|_| wrong(name, value, "a number and its unit, like 30s"))
}

fn allocate(value: &str) -> Result<Allocate, Problem> {
    match value {
        "lpt" => Ok(Allocate::Lpt),
        "uniform" => Ok(Allocate::Uniform),
        "pareto" => Ok(Allocate::Pareto),
        _ => Err(wrong("allocate", value, "lpt, uniform or pareto")),
    }
}

fn wrong(name: &str, value: &str, expected: &str) -> Problem {
    Problem::new(ErrorCode::BadRequest, format!("{name} in the query is {value:?}, and should be {expected}"))
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::new(ErrorCode::BadRequest, format!("the query has an unknown parameter {name:?}"));
    match PARAMETERS.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name))) {
        Some(nearest) if strsim::jaro(nearest, name) > 0.7 => problem.hint(format!("did you mean {nearest:?}?")),
        _ => problem.hint(format!("there are {}", PARAMETERS.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_command_has_a_limit_also_in_words() {
        let settings = ApiSettings::new(&Config::default(), None);
        let check = |command: Vec<String>| check(&NewBatch::new(command), &settings);
        let long = |bytes| vec!["echo".to_owned(), "x".repeat(bytes)];
        assert_eq!(check(long(MAX_COMMAND - 6)), Ok(()));
        let mut empty = long(1);
        empty.extend(vec![String::new(); MAX_COMMAND]);
        for command in [long(MAX_COMMAND - 5), empty] {
            let problem = check(command).unwrap_err();
            assert!(
                problem.error == ErrorCode::TooLarge && problem.message.contains("1048576 are the most"),
                "{problem}"
            );
        }
    }
}
