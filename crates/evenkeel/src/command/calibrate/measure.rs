//! Runs documents, so many at once, and measures what comes of it.
//!
//! Each slot starts the next document as soon as the last has ended, for some time and until enough have ended; what runs then
//! is waited for, but no longer counted, since slots fall empty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_core::ids::{Attempt, BatchId, DocId, DocNumber, Epoch};
use evenkeel_net::records::Exit;
use evenkeel_node::machine::{Gauge, Reading};
use evenkeel_node::process::{Ended, Execute, Executor, Job, Settings, Template, guardian_command};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::sample::Sample;
use super::steady::{Course, ROUNDS, Rate, rate};

/// How many times as long as asked for a level lasts at most, where few documents have ended by then.
const LONGEST: u32 = 3;

/// After how many times as long what still runs is killed.
pub(super) const PATIENCE: u32 = 5;

/// Time between two looks at the machine: memory can be used up within a second.
const LOOK: Duration = Duration::from_millis(50);

/// Part of the memory that must be left: below it all is stopped, before the system has to choose whom to kill.
const LEAST_LEFT: f64 = 0.05;

/// Bytes kept of each output: enough to say why something failed.
const CAPTURE: u64 = 64 << 10;

/// A document that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) number: DocNumber,
    pub(super) exit: Exit,
    pub(super) stderr: Vec<u8>,
}

/// What came of so many at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Level {
    pub(super) slots: u32,
    /// Documents that ended.
    pub(super) documents: u64,
    /// What was done in a second.
    pub(super) rate: Rate,
    /// Length and seconds of each document that ended.
    pub(super) each: Vec<(f64, f64)>,
    /// Processors used by documents, on average.
    pub(super) processors: f64,
    /// Part of the machine's processors that was in use, by whatever it was.
    pub(super) busy: Option<f64>,
    /// Largest memory of one document, in bytes; 0 if none is known.
    pub(super) peak: u64,
    /// Memory that was left when it began, and at its least.
    pub(super) left: Option<(u64, u64)>,
    /// Part of the time in which some task waited for a processor, and for memory.
    pub(super) processor_stall: Option<f64>,
    pub(super) memory_stall: Option<f64>,
    /// It was stopped since memory ran short.
    pub(super) short: bool,
    /// Documents that were killed since they took too long.
    pub(super) late: u64,
    pub(super) failed: u64,
    pub(super) first_failed: Option<Failed>,
}

impl Level {
    /// Memory that each of those that ran at once has taken from the machine, in bytes: with that of others, who come and go.
    pub(super) fn taken_by_each(&self) -> Option<u64> {
        self.left.map(|(before, least)| before.saturating_sub(least) / u64::from(self.slots.max(1)))
    }
}

/// Runs levels.
pub(super) struct Laboratory {
    sample: Sample,
    template: Arc<Template>,
    executor: Executor,
    ended: mpsc::UnboundedReceiver<Ended>,
    gauge: Arc<dyn Gauge>,
    seconds: Duration,
    /// Names each run: two of one document must not have the same.
    runs: u32,
}

/// A document that runs: its place in the sample, and in the list of courses.
type Running = (usize, usize);

impl Laboratory {
    pub(super) fn open(
        sample: Sample,
        template: Arc<Template>,
        nice: u32,
        gauge: Arc<dyn Gauge>,
        seconds: Duration,
    ) -> anyhow::Result<Laboratory> {
        let (sender, ended) = mpsc::unbounded_channel();
        let settings = Settings {
            node: "calibrate".to_owned(),
            nice: i32::try_from(nice).unwrap_or(i32::MAX),
            guardian: Some(guardian_command()),
            ..Settings::default()
        };
        let executor = Executor::start(settings, move |ended| {
            // An error means that nobody measures any more.
            let _ = sender.send(ended);
        })?;
        Ok(Laboratory { sample, template, executor, ended, gauge, seconds, runs: 0 })
    }

    pub(super) fn sample(&self) -> &Sample {
        &self.sample
    }

    /// How the machine is now.
    pub(super) fn reading(&self) -> Reading {
        self.gauge.read()
    }

    /// Runs so many at once. If the future is dropped, what runs goes on: see [`Laboratory::close`].
    pub(super) async fn level(&mut self, slots: u32) -> Level {
        let before = self.gauge.read();
        let begun = Instant::now();
        let mut level = Level { slots, ..Level::default() };
        let mut courses = Vec::new();
        let mut running: BTreeMap<u32, Running> = BTreeMap::new();
        for _ in 0..slots {
            self.start(&mut courses, &mut running, begun);
        }
        let mut least = before.memory.map(|memory| memory.available);
        let mut cpu = Duration::ZERO;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // When slots were no longer filled, and how the machine was then.
        let mut full: Option<(Duration, Reading, Duration)> = None;
        let mut killed = false;
        while !running.is_empty() {
            tokio::select! {
                Some(ended) = self.ended.recv() => {
                    // Those of a level that was broken off may still come.
                    let Some((place, course)) = running.remove(&ended.epoch.0) else { continue };
                    level.peak = level.peak.max(ended.max_rss_bytes);
                    if full.is_none() {
                        cpu += Duration::from_micros(ended.user_micros + ended.system_micros);
                    }
                    if !ended.stopped {
                        courses[course].ended = Some(begun.elapsed().as_secs_f64());
                        self.note(&mut level, &ended, place);
                    }
                    let enough = level.documents >= ROUNDS as u64 * u64::from(slots);
                    let elapsed = begun.elapsed();
                    if full.is_none() && (elapsed >= self.seconds && enough || elapsed >= self.seconds * LONGEST) {
                        full = Some((elapsed, self.gauge.read(), cpu));
                    }
                    if full.is_none() {
                        self.start(&mut courses, &mut running, begun);
                    }
                }
                _ = look.tick() => {
                    let reading = self.gauge.read();
                    if let Some(memory) = reading.memory {
                        least = Some(least.map_or(memory.available, |least| least.min(memory.available)));
                        level.short |= memory.left() < LEAST_LEFT;
                    }
                    let late = begun.elapsed() >= self.seconds * PATIENCE;
                    if !killed && (level.short || late) {
                        killed = true;
                        full.get_or_insert((begun.elapsed(), reading, cpu));
                        level.late = if level.short { 0 } else { running.len() as u64 };
                        for (run, (place, _)) in &running {
                            self.executor.kill(self.doc(*place), Epoch(*run));
                        }
                    }
                }
            }
        }
        let (elapsed, after, cpu) = full.unwrap_or_else(|| (begun.elapsed(), self.gauge.read(), cpu));
        level.rate = rate(&courses, slots as usize, elapsed.as_secs_f64());
        level.processors = cpu.as_secs_f64() / elapsed.as_secs_f64();
        level.busy = after.busy_since(&before);
        level.left = before.memory.map(|memory| memory.available).zip(least);
        level.processor_stall = after.waited_since(&before, elapsed);
        let stalls = after.memory_stall.zip(before.memory_stall);
        level.memory_stall = stalls.map(|(after, before)| after.some_since(&before, elapsed));
        level
    }

    fn note(&self, level: &mut Level, ended: &Ended, place: usize) {
        let length = self.sample.documents[place].length.as_f64();
        level.documents += 1;
        level.each.push((length, Duration::from_micros(ended.wall_micros).as_secs_f64()));
        if ended.exit != Exit::Status(0) {
            level.failed += 1;
            level.first_failed.get_or_insert_with(|| Failed {
                number: ended.doc.number,
                exit: ended.exit.clone(),
                stderr: ended.stderr.bytes.to_vec(),
            });
        }
    }

    fn doc(&self, place: usize) -> DocId {
        DocId { batch: BatchId(0), number: self.sample.documents[place].number }
    }

    /// Starts the next document of this level. Every level runs the same in the same order, as many as it comes to.
    fn start(&mut self, courses: &mut Vec<Course>, running: &mut BTreeMap<u32, Running>, begun: Instant) {
        self.runs += 1;
        let place = courses.len() % self.sample.documents.len();
        let tried = &self.sample.documents[place];
        running.insert(self.runs, (place, courses.len()));
        let started = begun.elapsed().as_secs_f64();
        courses.push(Course { started, ended: None, length: tried.length.as_f64() });
        self.executor.run(Job {
            doc: self.doc(place),
            epoch: Epoch(self.runs),
            attempt: Attempt(1),
            template: self.template.clone(),
            payload: tried.payload.clone(),
            timeout: None,
            capture_bytes: CAPTURE,
        });
    }

    /// Ends whatever still runs.
    pub(super) async fn close(self) {
        Execute::stop_all(&self.executor, Duration::from_millis(500)).await;
    }
}
