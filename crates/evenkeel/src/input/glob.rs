//! File patterns as shells read them: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of directories.
//!
//! As in a shell, a wildcard does not match a leading dot, and `**` does not enter hidden directories. A pattern is a
//! machine that reads a path name by name: its states are places in the pattern, and a set of them is a `u64`. It knows
//! nothing of the files that there are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::braces;

/// Most components from the first wildcard on: a set of them fits a `u64`.
const MOST_PARTS: usize = 63;

/// One pattern without braces.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What stands before the first wildcard.
    pub(super) base: PathBuf,
    /// One part for each component from there on.
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(OsString),
    Wild { matcher: GlobMatcher, hidden: bool },
    AnyDepth,
}

impl Pattern {
    /// Reads a pattern; one for each choice that its braces leave. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Vec<Pattern>, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        braces::expand(text)?.iter().map(|text| Pattern::without_braces(text)).collect()
    }

    fn without_braces(text: &str) -> Result<Pattern, String> {
        if text.ends_with('/') {
            return Err("ends in a slash, so that only directories match, and documents are files: add **".to_owned());
        }
        let mut base = PathBuf::from(if text.starts_with('/') { "/" } else { "" });
        let mut parts = Vec::new();
        for component in text.split('/').filter(|component| !component.is_empty()) {
            match part(component)? {
                Part::Literal(name) if parts.is_empty() => base.push(name),
                Part::Literal(name) if name == "." || name == ".." => {
                    return Err(format!("`{}` cannot follow a wildcard", name.display()));
                }
                Part::AnyDepth if matches!(parts.last(), Some(Part::AnyDepth)) => {}
                part => parts.push(part),
            }
        }
        if parts.len() > MOST_PARTS {
            return Err(format!("more than {MOST_PARTS} components from the first wildcard on"));
        }
        Ok(Pattern { base, parts })
    }

    /// The states before any name is read; `None` if there is no wildcard, so that `base` is all there is.
    pub(super) fn begin(&self) -> Option<u64> {
        (!self.parts.is_empty()).then(|| self.close(1))
    }

    /// The states from which more names can be read.
    pub(super) fn unfinished(&self, states: u64) -> u64 {
        states & !(1 << self.parts.len())
    }

    /// The states reachable from `states` without reading a name: `**` may stand for no directory at all.
    fn close(&self, mut states: u64) -> u64 {
        for (place, part) in self.parts.iter().enumerate() {
            if matches!(part, Part::AnyDepth) && states & (1 << place) != 0 {
                states |= 1 << (place + 1);
            }
        }
        states
    }

    /// Whether what was read so far is a match.
    pub(super) fn accepts(&self, states: u64) -> bool {
        states & (1 << self.parts.len()) != 0
    }

    /// The states after the name `name`; `entered` is whether `**` may go on into it.
    pub(super) fn after(&self, states: u64, name: &OsStr, entered: bool) -> u64 {
        self.step(states, name, entered, is_hidden(name))
    }

    /// Whether the name `name` is no match, and leads to none, only because it begins with a dot.
    pub(super) fn hides(&self, states: u64, name: &OsStr, directory: bool) -> bool {
        if !is_hidden(name) || self.after(states, name, directory) != 0 {
            return false;
        }
        let shown = self.step(states, name, directory, false);
        self.accepts(shown) || directory && self.unfinished(shown) != 0
    }

    fn step(&self, states: u64, name: &OsStr, entered: bool, dotted: bool) -> u64 {
        let mut next = 0;
        for (place, part) in self.parts.iter().enumerate().filter(|(place, _)| states & (1 << place) != 0) {
            match part {
                Part::Literal(literal) if literal == name => next |= 1 << (place + 1),
                Part::Wild { matcher, hidden } if (*hidden || !dotted) && matcher.is_match(Path::new(name)) => {
                    next |= 1 << (place + 1);
                }
                Part::AnyDepth if !dotted => {
                    if entered {
                        next |= 1 << place;
                    }
                    if place + 1 == self.parts.len() {
                        next |= 1 << (place + 1);
                    }
                }
                _ => {}
            }
        }
        self.close(next)
    }

    /// The names to look for if every state is a literal, so that the directory need not be read.
    pub(super) fn literals(&self, states: u64) -> Option<Vec<OsString>> {
        let mut names = Vec::new();
        for (_, part) in self.parts.iter().enumerate().filter(|(place, _)| states & (1 << place) != 0) {
            let Part::Literal(name) = part else { return None };
            names.push(name.clone());
        }
        Some(names)
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

fn part(component: &str) -> Result<Part, String> {
    if component == "**" {
        return Ok(Part::AnyDepth);
    }
    let mut literal = String::with_capacity(component.len());
    let mut letters = component.chars();
    let mut wild = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => literal.push(letters.next().ok_or("ends in a backslash that escapes nothing")?),
            '*' | '?' | '[' => {
                wild = true;
                break;
            }
            _ => literal.push(letter),
        }
    }
    if !wild {
        return Ok(Part::Literal(literal.into()));
    }
    let glob = GlobBuilder::new(component)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| error.kind().to_string())?;
    Ok(Part::Wild { matcher: glob.compile_matcher(), hidden: literal.starts_with('.') })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_patterns_say_what_is_wrong() {
        for (pattern, part) in [
            ("", "empty"),
            ("a[", "unclosed character class"),
            ("[z-a]", "invalid"),
            ("{a,b", "without its }"),
            ("a}", "without its {"),
            ("a\\", "escapes nothing"),
            ("*/../x", "cannot follow"),
            ("dir/", "ends in a slash"),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 1024"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_refused(text in "[a-c*?/{},\\[\\]!^\\\\.-]{0,40}|\\PC{0,40}") {
            let _ = Pattern::parse(&text);
        }
    }
}
