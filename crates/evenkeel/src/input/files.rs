//! Documents that are files, each carried as its name. What a pattern matches besides readable regular files is left
//! out and counted, so that the caller can say so once.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use evenkeel_core::units::Length;

use super::error::reason;
use super::glob::Pattern;
use super::length::Measure;
use super::place::printable;
use super::walk::Walk;
use super::{Document, InputError, Place};

/// A file that should have been a document and cannot be.
#[derive(Debug)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; skipped", printable(self.path.as_os_str()), reason(&self.error))
    }
}

/// What was left out. Only [`Skipped::problems`] are a reason to fail at the end.
#[derive(Debug, Default)]
pub struct Skipped {
    /// Directories.
    pub directories: u64,
    /// Sockets, pipes and devices.
    pub special: u64,
    /// Symbolic links that lead nowhere.
    pub broken_links: u64,
    /// Files and directories whose names begin with a dot where the pattern has a wildcard. What is in such a directory is
    /// not counted.
    pub hidden: u64,
    /// Files and directories that cannot be read.
    pub problems: Vec<Problem>,
}

impl Skipped {
    /// One line on what was left out for what it is; `None` if nothing was.
    pub fn summary(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.directories, "directory", "directories"),
            (self.special, "socket, pipe or device", "sockets, pipes and devices"),
            (self.broken_links, "broken symbolic link", "broken symbolic links"),
            (self.hidden, "hidden file or directory", "hidden files and directories"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
        (!parts.is_empty()).then(|| format!("skipped {}", parts.join(", ")))
    }
}

/// Documents that are files.
pub(super) struct Files {
    names: Vec<OsString>,
    /// Patterns still to be walked, the next one last.
    waiting: Vec<Pattern>,
    walk: Option<Walk>,
    measure: Measure,
    absolute_names: bool,
    skipped: Skipped,
}

impl Files {
    pub(super) fn open(patterns: &[OsString], measure: Measure, absolute_names: bool) -> Result<Files, InputError> {
        let mut waiting = Vec::new();
        for pattern in patterns {
            let wrong = |reason: String| InputError::Pattern { pattern: printable(pattern), reason };
            let text =
                pattern.to_str().ok_or_else(|| wrong("a pattern must be UTF-8; ? stands for any byte".into()))?;
            waiting.append(&mut Pattern::parse(text).map_err(wrong)?);
        }
        waiting.reverse();
        let skipped = Skipped::default();
        Ok(Files { names: patterns.to_owned(), waiting, walk: None, measure, absolute_names, skipped })
    }

    pub(super) fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    pub(super) fn next_document(&mut self) -> Option<Document> {
        loop {
            let walk = match &mut self.walk {
                Some(walk) => walk,
                None => self.walk.insert(Walk::new(self.waiting.pop()?)),
            };
            match walk.next() {
                None => {
                    self.skipped.hidden += walk.hidden();
                    self.walk = None;
                }
                Some(Err(unreadable)) => {
                    self.skipped.problems.push(Problem { path: unreadable.path, error: unreadable.error });
                }
                Some(Ok(path)) => {
                    if let Some(document) = self.document(path) {
                        return Some(document);
                    }
                }
            }
        }
    }

    fn document(&mut self, path: PathBuf) -> Option<Document> {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.skipped.broken_links += 1;
                return None;
            }
            Err(error) => {
                self.skipped.problems.push(Problem { path, error });
                return None;
            }
        };
        if metadata.is_dir() {
            self.skipped.directories += 1;
            return None;
        }
        if !metadata.is_file() {
            self.skipped.special += 1;
            return None;
        }
        // Opening is the only question that every file system answers truly.
        if let Err(error) = File::open(&path) {
            self.skipped.problems.push(Problem { path, error });
            return None;
        }
        let path = match self.absolute_names.then(|| std::path::absolute(&path)) {
            None => path,
            Some(Ok(absolute)) => absolute,
            Some(Err(error)) => {
                self.skipped.problems.push(Problem { path, error });
                return None;
            }
        };
        let payload = path.into_os_string().into_vec();
        let length = match self.measure {
            Measure::PayloadBytes => Length(payload.len() as u64),
            Measure::One => Length(1),
            // Fields are refused for files when the source is opened.
            Measure::FileSize | Measure::Field(_) => Length(metadata.len()).min(Length::MAX),
        };
        Some(Document { payload, length })
    }

    /// Why no file became a document.
    pub(super) fn nothing(&self) -> InputError {
        let reason = match (&self.skipped.problems[..], self.skipped.summary()) {
            ([first, rest @ ..], _) => {
                let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                format!("nothing that matches can be read: {first}{more}")
            }
            ([], Some(_)) if self.skipped.directories > 0 => {
                "matches no regular file, only directories: use 'DIR/**' for the files in them".to_owned()
            }
            ([], Some(_)) if self.skipped.hidden > 0 => {
                "matches only what is hidden: a wildcard matches no leading dot, '.*' does".to_owned()
            }
            ([], Some(skipped)) => format!("matches no regular file; {skipped}"),
            ([], None) => "no file matches; the pattern must reach this program unchanged, so quote it".to_owned(),
        };
        InputError::NoFiles { input: Place::Patterns(self.names.clone()), reason }
    }
}
