//! The job log in the format of GNU parallel, byte for byte, so that its readers need not know who wrote it.
//!
//! One line a document: number from 1, host, start, run time, bytes sent and received, exit value, signal, command.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use evenkeel_core::change::Outcome;
use evenkeel_net::records::Exit;

use super::Finished;
use super::exit::Failure;
use crate::input::printable;

const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// What a shell says of a command that cannot be run.
const NOT_STARTED: i32 = 127;

/// A job log that is being written. Every line is handed to the system as a whole at once.
#[derive(Debug)]
pub struct JobLog {
    file: File,
    path: PathBuf,
}

/// A job log that is open, and of which nothing is changed yet. One that was not there goes again with this value, so that a
/// job that comes to nothing leaves nothing behind.
#[derive(Debug)]
pub struct Opened {
    /// Until it is begun or gone on with.
    file: Option<File>,
    path: PathBuf,
    is_new: bool,
}

impl JobLog {
    /// Opens a log, or makes an empty file for one. Only a regular file will do: there is a second file beside it, and
    /// `--resume` reads it.
    pub fn open(path: &Path) -> Result<Opened, Failure> {
        let shown = printable(path.as_os_str());
        if path.as_os_str() == "-" {
            return Err(Failure::usage(
                "--joblog needs the name of a file, and - is none; for what happens as it happens, use --output jsonl",
            ));
        }
        let cannot_open = || format!("cannot open the job log {shown}");
        let is_new = match path.metadata() {
            Ok(there) if !there.is_file() => {
                return Err(Failure::usage(format!("--joblog needs a regular file, and {shown} is none")));
            }
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(anyhow::Error::new(error).context(cannot_open()).into()),
        };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.with_context(cannot_open)?;
        Ok(Opened { file: Some(file), path: path.to_owned(), is_new })
    }

    /// Adds a document. One that was cancelled has no line, as in GNU parallel a job that did not run has none.
    pub fn add(&mut self, finished: Finished<'_>) -> anyhow::Result<()> {
        if finished.record.outcome == Outcome::Cancelled {
            return Ok(());
        }
        let shown = || format!("cannot write the job log {}", printable(self.path.as_os_str()));
        self.file.write_all(&line(finished)).with_context(shown)
    }
}

impl Opened {
    /// Begins a new log; an old one of that name is overwritten.
    pub fn begin(mut self) -> anyhow::Result<JobLog> {
        let file = self.take();
        self.header(file)
    }

    /// Goes on with a log; one that is not there begins. A last line that was cut off by a crash is removed.
    pub fn go_on(mut self) -> anyhow::Result<JobLog> {
        let shown = printable(self.path.as_os_str());
        let mut file = self.take();
        let end = whole_lines(&mut file).with_context(|| format!("cannot read the job log {shown}"))?;
        if end == 0 {
            return self.header(file);
        }
        let mut begins = vec![0; HEADER.len()];
        file.seek(SeekFrom::Start(0))?;
        if file.read_exact(&mut begins).is_err() || begins != HEADER.as_bytes() {
            bail!("{shown} is not a job log, so nothing is added to it: give --joblog another name");
        }
        file.set_len(end).with_context(|| format!("cannot write the job log {shown}"))?;
        file.seek(SeekFrom::Start(end))?;
        Ok(JobLog { file, path: self.path.clone() })
    }

    fn take(&mut self) -> File {
        self.file.take().expect("a log is begun once")
    }

    fn header(&self, mut file: File) -> anyhow::Result<JobLog> {
        let begun = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(HEADER.as_bytes()));
        begun.with_context(|| format!("cannot write the job log {}", printable(self.path.as_os_str())))?;
        Ok(JobLog { file, path: self.path.clone() })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.file.is_some() && self.is_new {
            // That it cannot be removed is no reason for another message than the one that is on its way.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Its name, for messages.
impl fmt::Display for JobLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.path.as_os_str()))
    }
}

fn line(finished: Finished<'_>) -> Vec<u8> {
    let record = finished.record;
    let (exit, signal) = match &record.exit {
        Exit::Status(status) => (*status, 0),
        Exit::Signal(signal) => (0, *signal),
        Exit::TimedOut => (-1, 15),
        Exit::NotStarted(_) => (NOT_STARTED, 0),
        // The process was killed together with its node.
        Exit::Poison => (0, 9),
    };
    let mut line = format!(
        "{}\t{}\t{:.3}\t{:10.3}\t0\t{}\t{exit}\t{signal}\t",
        u64::from(finished.number.0) + 1,
        finished.host,
        record.started_unix_micros as f64 / 1e6,
        record.wall_micros as f64 / 1e6,
        record.stdout.bytes.len() as u64 + record.stdout.dropped,
    )
    .into_bytes();
    // Line feeds become zero bytes, as there.
    line.extend(finished.command.iter().map(|byte| if *byte == b'\n' { 0 } else { *byte }));
    line.push(b'\n');
    line
}

/// Length of a file up to its last line feed.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + place as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_line_is_that_of_gnu_parallel() {
        let mut record = sample::record(2, "3\n", "not counted");
        record.exit = Exit::TimedOut;
        let finished = Finished { number: record.doc.number, record: &record, host: ":", command: b"echo a\nb" };
        assert_eq!(
            String::from_utf8(line(finished)).unwrap(),
            "3\t:\t1795420515.491\t     1.507\t0\t2\t-1\t15\techo a\0b\n"
        );
    }

    #[test]
    fn every_exit_has_its_two_numbers() {
        let mut record = sample::record(0, "", "");
        for (exit, expected) in [
            (Exit::Status(7), "\t7\t0\t"),
            (Exit::Signal(11), "\t0\t11\t"),
            (Exit::NotStarted("no such file".into()), "\t127\t0\t"),
            (Exit::Poison, "\t0\t9\t"),
        ] {
            record.exit = exit;
            let text = String::from_utf8(line(sample::finished(&record))).unwrap();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn an_old_log_is_overwritten_or_continued_without_its_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let record = sample::record(0, "", "");
        let written = |log: anyhow::Result<JobLog>| {
            log.unwrap().add(sample::finished(&record)).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        let append = || JobLog::open(&path).unwrap().go_on();
        let once = written(append());
        assert_eq!(once.lines().count(), 2);
        std::fs::write(&path, format!("{once}2\tone\t17954")).unwrap();
        let twice = written(append());
        assert_eq!(twice.lines().count(), 3);
        assert!(twice.starts_with(&once));
        assert_eq!(written(JobLog::open(&path).unwrap().begin()), once);
        std::fs::write(&path, "Seq\tHo").unwrap();
        assert_eq!(written(append()), once);
    }

    #[test]
    fn another_file_is_not_spoilt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letter");
        std::fs::write(&path, "Dear all,\n").unwrap();
        let error = JobLog::open(&path).unwrap().go_on().unwrap_err().to_string();
        assert!(error.ends_with("letter is not a job log, so nothing is added to it: give --joblog another name"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "Dear all,\n");
        let error = JobLog::open(&directory.path().join("no/log")).unwrap_err().to_string();
        assert!(error.contains("cannot open the job log") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_cancelled_document_has_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut record = sample::record(0, "", "");
        record.outcome = Outcome::Cancelled;
        JobLog::open(&path).unwrap().begin().unwrap().add(sample::finished(&record)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
    }

    #[test]
    fn a_log_that_was_not_begun_is_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        drop(JobLog::open(&path).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "of another run").unwrap();
        drop(JobLog::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "of another run");
    }

    #[test]
    fn only_a_regular_file_is_a_job_log() {
        for (path, part) in [("-", "--output jsonl"), ("/dev/null", "is none"), ("/", "is none")] {
            let failure = JobLog::open(Path::new(path)).unwrap_err();
            assert!(failure.to_string().contains(part), "{failure}");
        }
    }
}
