//! `evenkeel sim`: simulations of whole clusters, from a file or from a seed.

mod passage;
mod pictures;
mod summary;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use evenkeel_sim::check::Checkers;
use evenkeel_sim::fleet;
use evenkeel_sim::minimise::minimise;
use evenkeel_sim::run::{Outcome, keep_panics, record, simulate};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{Fingerprint, Seed, Seeds};
use evenkeel_sim::suite::{self, Named};
use evenkeel_sim::trace::Subject;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::sim::{SimArgs, SimCommand};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::table::Format;
use crate::output::tell;
use summary::Summary;

/// Lines of a story that are told of themselves.
const STORY: usize = 60;

/// Does what is asked of simulations.
pub(super) fn sim(arguments: SimArgs) -> CommandResult {
    keep_panics();
    match arguments.command {
        SimCommand::Run { files, swarm, seeds, jobs, plot, format } => {
            let processors = std::thread::available_parallelism();
            let jobs = jobs.or(processors.ok()).map_or(1, std::num::NonZeroUsize::get);
            let mut scenarios = Vec::new();
            for file in &files {
                for Named { name, mut scenario } in read(file)? {
                    scenario.seeds = seeds.clone().unwrap_or(scenario.seeds);
                    scenarios.push(Named { name, scenario });
                }
            }
            if swarm {
                let seeds = seeds.ok_or_else(|| Failure::usage("--swarm needs --seeds"))?;
                scenarios.push(Named { name: SWARM.to_owned(), scenario: Scenario::swarm(seeds) });
            }
            run(&scenarios, jobs, plot.as_deref(), format.output)
        }
        SimCommand::Replay { seed, scenario, trace, plot } => {
            let one = one(seed, scenario.as_deref())?;
            replay(&one, seed.number, trace, plot.as_deref())
        }
        SimCommand::Minimise { seed, scenario } => {
            let one = one(seed, scenario.as_deref())?;
            minimise_and_print(&one, seed.number)
        }
    }
}

/// What a swarm is called.
const SWARM: &str = "swarm";

fn read(file: &Path) -> Result<Vec<Named>, Failure> {
    suite::read(file).map_err(|error| Failure::usage(error.to_string()))
}

/// The scenario that a seed belongs to.
fn one(seed: Seed, file: Option<&Path>) -> Result<Named, Failure> {
    let own = Fingerprint::own();
    if let Some(of) = seed.of.filter(|of| *of != own) {
        tell(format_args!(
            "seed {} was seen in another version of the simulated program ({of}; this one is {own}): it may tell another story",
            seed.number
        ));
    }
    let Some(file) = file else {
        let seeds = Seeds(seed.number..seed.number.saturating_add(1));
        return Ok(Named { name: SWARM.to_owned(), scenario: Scenario::swarm(seeds) });
    };
    let mut named = read(file)?;
    match (named.pop(), named.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            let names: Vec<String> = named.into_iter().chain(last).map(|named| named.name).collect();
            let shown = printable(file.as_os_str());
            Err(Failure::usage(format!("{shown} has several scenarios; name one of {}", names.join(", "))))
        }
    }
}

/// What to type to do this with a seed of that scenario.
fn command(verb: &str, named: &Named, seed: u64) -> String {
    let scenario = if named.name == SWARM { String::new() } else { format!(" --scenario '{}'", named.name) };
    format!("evenkeel sim {verb} {seed}@{}{scenario}", Fingerprint::own())
}

fn run(scenarios: &[Named], jobs: usize, plot: Option<&Path>, format: Format) -> CommandResult {
    plot.map_or(Ok(()), pictures::prepare)?;
    let mut summaries = Vec::new();
    for (named, stem) in scenarios.iter().zip(pictures::stems(scenarios)) {
        let Named { name, scenario } = named;
        let bar = bar(name, scenario);
        let begun = Instant::now();
        let mut summary = Summary::new(name);
        let mut pictured = Ok(());
        fleet::run_filming(scenario, jobs, plot.is_some(), |outcome| {
            if let (Some(directory), true) = (plot, outcome.recording.film.is_some()) {
                pictured = bar.suspend(|| pictures::write(directory, &stem, &outcome));
            }
            let complaints = complaints(scenario, &outcome);
            for complaint in &complaints {
                bar.suspend(|| tell(format_args!("{name}: seed {}: {complaint}", outcome.seed)));
            }
            summary.add(&outcome, complaints.len());
            bar.inc(1);
        });
        bar.finish_and_clear();
        pictured?;
        summary.took = begun.elapsed();
        if let Some(seed) = summary.failed.first() {
            tell(format_args!("to see it again: {}", command("replay", named, *seed)));
            tell(format_args!("to make it smaller: {}", command("minimise", named, *seed)));
        }
        summary.missing = scenario.unmet_by_all(&summary.counts);
        for missing in &summary.missing {
            tell(format_args!("{name}: {missing}"));
        }
        summaries.push(summary);
    }
    summary::print(&mut io::stdout().lock(), format, &mut summaries)?;
    let broken = summaries.iter().any(Summary::has_failed);
    Ok(if broken { ExitStatus::Failure } else { ExitStatus::Ok })
}

/// What is wrong with an outcome: the promise that was broken, or else the expectations that were not met.
fn complaints(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    match &outcome.failure {
        Some(failure) => vec![failure.to_string()],
        None => scenario.unmet(outcome),
    }
}

fn bar(name: &str, scenario: &Scenario) -> ProgressBar {
    let seeds = &scenario.seeds.0;
    let bar = ProgressBar::with_draw_target(Some(seeds.end - seeds.start), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta} left").expect("a template that is good");
    bar.set_style(style);
    bar.set_message(name.to_owned());
    bar
}

fn minimise_and_print(named: &Named, seed: u64) -> CommandResult {
    let options = named.scenario.options(seed);
    let least = minimise(&options, seed, |without, found| {
        tell(format_args!("{without}: {} after {} events, seed {}", found.failure.kind(), found.events, found.seed));
    });
    let Some(least) = least else {
        return Err(Failure::says(ExitStatus::Failure, format!("seed {seed} of {} breaks no promise", named.name)));
    };
    let scenario = Scenario {
        why: format!("{}\n", least.failure),
        world: Some(least.options),
        ..Scenario::swarm(Seeds(least.seed..least.seed.saturating_add(1)))
    };
    write!(io::stdout().lock(), "{}", evenkeel_sim::scenario::to_toml(&scenario))?;
    Ok(ExitStatus::Ok)
}

fn replay(named: &Named, seed: u64, trace: bool, plot: Option<&Path>) -> CommandResult {
    plot.map_or(Ok(()), pictures::prepare)?;
    let scenario = &named.scenario;
    let options = scenario.options(seed);
    let mut out = io::stdout().lock();
    let world = evenkeel_sim::options::to_toml(&options);
    writeln!(out, "# the world of seed {seed}\n{world}")?;
    let subject = if trace { Subject::Everything } else { Subject::Nothing };
    let mut outcome = record(&options, seed, subject, Checkers::all(), &scenario.wanted(plot.is_some()));
    if let Some(directory) = plot {
        pictures::write(directory, &pictures::stem(named), &outcome)?;
    }
    let complaints = complaints(scenario, &outcome);
    if let (false, Some(failure)) = (trace, &outcome.failure) {
        // The same once more, now that it is known whose story explains it.
        outcome = simulate(&options, seed, failure.subject(), Checkers::all());
    }
    let skipped = if trace { 0 } else { outcome.story.len().saturating_sub(STORY) };
    if skipped > 0 {
        writeln!(out, "({skipped} lines before; all: {} --trace)", command("replay", named, seed))?;
    }
    for line in &outcome.story[skipped..] {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "{} of virtual time, {} events, trace {:016x}",
        outcome.simulated, outcome.counts.events, outcome.hash
    )?;
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    if complaints.is_empty() {
        writeln!(out, "all promises kept")?;
    }
    Ok(if complaints.is_empty() { ExitStatus::Ok } else { ExitStatus::Failure })
}
