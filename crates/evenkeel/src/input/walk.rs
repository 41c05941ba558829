//! Finds the files that match a pattern.
//!
//! Each comes once, and each directory's names in byte order, so that the same files give the same documents every time.
//! Directories are read when their turn comes, one listing for each level at a time. Symbolic links to directories are
//! followed where the pattern names them or a wildcard other than `**` matches them. What kind of file a match is, is not
//! known here.

use std::ffi::OsString;
use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use super::glob::Pattern;

/// Iterator over the paths that match a pattern, each once, and over the directories that could not be read.
pub(super) struct Walk {
    pattern: Pattern,
    begun: bool,
    /// Directories that are being walked, the innermost last.
    open: Vec<Level>,
    /// Files and directories so far that would match without the dot their names begin with.
    hidden: u64,
}

/// A directory that could not be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

struct Level {
    directory: PathBuf,
    states: u64,
    /// Names still to come, the last first.
    names: Vec<(OsString, Option<FileType>)>,
}

impl Walk {
    pub(super) fn new(pattern: Pattern) -> Walk {
        Walk { pattern, begun: false, open: Vec::new(), hidden: 0 }
    }

    /// How many files and directories were left out so far for the dot that their names begin with.
    pub(super) fn hidden(&self) -> u64 {
        self.hidden
    }

    fn enter(&mut self, directory: PathBuf, states: u64) -> Result<(), Unreadable> {
        let mut names = match self.pattern.literals(states) {
            Some(names) => names.into_iter().map(|name| (name, None)).collect(),
            None => list(&directory).map_err(|error| Unreadable { path: directory.clone(), error })?,
        };
        names.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        self.open.push(Level { directory, states, names });
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<PathBuf, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            let base = self.pattern.base.clone();
            let Some(states) = self.pattern.begin() else {
                return base.symlink_metadata().is_ok().then_some(Ok(base));
            };
            if let Err(unreadable) = self.enter(base, states) {
                return Some(Err(unreadable));
            }
        }
        loop {
            let level = self.open.last_mut()?;
            let states = level.states;
            let Some((name, kind)) = level.names.pop() else {
                self.open.pop();
                continue;
            };
            let path = level.directory.join(&name);
            let kind = match kind {
                Some(kind) => kind,
                // A literal name: it may not exist.
                None => match path.symlink_metadata() {
                    Ok(metadata) => metadata.file_type(),
                    Err(_) => continue,
                },
            };
            let next = self.pattern.after(states, &name, kind.is_dir());
            self.hidden += u64::from(self.pattern.hides(states, &name, kind.is_dir()));
            let accepted = self.pattern.accepts(next);
            let further = self.pattern.unfinished(next);
            if further != 0 && (kind.is_dir() || kind.is_symlink() && path.is_dir()) {
                // A directory that matches and cannot be read is reported for that: it is no document anyhow.
                if let Err(unreadable) = self.enter(path.clone(), further) {
                    return Some(Err(unreadable));
                }
            }
            if accepted {
                return Some(Ok(path));
            }
        }
    }
}

/// Names in a directory with what they are; none if it is no directory.
fn list(directory: &Path) -> io::Result<Vec<(OsString, Option<FileType>)>> {
    let shown = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = match shown.read_dir() {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), Some(entry.file_type()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        root
    }

    /// Matching files below the root, without the root.
    fn matches(root: &Path, pattern: &str) -> Vec<String> {
        Pattern::parse(&format!("{}/{pattern}", root.display()))
            .unwrap()
            .into_iter()
            .flat_map(Walk::new)
            .map(|found| found.unwrap())
            .filter(|path| path.is_file())
            .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn wildcards_stay_within_a_component_and_come_in_order() {
        let root = tree(&["b.txt", "a.txt", "c.md", "d/e.txt", "d/f/g.txt"]);
        assert_eq!(matches(root.path(), "*.txt"), ["a.txt", "b.txt"]);
        assert_eq!(matches(root.path(), "[!a].*"), ["b.txt", "c.md"]);
        assert_eq!(matches(root.path(), "*/*"), ["d/e.txt"]);
        assert_eq!(matches(root.path(), "?/f/g.txt"), ["d/f/g.txt"]);
        assert_eq!(matches(root.path(), "d/e.txt"), ["d/e.txt"]);
        assert_eq!(matches(root.path(), "nothing*"), [""; 0]);
        assert_eq!(matches(root.path(), "a.txt/*"), [""; 0]);
    }

    #[test]
    fn two_stars_recurse_and_give_each_file_once() {
        let root = tree(&["x", "a/x", "a/a/x", "a/a/b/x", "c/y"]);
        assert_eq!(matches(root.path(), "**"), ["a/a/b/x", "a/a/x", "a/x", "c/y", "x"].map(String::from).as_slice());
        assert_eq!(matches(root.path(), "**/x"), ["a/a/b/x", "a/a/x", "a/x", "x"]);
        assert_eq!(matches(root.path(), "**/**/x"), ["a/a/b/x", "a/a/x", "a/x", "x"]);
        assert_eq!(matches(root.path(), "**/a/**/x"), ["a/a/b/x", "a/a/x", "a/x"]);
        assert_eq!(matches(root.path(), "a/**/b/*"), ["a/a/b/x"]);
    }

    #[test]
    fn hidden_files_are_matched_only_by_a_dot() {
        let root = tree(&[".h", "v", ".d/x", "e/.k", "e/x"]);
        assert_eq!(matches(root.path(), "*"), ["v"]);
        assert_eq!(matches(root.path(), "**"), ["e/x", "v"]);
        assert_eq!(matches(root.path(), ".*"), [".h"]);
        assert_eq!(matches(root.path(), ".d/**"), [".d/x"]);
        assert_eq!(matches(root.path(), "**/.k"), ["e/.k"]);
        assert_eq!(matches(root.path(), "[.]h"), [""; 0]);
    }

    #[test]
    fn braces_are_choices_even_across_slashes() {
        let root = tree(&["a/x.c", "b/c/y.h", "b/c/z.md"]);
        assert_eq!(matches(root.path(), "{b/c,a}/*.{c,h}"), ["b/c/y.h", "a/x.c"]);
        assert_eq!(matches(root.path(), "{a,{b,q}/c}/*"), ["a/x.c", "b/c/y.h", "b/c/z.md"]);
    }

    #[test]
    fn special_letters_can_be_escaped() {
        let root = tree(&["a*b", "axb", "{q}", "c,d"]);
        assert_eq!(matches(root.path(), r"a\*b"), ["a*b"]);
        assert_eq!(matches(root.path(), r"a\*?"), ["a*b"]);
        assert_eq!(matches(root.path(), r"\{?\}"), ["{q}"]);
        assert_eq!(matches(root.path(), "[{]q*"), ["{q}"]);
        assert_eq!(matches(root.path(), "c,*"), ["c,d"]);
    }

    #[test]
    fn links_to_directories_are_followed_by_name_but_not_by_two_stars() {
        let root = tree(&["real/x"]);
        std::os::unix::fs::symlink(root.path(), root.path().join("real/loop")).unwrap();
        assert_eq!(matches(root.path(), "**"), ["real/x"]);
        assert_eq!(matches(root.path(), "real/loop/*/x"), ["real/loop/real/x"]);
    }
}
