//! Takes apart the words at the end of a command line: the command to run, and the documents after `:::`.

use std::ffi::OsString;

use evenkeel_node::api::{MAX_COMMAND, command_bytes};
use evenkeel_node::process::Template;

use crate::output::exit::Failure;

/// What stands at the end of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The command template.
    pub command: Vec<String>,
    /// The words after `:::`, if it was there.
    pub arguments: Option<Vec<OsString>>,
}

/// Other separators of GNU parallel, and what to do instead.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("::::", "name the file with -a FILE"),
    (":::+", "join the arguments into one document each, for example as rows of --csv"),
    ("::::+", "join the lines into one document each, for example as rows of --csv"),
];

impl Words {
    /// Splits the words at `:::`.
    pub fn split(words: &[OsString]) -> Result<Words, Failure> {
        for (separator, instead) in UNSUPPORTED {
            if words.iter().any(|word| word == separator) {
                return Err(Failure::usage(format!("`{separator}` is not supported: {instead}")));
            }
        }
        let place = words.iter().position(|word| word == ":::");
        let (command, arguments) = match place {
            Some(place) => (&words[..place], Some(words[place + 1..].to_vec())),
            None => (words, None),
        };
        if arguments.as_ref().is_some_and(|arguments| arguments.iter().any(|word| word == ":::")) {
            return Err(Failure::usage(
                "a second `:::` is not supported: combinations are not formed here; give each document as one argument",
            ));
        }
        if command.is_empty() {
            return Err(Failure::usage(
                "no command: write it at the end, for example `-- wc -c {}`; \
                 to run each document as a shell command, `-- sh -c {}`",
            ));
        }
        let command = command.iter().map(|word| {
            word.to_str().map(str::to_owned).ok_or_else(|| {
                let shown = crate::input::printable(word);
                Failure::usage(format!(
                    "the command must be UTF-8, and `{shown}` is not: pass such bytes in a document"
                ))
            })
        });
        let command: Vec<String> = command.collect::<Result<_, _>>()?;
        let bytes = command_bytes(&command);
        if bytes > MAX_COMMAND {
            return Err(Failure::usage(format!(
                "the command has {bytes} bytes, and {MAX_COMMAND} are the most: put the text into a file, or into the \
                 documents"
            )));
        }
        Ok(Words { command, arguments })
    }

    /// Fields of a document that the command takes, as `{.name}` does. A command that is no good takes none: whoever runs it
    /// says why it is no good.
    pub fn fields(&self) -> Vec<String> {
        Template::parse(&self.command)
            .map_or_else(|_| Vec::new(), |template| template.fields().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &[&str]) -> Result<Words, String> {
        Words::split(&words.iter().map(OsString::from).collect::<Vec<_>>()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn documents_stand_after_three_colons() {
        let words = split(&["echo", "{}", ":::", "a", "--", "b"]).unwrap();
        assert_eq!(words.command, ["echo", "{}"]);
        assert_eq!(words.arguments, Some(vec!["a".into(), "--".into(), "b".into()]));
        assert_eq!(split(&["echo", ":::"]).unwrap().arguments, Some(vec![]));
        assert_eq!(split(&["echo"]).unwrap().arguments, None);
    }

    #[test]
    fn what_is_not_supported_says_what_to_do() {
        assert!(split(&["echo", "::::", "file"]).unwrap_err().contains("name the file with -a FILE"));
        assert!(split(&["echo", ":::", "a", ":::", "b"]).unwrap_err().contains("second `:::`"));
        assert!(split(&["echo", ":::", "a", ":::+", "b"]).unwrap_err().contains("rows of --csv"));
        assert!(split(&[":::", "a"]).unwrap_err().contains("no command"));
        assert!(split(&[]).unwrap_err().contains("-- sh -c {}"));
    }

    #[test]
    fn a_command_has_a_limit() {
        let words = |bytes| split(&["echo", &"x".repeat(bytes)]);
        assert!(words(MAX_COMMAND - 6).is_ok());
        assert!(words(MAX_COMMAND - 5).unwrap_err().contains("1048577 bytes"));
    }

    #[test]
    fn fields_are_recognised() {
        assert_eq!(split(&["convert", "in={.path}", "{.a.b}{}"]).unwrap().fields(), ["path", "a.b"]);
        for word in ["{}", "{.}", "{n}", "{.", ".}", "}{."] {
            assert!(split(&["echo", word]).unwrap().fields().is_empty(), "{word}");
        }
    }
}
