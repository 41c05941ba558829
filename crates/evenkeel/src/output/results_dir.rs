//! A directory with a file per document: `NUMBER.out`, exactly the bytes of its standard output, and `NUMBER.err` if it
//! wrote any standard error. Numbers are places in the input, from 0.
//!
//! A file appears complete or not at all, and `NUMBER.out` last.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use evenkeel_core::change::Outcome;
use evenkeel_core::ids::DocNumber;

use super::exit::Failure;
use super::{Finished, renumber};
use crate::input::printable;

/// Name of the record of what is done, inside the directory.
pub const RESUME_FILE: &str = ".resume";

/// A directory of results.
#[derive(Debug)]
pub struct ResultsDir {
    path: PathBuf,
    /// Files of an earlier run may be in the way.
    resumed: bool,
}

impl ResultsDir {
    /// Makes the directory if it is not there. One that holds results already is refused: theirs would mix with ours.
    pub fn create(path: &Path) -> Result<ResultsDir, Failure> {
        let results = ResultsDir::open(path, false)?;
        let shown = || printable(path.as_os_str());
        let found = results_in(path).with_context(|| format!("cannot read the directory {}", shown()))?;
        if let Some(result) = found.iter().min() {
            return Err(Failure::usage(format!(
                "{} holds results of an earlier run, such as {result}: add --resume to go on with it, remove the directory, \
                 or give --results another one",
                shown()
            )));
        }
        Ok(results)
    }

    /// Opens a directory in which an earlier run may have left results.
    pub fn resume(path: &Path) -> anyhow::Result<ResultsDir> {
        let results = ResultsDir::open(path, true)?;
        renumber::recover(path)?;
        Ok(results)
    }

    fn open(path: &Path, resumed: bool) -> anyhow::Result<ResultsDir> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the directory {} for results", printable(path.as_os_str())))?;
        Ok(ResultsDir { path: path.to_owned(), resumed })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the results of documents go that are not in the input any more.
    pub fn put_aside(&self) -> PathBuf {
        self.path.join(renumber::BEFORE)
    }

    /// Writes what a document wrote. Of one that was cancelled there is nothing to write.
    pub fn add(&self, finished: Finished<'_>) -> anyhow::Result<()> {
        if finished.record.outcome == Outcome::Cancelled {
            return Ok(());
        }
        let [out, err] = names(finished.number);
        if !finished.record.stderr.bytes.is_empty() {
            self.put(&err, &finished.record.stderr.bytes)?;
        } else if self.resumed {
            remove_if_there(&self.path.join(&err))?;
        }
        self.put(&out, &finished.record.stdout.bytes)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let unfinished = self.path.join(format!(".{name}.new"));
        let written = File::create(&unfinished)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            // Of a full disk nothing half-written should remain; that this fails too changes nothing.
            let _ = fs::remove_file(&unfinished);
        }
        written.with_context(|| format!("cannot write the result {}", printable(path.as_os_str())))
    }
}

/// Names of a document's files: standard output, standard error.
pub(super) fn names(number: DocNumber) -> [String; 2] {
    [format!("{number}.out"), format!("{number}.err")]
}

/// Names of the result files in a directory.
pub(super) fn results_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in directory.read_dir()? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let number = name.strip_suffix(".out").or(name.strip_suffix(".err"));
        if number.is_some_and(|number| number.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == number)) {
            found.push(name);
        }
    }
    Ok(found)
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the old result {}", printable(path.as_os_str())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::exit::ExitStatus;
    use super::super::sample;
    use super::*;

    fn listed(path: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            path.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_document_has_its_files() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/results");
        let results = ResultsDir::create(&path).unwrap();
        results.add(sample::finished(&sample::record(0, "a\n", ""))).unwrap();
        results.add(sample::finished(&sample::record(7, "", "trouble"))).unwrap();
        let mut cancelled = sample::record(8, "", "");
        cancelled.outcome = Outcome::Cancelled;
        results.add(sample::finished(&cancelled)).unwrap();
        assert_eq!(listed(&path), ["0.out", "7.err", "7.out"]);
        assert_eq!(fs::read(path.join("0.out")).unwrap(), b"a\n");
        assert_eq!(fs::read(path.join("7.err")).unwrap(), b"trouble");
    }

    #[test]
    fn an_old_error_file_does_not_outlive_its_result() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("0.err"), "old").unwrap();
        let results = ResultsDir::resume(root.path()).unwrap();
        results.add(sample::finished(&sample::record(0, "new", ""))).unwrap();
        assert_eq!(listed(root.path()), ["0.out"]);
    }

    #[test]
    fn results_of_another_run_are_not_mixed_with_ours() {
        for result in ["0.out", "17.err"] {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join(result), "").unwrap();
            let failure = ResultsDir::create(root.path()).unwrap_err();
            assert_eq!(failure.status, ExitStatus::Usage);
            let said = failure.to_string();
            assert!(said.contains(result) && said.contains("add --resume to go on with it, remove"), "{said}");
        }
        let root = tempfile::tempdir().unwrap();
        for other in ["notes", "00.out", "x.out", RESUME_FILE] {
            fs::write(root.path().join(other), "").unwrap();
        }
        assert!(ResultsDir::create(root.path()).is_ok(), "nothing of these could be overwritten");
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error = ResultsDir::create(&blocked.join("results")).unwrap_err().to_string();
        assert!(error.contains("cannot make the directory") && error.contains("Not a directory"), "{error}");
        let results = ResultsDir::create(root.path()).unwrap();
        fs::create_dir(root.path().join("0.out")).unwrap();
        let error = format!("{:#}", results.add(sample::finished(&sample::record(0, "x", ""))).unwrap_err());
        assert!(error.contains("cannot write the result") && error.contains("0.out"), "{error}");
        assert_eq!(listed(root.path()), ["0.out", "file"], "nothing half-written stays");
    }
}
