//! Gives the results of an earlier run the numbers that their documents have in the present input.
//!
//! Done in stages, each of which a crash may interrupt and `recover` completes; the name of one directory tells the
//! stage. No result of a document that is done is deleted: those of documents that are not in the present input stay in
//! `.before`.
//!
//! 1. `.renumber-1`: links to the kept results under their new numbers are being made. Incomplete: thrown away.
//! 2. `.renumber-2`: they are complete. The old files go to `.before`.
//! 3. `.renumber-3`: the old files are gone. The links go where the old files were, and `.before` is cleared of what
//!    need not stay there.
//! 4. `.renumber-4`: all is in place. Thrown away.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use evenkeel_core::ids::DocNumber;

use super::results_dir::{RESUME_FILE, names, results_in};
use crate::input::printable;

const LINKING: &str = ".renumber-1";
const LINKED: &str = ".renumber-2";
const CLEARED: &str = ".renumber-3";
const FILLED: &str = ".renumber-4";

/// Where the results of documents that are not in the input go.
pub(super) const BEFORE: &str = ".before";

/// In the directory of links: names of the old files that need not stay, a line each.
const SPENT: &str = "spent";

/// One result that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) old: DocNumber,
    pub(super) new: DocNumber,
}

/// Renumbers the kept results, and puts this record of them in place of the old one, all or nothing. Those
/// that are put aside stay, but not here; whatever else there is goes.
pub(super) fn renumber(results: &Path, kept: &[Kept], put_aside: &[DocNumber], record: &[u8]) -> anyhow::Result<()> {
    link(results, kept, put_aside, record).with_context(|| failure(results))?;
    recover(results)
}

/// Completes a renumbering that was interrupted, if one was.
pub(super) fn recover(results: &Path) -> anyhow::Result<()> {
    complete(results).with_context(|| failure(results))
}

fn failure(results: &Path) -> String {
    format!(
        "cannot give the results in {} the numbers of this input; nothing is lost, and the next --resume tries again",
        printable(results.as_os_str())
    )
}

fn link(results: &Path, kept: &[Kept], put_aside: &[DocNumber], record: &[u8]) -> io::Result<()> {
    let linking = results.join(LINKING);
    remove_directory(&linking)?;
    fs::create_dir(&linking)?;
    for Kept { old, new } in kept {
        for (old, new) in names(*old).iter().zip(names(*new)) {
            link_or_copy(&results.join(old), &linking.join(new))?;
        }
    }
    let put_aside: HashSet<String> = put_aside.iter().flat_map(|number| names(*number)).collect();
    let mut spent = results_in(results)?;
    spent.retain(|name| !put_aside.contains(name));
    fs::write(linking.join(SPENT), spent.join("\n"))?;
    let mut file = File::create(linking.join(RESUME_FILE))?;
    file.write_all(record)?;
    file.sync_all()?;
    fs::rename(linking, results.join(LINKED))
}

fn complete(results: &Path) -> io::Result<()> {
    remove_directory(&results.join(LINKING))?;
    remove_directory(&results.join(FILLED))?;
    let (linked, cleared, before) = (results.join(LINKED), results.join(CLEARED), results.join(BEFORE));
    if linked.exists() {
        fs::create_dir_all(&before)?;
        for name in results_in(results)? {
            fs::rename(results.join(&name), before.join(&name))?;
        }
        fs::rename(&linked, &cleared)?;
    }
    if cleared.exists() {
        for name in results_in(&cleared)? {
            link_or_copy(&cleared.join(&name), &results.join(&name))?;
        }
        for name in fs::read_to_string(cleared.join(SPENT))?.lines() {
            remove_file(&before.join(name))?;
        }
        // Fails if anything is left there, which is then meant to stay.
        let _ = fs::remove_dir(&before);
        let record = results.join(RESUME_FILE);
        fs::copy(cleared.join(RESUME_FILE), results.join(".resume.new"))?;
        fs::rename(results.join(".resume.new"), record)?;
        fs::rename(&cleared, results.join(FILLED))?;
        remove_directory(&results.join(FILLED))?;
    }
    Ok(())
}

/// A second name for a file, or a second file where the file system has no links; nothing if there is no such file.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    remove_file(to)?;
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => fs::copy(from, to).map(|_| ()),
        Ok(()) => Ok(()),
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn kept(pairs: &[(u32, u32)]) -> Vec<Kept> {
        pairs.iter().map(|(old, new)| Kept { old: DocNumber(*old), new: DocNumber(*new) }).collect()
    }

    fn filled(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(root.path().join(name), text).unwrap();
        }
        root
    }

    fn contents(path: &Path) -> BTreeMap<String, String> {
        path.read_dir()
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    }

    fn map(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    }

    const OLD: [(&str, &str); 6] =
        [("0.out", "a"), ("1.out", "b"), ("1.err", "B"), ("2.out", "c"), (RESUME_FILE, "old"), ("notes", "mine")];
    const NEW: [(&str, &str); 5] =
        [("0.out", "b"), ("0.err", "B"), ("1.out", "a"), (RESUME_FILE, "new"), ("notes", "mine")];

    #[test]
    fn results_change_places_and_nothing_is_lost() {
        let root = filled(&OLD);
        renumber(root.path(), &kept(&[(0, 1), (1, 0)]), &[DocNumber(2)], b"new").unwrap();
        assert_eq!(contents(root.path()), map(&NEW));
        assert_eq!(contents(&root.path().join(BEFORE)), map(&[("2.out", "c")]), "it is not in the input any more");
    }

    #[test]
    fn nothing_is_left_behind_of_documents_that_will_run_again() {
        let root = filled(&OLD);
        renumber(root.path(), &kept(&[(0, 1), (1, 0)]), &[], b"new").unwrap();
        let mut names: Vec<_> = root.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [RESUME_FILE, "0.err", "0.out", "1.out", "notes"]);
    }

    /// A crash cannot be staged here, so what it leaves is made by hand.
    #[test]
    fn an_interrupted_renumbering_is_completed_or_undone() {
        let root = filled(&OLD);
        fs::create_dir(root.path().join(LINKING)).unwrap();
        fs::write(root.path().join(LINKING).join("0.out"), "half").unwrap();
        recover(root.path()).unwrap();
        assert_eq!(contents(root.path()), map(&OLD), "nothing was linked completely: nothing has changed");

        link(root.path(), &kept(&[(0, 1), (1, 0)]), &[DocNumber(2)], b"new").unwrap();
        let before = root.path().join(BEFORE);
        fs::create_dir(&before).unwrap();
        fs::rename(root.path().join("1.out"), before.join("1.out")).unwrap();
        let aside = tempfile::tempdir().unwrap();
        recover(root.path()).unwrap();
        assert_eq!(contents(root.path()), map(&NEW), "interrupted while clearing");

        let root = filled(&OLD);
        link(root.path(), &kept(&[(0, 1), (1, 0)]), &[DocNumber(2)], b"new").unwrap();
        for name in results_in(root.path()).unwrap() {
            fs::rename(root.path().join(&name), aside.path().join(&name)).unwrap();
        }
        fs::rename(root.path().join(LINKED), root.path().join(CLEARED)).unwrap();
        fs::write(root.path().join("0.out"), "b").unwrap();
        recover(root.path()).unwrap();
        assert_eq!(contents(root.path()), map(&NEW), "interrupted while filling");
        recover(root.path()).unwrap();
        assert_eq!(contents(root.path()), map(&NEW), "once more changes nothing");
    }
}
