//! Arguments that say where documents come from and how long they are.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::value;
use super::words::Words;
use crate::input::{DOCUMENT_LIMIT, Documents, Measure, Options, Place, Source};
use crate::output::exit::Failure;

/// Where documents come from. Without any of these: after `:::`, or else a line each from standard input.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "source", multiple = false)]
#[command(next_help_heading = "Input")]
pub struct SourceArgs {
    /// A document for each line of FILE (- for standard input), without its \n or \r\n; empty lines count.
    #[arg(short = 'a', long = "arg-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub lines: Option<PathBuf>,

    /// A document for each line of FILE (-), which must be JSON; blank lines do not count.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub jsonl: Option<PathBuf>,

    /// A document for each row of FILE (-), as a JSON object with the names of the header line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub csv: Option<PathBuf>,

    /// A document for each regular file that matches, which is its name; * ? [a-z] {a,b} and ** as in shells, to be quoted.
    /// None of them matches a leading dot. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub files: Vec<OsString>,
}

/// How long documents are held to be: longer ones start first.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "measure", multiple = false)]
#[command(next_help_heading = "Input")]
pub struct LengthArgs {
    /// What a document's length is [default: file for --files, else payload].
    #[arg(long, value_name = "WHAT")]
    pub length: Option<LengthBy>,

    /// Take the length from this field of --jsonl or --csv, a whole number; a.b is field b of field a.
    #[arg(long, value_name = "NAME")]
    pub length_field: Option<String>,
}

/// Lengths that need no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LengthBy {
    /// Size of the file that the document names
    File,
    /// Bytes of the document
    Payload,
    /// The same for all: nothing is known
    #[value(name = "1")]
    One,
}

/// All arguments about input.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Where documents come from.
    #[command(flatten)]
    pub source: SourceArgs,

    /// How long they are.
    #[command(flatten)]
    pub length: LengthArgs,

    /// Longest document that is accepted.
    #[arg(long, value_name = "SIZE", default_value = "8M", value_parser = value::payload_size)]
    pub document_limit: u64,
}

impl InputArgs {
    /// Opens the input of this command.
    pub fn open(&self, words: &Words) -> Result<Documents, Failure> {
        let source = self.source(words, std::io::stdin().is_terminal())?;
        Ok(Documents::open(source, self.options(words))?)
    }

    /// How documents are measured and checked.
    pub fn options(&self, words: &Words) -> Options {
        Options {
            measure: self.measure(),
            document_limit: self.document_limit,
            fields: words.fields(),
            absolute_names: false,
        }
    }

    /// Where documents come from, all things considered.
    pub fn source(&self, words: &Words, stdin_is_terminal: bool) -> Result<Source, Failure> {
        let SourceArgs { lines, jsonl, csv, files } = self.source.clone();
        let named = lines
            .map(|path| ("-a", Source::Lines(Place::named(path))))
            .or_else(|| jsonl.map(|path| ("--jsonl", Source::JsonLines(Place::named(path)))))
            .or_else(|| csv.map(|path| ("--csv", Source::Csv(Place::named(path)))))
            .or_else(|| (!files.is_empty()).then_some(("--files", Source::Files(files))));
        // A pattern that the shell has replaced by names is none any more. One that still is came quoted, and then the
        // command has a -- of its own.
        let is_pattern = |name: &OsString| name.as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte));
        if let Some(("--files", Source::Files(names))) = &named
            && !names.iter().any(is_pattern)
            && words.command.iter().skip(1).any(|word| word == "--")
        {
            return Err(Failure::usage(format!(
                "`{}` stands before --: quote the pattern of --files, so that the shell leaves it alone",
                words.command[0]
            )));
        }
        match (named, words.arguments.clone()) {
            (Some((option, _)), Some(_)) => {
                Err(Failure::usage(format!("documents come either from {option} or from :::, not from both")))
            }
            (Some((_, source)), None) => Ok(source),
            (None, Some(arguments)) => Ok(Source::Arguments(arguments)),
            (None, None) if stdin_is_terminal => Err(Failure::usage(
                "no documents: give -a FILE, --jsonl FILE, --csv FILE, --files 'GLOB', or ::: ARGS..., \
                 or pipe lines to standard input",
            )),
            (None, None) => Ok(Source::Lines(Place::Stdin)),
        }
    }

    /// How lengths are measured, if that was said.
    pub fn measure(&self) -> Option<Measure> {
        let by = self.length.length.map(|by| match by {
            LengthBy::File => Measure::FileSize,
            LengthBy::Payload => Measure::PayloadBytes,
            LengthBy::One => Measure::One,
        });
        by.or_else(|| self.length.length_field.clone().map(Measure::Field))
    }
}

impl Default for InputArgs {
    fn default() -> Self {
        InputArgs { source: SourceArgs::default(), length: LengthArgs::default(), document_limit: DOCUMENT_LIMIT }
    }
}
