//! Where input comes from, as people name it and as it is opened.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::InputError;

/// Enough to keep system calls rare, little enough to be nothing.
const BUFFER: usize = 64 << 10;

/// Where input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// File patterns.
    Patterns(Vec<OsString>),
    /// The command line, after `:::`.
    Arguments,
}

impl Place {
    /// The place that a file argument names: `-` is standard input.
    pub fn named(path: PathBuf) -> Place {
        if path.as_os_str() == "-" { Place::Stdin } else { Place::File(path) }
    }

    /// Opens it for reading.
    pub(super) fn open(&self) -> Result<Box<dyn BufRead + Send>, InputError> {
        match self {
            Place::File(path) => {
                let opened = File::open(path).and_then(|file| {
                    // Opening a directory succeeds; reading it is what fails, with less to say.
                    if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
                });
                match opened {
                    Ok(file) => Ok(Box::new(BufReader::with_capacity(BUFFER, file))),
                    Err(error) => Err(InputError::Open { input: self.clone(), error }),
                }
            }
            Place::Stdin | Place::Patterns(_) | Place::Arguments => {
                Ok(Box::new(BufReader::with_capacity(BUFFER, io::stdin())))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stdin => f.write_str("standard input"),
            Place::File(path) => f.write_str(&printable(path.as_os_str())),
            Place::Patterns(patterns) => {
                let shown: Vec<String> = patterns.iter().map(|pattern| printable(pattern)).collect();
                write!(f, "--files {}", shown.join(" --files "))
            }
            Place::Arguments => f.write_str("the arguments after `:::`"),
        }
    }
}

/// A name as it may be shown on a terminal: control characters and bytes that are not UTF-8 are escaped, since file
/// names are often other people's.
pub fn printable(name: &OsStr) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable(OsStr::from_bytes(b"a\x1b[2Jb\n\xff\xc3\xa9")), "a\\u{1b}[2Jb\\n\\xff\u{e9}");
    }
}
