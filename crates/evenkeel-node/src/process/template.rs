//! A command template: parsed once for a batch, rendered for every document.
//!
//! No shell is involved: each argument of the template becomes one argument of the process, whatever the payload
//! holds. What counts as a placeholder is told in `placeholder.rs`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::OnceLock;

use evenkeel_core::ids::DocNumber;

use super::fields::Fields;
use super::placeholder::{Piece, Unknown, pieces};
use super::program::{self, NoProgram};

/// A parsed command.
#[derive(Debug)]
pub struct Template {
    program: Argument,
    arguments: Vec<Argument>,
    /// Whether no placeholder stands anywhere, so that the payload goes to standard input.
    payload_on_stdin: bool,
    has_fields: bool,
    /// Where the program is, once it has been looked up; only if the program has no placeholder.
    found: OnceLock<PathBuf>,
}

#[derive(Debug)]
enum Argument {
    Fixed(OsString),
    Pieces(Vec<Piece>),
}

/// What one document is run as.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The program as the template names it.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Whether the payload goes to standard input.
    pub payload_on_stdin: bool,
}

/// A command that cannot be a template. Nothing was changed or started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No command at all.
    #[error("the command is empty: give a program and its arguments, for example `gzip -k {{}}`")]
    Empty,
    /// The program is the empty text.
    #[error("the program (the first word of the command) is the empty text")]
    EmptyProgram,
    /// A NUL byte, which no argument of a process can hold.
    #[error("argument {argument} of the command holds a NUL byte, which no argument of a process can")]
    Nul {
        /// Its place in the command; 0 is the program.
        argument: usize,
    },
    /// Something in braces that looks like a placeholder and is none.
    #[error(
        "argument {argument} of the command, `{text}`: unknown placeholder `{{{inside}}}`{}; known are {{}} (the payload), \
         {{n}} (the document's number) and {{.name}} (a field of a JSON or CSV payload); for the text itself write \\{{{inside}}}",
        .meant.as_ref().map(|meant| format!(", perhaps {meant} is meant")).unwrap_or_default()
    )]
    UnknownPlaceholder {
        /// Its place in the command; 0 is the program.
        argument: usize,
        /// The argument.
        text: String,
        /// What is between the braces.
        inside: String,
        /// The placeholder that was probably meant.
        meant: Option<String>,
    },
}

/// Why a document cannot be given to its command. It is the document's failure: others of the batch may do.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template names a field and the payload is not an object.
    #[error("`{{.{field}}}` in the command needs a JSON object as payload: {reason}")]
    NotAnObject {
        /// The first field that the template names.
        field: String,
        /// Where the payload stops being one.
        reason: serde_json::Error,
    },
    /// The payload has no such field.
    #[error("the payload has no field `{field}`, which the command names; it has: {present}")]
    NoField {
        /// The missing field.
        field: String,
        /// Those that are there.
        present: String,
    },
    /// A NUL byte, which no argument of a process can hold.
    #[error(
        "argument {argument} would hold a NUL byte of the payload, which no argument of a process can; \
         a command without placeholders gets the payload on standard input"
    )]
    Nul {
        /// Its place in the command; 0 is the program.
        argument: usize,
    },
    /// The program has a placeholder, and that came out empty.
    #[error("the program (the first word of the command) is empty for this document")]
    EmptyProgram,
}

impl Template {
    /// Reads a command: program and arguments.
    pub fn parse(command: &[String]) -> Result<Template, TemplateError> {
        let mut arguments = command.iter().enumerate().map(|(place, text)| Argument::parse(place, text));
        let program = arguments.next().ok_or(TemplateError::Empty)??;
        if matches!(&program, Argument::Fixed(text) if text.is_empty()) {
            return Err(TemplateError::EmptyProgram);
        }
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let all = || std::iter::once(&program).chain(&arguments);
        Ok(Template {
            payload_on_stdin: all().all(|argument| matches!(argument, Argument::Fixed(_))),
            has_fields: all().any(|argument| argument.fields().next().is_some()),
            program,
            arguments,
            found: OnceLock::new(),
        })
    }

    /// Whether documents get their payload on standard input: no argument has a placeholder.
    pub fn payload_on_stdin(&self) -> bool {
        self.payload_on_stdin
    }

    /// Names of the fields that the command needs, in order, as often as they stand there.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.program).chain(&self.arguments).flat_map(Argument::fields)
    }

    /// The command for one document.
    pub fn render(&self, number: DocNumber, payload: &[u8]) -> Result<Rendered, RenderError> {
        let fields = match self.fields().next().filter(|_| self.has_fields) {
            None => None,
            Some(field) => Some(
                Fields::parse(payload)
                    .map_err(|reason| RenderError::NotAnObject { field: field.to_owned(), reason })?,
            ),
        };
        let render = |(place, argument): (usize, &Argument)| argument.render(place, number, payload, fields.as_ref());
        let program = render((0, &self.program))?;
        if program.is_empty() {
            return Err(RenderError::EmptyProgram);
        }
        let arguments = (1..).zip(&self.arguments).map(render).collect::<Result<_, _>>()?;
        Ok(Rendered { program, arguments, payload_on_stdin: self.payload_on_stdin })
    }

    /// Whether the program is on this host, as far as that can be told before there is a document.
    ///
    /// # Errors
    /// Why it cannot be run, in words.
    pub fn look_for_program(&self) -> Result<(), String> {
        let Argument::Fixed(program) = &self.program else { return Ok(()) };
        let found = self.locate(program).map_err(|error| error.to_string())?;
        match found.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(program::refusal(&found, &error)),
            _ => Ok(()),
        }
    }

    /// Where the rendered program is. Looked up once for a template whose program has no placeholder, not once for
    /// every document; a program that is not there is looked for again, as it may have been installed since.
    pub(super) fn locate(&self, program: &OsStr) -> Result<PathBuf, NoProgram> {
        if let Some(found) = self.found.get() {
            return Ok(found.clone());
        }
        let found = program::locate(program)?;
        if matches!(self.program, Argument::Fixed(_)) {
            let _ = self.found.set(found.clone());
        }
        Ok(found)
    }
}

impl Argument {
    fn parse(place: usize, text: &str) -> Result<Argument, TemplateError> {
        if text.contains('\0') {
            return Err(TemplateError::Nul { argument: place });
        }
        let mut pieces = pieces(text).map_err(|Unknown { inside, meant }| TemplateError::UnknownPlaceholder {
            argument: place,
            text: text.to_owned(),
            inside,
            meant,
        })?;
        Ok(match pieces.as_mut_slice() {
            [] => Argument::Fixed(OsString::new()),
            [Piece::Text(text)] => Argument::Fixed(std::mem::take(text).into()),
            _ => Argument::Pieces(pieces),
        })
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        let pieces = match self {
            Argument::Fixed(_) => &[],
            Argument::Pieces(pieces) => pieces.as_slice(),
        };
        pieces.iter().filter_map(|piece| if let Piece::Field(name) = piece { Some(name.as_str()) } else { None })
    }

    fn render(
        &self,
        place: usize,
        number: DocNumber,
        payload: &[u8],
        fields: Option<&Fields<'_>>,
    ) -> Result<OsString, RenderError> {
        let pieces = match self {
            Argument::Fixed(text) => return Ok(text.clone()),
            Argument::Pieces(pieces) => pieces,
        };
        let mut rendered = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => rendered.extend_from_slice(text.as_bytes()),
                Piece::Payload => rendered.extend_from_slice(payload),
                Piece::Number => rendered.extend_from_slice(number.to_string().as_bytes()),
                Piece::Field(name) => {
                    let value = fields.and_then(|fields| fields.text(name)).ok_or_else(|| RenderError::NoField {
                        field: name.clone(),
                        present: fields.map(Fields::names).unwrap_or_default(),
                    })?;
                    rendered.extend_from_slice(value.as_bytes());
                }
            }
        }
        if rendered.contains(&0) {
            return Err(RenderError::Nul { argument: place });
        }
        Ok(OsString::from_vec(rendered))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(command: &[&str]) -> Result<Template, TemplateError> {
        Template::parse(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    fn rendered(command: &[&str], payload: &[u8]) -> Result<Vec<OsString>, RenderError> {
        template(command).unwrap().render(DocNumber(7), payload).map(|rendered| rendered.arguments)
    }

    #[test]
    fn without_a_placeholder_the_payload_goes_to_standard_input() {
        assert!(template(&["wc", "-c"]).unwrap().payload_on_stdin());
        assert!(template(&["wc", "${n}"]).unwrap().payload_on_stdin());
        assert!(!template(&["echo", "x{n}"]).unwrap().payload_on_stdin());
        assert!(!template(&["{}"]).unwrap().payload_on_stdin());
    }

    #[test]
    fn a_command_that_cannot_be_one_says_what_and_where() {
        assert_eq!(template(&[]).unwrap_err(), TemplateError::Empty);
        assert_eq!(template(&["", "x"]).unwrap_err(), TemplateError::EmptyProgram);
        assert_eq!(template(&["a", "b\0"]).unwrap_err(), TemplateError::Nul { argument: 1 });
        assert_eq!(
            template(&["echo", "a", "to={name}"]).unwrap_err().to_string(),
            "argument 2 of the command, `to={name}`: unknown placeholder `{name}`, perhaps {.name} is meant; known are {} (the \
             payload), {n} (the document's number) and {.name} (a field of a JSON or CSV payload); for the text itself \
             write \\{name}"
        );
    }

    #[test]
    fn fields_are_put_in() {
        let payload = br#"{"name": "O'Neil; rm -rf /", "size": 3, "at": {"x": [1]}}"#;
        let got = rendered(&["echo", "{.name}", "{.size}-{n}", "{.at.x}", "{.at}"], payload).unwrap();
        assert_eq!(got, ["O'Neil; rm -rf /", "3-7", "[1]", r#"{"x": [1]}"#]);
        assert_eq!(template(&["{.a}", "{.b}{.c}"]).unwrap().fields().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_document_that_does_not_fit_fails_with_the_reason() {
        let message = |command, payload| rendered(command, payload).unwrap_err().to_string();
        assert_eq!(
            message(&["echo", "{.c}"], br#"{"b": 1, "a": 2}"#),
            "the payload has no field `c`, which the command names; it has: a, b"
        );
        assert!(message(&["echo", "{.c}"], b"plain").starts_with("`{.c}` in the command needs a JSON object"));
        assert!(message(&["echo", "x", "{}"], b"a\0b").starts_with("argument 2 would hold a NUL byte"));
        assert!(message(&["{}"], b"").starts_with("the program"));
    }

    proptest! {
        #[test]
        fn any_payload_arrives_whole(payload in prop::collection::vec(1u8.., 0..60), number: u32) {
            let got = template(&["cat", "a{}b", "{n}"]).unwrap().render(DocNumber(number), &payload).unwrap();
            prop_assert_eq!(got.arguments[0].as_bytes(), [b"a", payload.as_slice(), b"b"].concat());
            prop_assert_eq!(&got.arguments[1], &OsString::from(number.to_string()));
        }

        #[test]
        fn any_text_field_arrives_whole(value in "[^\0]{0,40}") {
            let payload = serde_json::to_vec(&serde_json::json!({ "v": &value })).unwrap();
            let got = rendered(&["cat", "{.v}"], &payload).unwrap();
            prop_assert_eq!(got[0].as_bytes(), value.as_bytes());
        }

        #[test]
        fn any_command_and_payload_render_or_are_refused(
            command in prop::collection::vec("[{}.nab\\\\$ ]{0,10}", 0..4),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Ok(template) = Template::parse(&command) {
                let _ = template.render(DocNumber(0), &payload);
            }
        }
    }
}
