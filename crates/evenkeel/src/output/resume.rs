//! Remembers which documents are done, so that `--resume` runs only the others.
//!
//! A document is known by the hash of its command and its payload, never by its number: the input may have changed.
//! Identical documents count as often as they were done. The record is a text file with a line per document, handed to
//! the system at once; a line that a crash cut off is ignored, and its document runs again. What a kill leaves is exact;
//! after a power cut the last few lines may be missing, which too makes documents run again.
//!
//! Record a document last, when its result is where the user wants it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use evenkeel_core::ids::DocNumber;

use super::renumber::{Kept, renumber};
use super::results_dir::{RESUME_FILE, ResultsDir};
use crate::input::printable;

const HEADER: &str = "evenkeel resume 1";

/// How long a record that seems to be in use is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// Hexadecimal digits of a key.
const DIGITS: usize = 32;

/// Longest line that can be one of ours; anything longer is not read into memory.
const LONGEST_LINE: u64 = 64;

/// What a document is known by: 128 bits of a hash of command and payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; DIGITS / 2]);

/// Makes keys for the documents of one command.
#[derive(Debug, Clone)]
pub struct Keys([u8; 32]);

impl Keys {
    /// For this command template.
    pub fn of_command<W: AsRef<[u8]>>(template: impl IntoIterator<Item = W>) -> Keys {
        let mut hasher = blake3::Hasher::new_derive_key("evenkeel 2026-01 command of a resumed document");
        for word in template {
            let word = word.as_ref();
            hasher.update(&(word.len() as u64).to_le_bytes()).update(word);
        }
        Keys(*hasher.finalize().as_bytes())
    }

    /// The key of the document with this payload.
    pub fn key(&self, payload: &[u8]) -> Key {
        let hash = blake3::keyed_hash(&self.0, payload);
        let mut key = [0; DIGITS / 2];
        key.copy_from_slice(&hash.as_bytes()[..DIGITS / 2]);
        Key(key)
    }
}

/// Where the record of a job is: in the results directory, else beside the job log; `None` without either.
pub fn location(results: Option<&Path>, joblog: Option<&Path>) -> Option<PathBuf> {
    match (results, joblog) {
        (Some(results), _) => Some(results.join(RESUME_FILE)),
        (None, Some(joblog)) => {
            let mut name = joblog.as_os_str().to_owned();
            name.push(".resume");
            Some(name.into())
        }
        (None, None) => None,
    }
}

/// The record of a job: what earlier runs did, and what this one does.
#[derive(Debug)]
pub struct Resume {
    path: PathBuf,
    file: File,
    /// What earlier runs did, sorted.
    earlier: Vec<(Key, DocNumber)>,
    /// For each of those, its document in the present input.
    found: Vec<Option<DocNumber>>,
}

impl Resume {
    /// Begins a new record; what an old one says is forgotten.
    pub fn create(path: &Path) -> anyhow::Result<Resume> {
        let shown = printable(path.as_os_str());
        let mut file = open(path)?;
        let begun = file.set_len(0).and_then(|()| file.write_all(format!("{HEADER}\n").as_bytes()));
        begun.with_context(|| format!("cannot write {shown}"))?;
        Ok(Resume { path: path.to_owned(), file, earlier: Vec::new(), found: Vec::new() })
    }

    /// Reads the record of earlier runs, and goes on with it. Without one nothing is done yet.
    ///
    /// A results directory must have been opened before, since that may complete what an interrupted run began.
    pub fn read(path: &Path) -> anyhow::Result<Resume> {
        let shown = printable(path.as_os_str());
        if !path.exists() {
            if path.extension().is_some() && path.with_extension("").metadata().is_ok_and(|joblog| joblog.len() > 0) {
                bail!("{shown}, which says what is done, is missing beside the job log: run without --resume");
            }
            return Resume::create(path);
        }
        let mut file = open(path)?;
        let record = parse(&mut BufReader::new(&mut file)).with_context(|| format!("cannot read {shown}"))?;
        let Some(record) = record else {
            bail!("{shown} is not a record of done documents: it does not begin with `{HEADER}`; run without --resume");
        };
        if record.whole == 0 {
            drop(file);
            return Resume::create(path);
        }
        file.set_len(record.whole)
            .and_then(|()| file.seek(SeekFrom::Start(record.whole)))
            .with_context(|| format!("cannot write {shown}"))?;
        let mut earlier = record.done;
        earlier.sort_unstable();
        let found = vec![None; earlier.len()];
        Ok(Resume { path: path.to_owned(), file, earlier, found })
    }

    /// Whether an earlier run did this document. Each identical one that was done answers for one.
    pub fn is_done(&mut self, key: Key, number: DocNumber) -> bool {
        let begin = self.earlier.partition_point(|(other, _)| *other < key);
        let same = || (begin..self.earlier.len()).take_while(|place| self.earlier[*place].0 == key);
        let free = |place: &usize| self.found[*place].is_none();
        // The one of the same number, so that results stay where they are if the input is unchanged.
        let place = same().filter(free).find(|place| self.earlier[*place].1 == number).or_else(|| same().find(free));
        if let Some(place) = place {
            self.found[place] = Some(number);
        }
        place.is_some()
    }

    /// To be called once all documents of the input have been asked for: gives the results of earlier runs the numbers of
    /// this input, of which there are so many documents. The results of documents that are not in it give way;
    /// returns how many those are.
    pub fn settle(&mut self, documents: u64, results: Option<&ResultsDir>) -> anyhow::Result<usize> {
        let earlier = std::mem::take(&mut self.earlier);
        let found = std::mem::take(&mut self.found);
        let Some(results) = results else { return Ok(0) };
        let in_place = earlier.iter().zip(&found).all(|((_, old), new)| match new {
            Some(new) => old == new,
            None => u64::from(old.0) >= documents,
        });
        if in_place {
            return Ok(0);
        }
        let (mut kept, mut put_aside) = (Vec::new(), Vec::new());
        let mut record = format!("{HEADER}\n");
        for ((key, old), new) in earlier.iter().zip(&found) {
            match new {
                Some(new) => {
                    kept.push(Kept { old: *old, new: *new });
                    record.push_str(&line(*key, *new));
                }
                None => put_aside.push(*old),
            }
        }
        renumber(results.path(), &kept, &put_aside, record.as_bytes())?;
        let mut file = open(&self.path)?;
        file.seek(SeekFrom::End(0)).with_context(|| format!("cannot read {}", printable(self.path.as_os_str())))?;
        self.file = file;
        Ok(put_aside.len())
    }

    /// Records that this document is done.
    pub fn record(&mut self, key: Key, number: DocNumber) -> anyhow::Result<()> {
        let written = self.file.write_all(line(key, number).as_bytes());
        written.with_context(|| format!("cannot write {}", printable(self.path.as_os_str())))
    }
}

fn line(key: Key, number: DocNumber) -> String {
    let mut line = String::with_capacity(LONGEST_LINE as usize);
    for byte in key.0 {
        write!(line, "{byte:02x}").expect("text is always writable");
    }
    writeln!(line, " {number}").expect("text is always writable");
    line
}

/// Opens the record for this run alone.
fn open(path: &Path) -> anyhow::Result<File> {
    let shown = printable(path.as_os_str());
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.with_context(|| format!("cannot open {shown}"))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A lock lives on for a moment in a process that was just forked from its holder, until that calls exec.
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_WAIT / 50),
            Err(TryLockError::WouldBlock) => {
                bail!("another run is writing {shown}: wait for its end, or give other names")
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

struct Record {
    done: Vec<(Key, DocNumber)>,
    /// Bytes up to the end of the last whole line.
    whole: u64,
}

/// Reads a record; `None` if it is another kind of file. Lines that are none of ours are skipped: their documents run again.
fn parse(reader: &mut impl BufRead) -> io::Result<Option<Record>> {
    let mut record = Record { done: Vec::new(), whole: 0 };
    let mut line = Vec::new();
    let mut at = 0;
    let mut long = false;
    loop {
        line.clear();
        let read = io::Read::take(&mut *reader, LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
        at += read;
        if read == 0 {
            return Ok(Some(record));
        }
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            // Cut off, or too long to be ours: then what follows up to the next line feed is of the same line.
            if record.whole == 0 && (long || !HEADER.as_bytes().starts_with(&line)) {
                return Ok(None);
            }
            long = true;
            continue;
        }
        if record.whole == 0 && line != HEADER.as_bytes() {
            return Ok(None);
        }
        if !std::mem::take(&mut long) && record.whole > 0 {
            record.done.extend(entry(&line));
        }
        record.whole = at;
    }
}

fn entry(line: &[u8]) -> Option<(Key, DocNumber)> {
    let text = std::str::from_utf8(line).ok()?;
    let (key, number) = text.split_once(' ')?;
    let mut bytes = [0; DIGITS / 2];
    hex::decode_to_slice(key, &mut bytes).ok()?;
    Some((Key(bytes), DocNumber(number.parse().ok()?)))
}

#[cfg(test)]
mod tests;
