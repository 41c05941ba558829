//! `evenkeel sim`: simulations of whole clusters, from a file or from a seed.

mod passage;
mod pictures;
mod summary;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use evenkeel_sim::check::Checkers;
use evenkeel_sim::fleet;
use evenkeel_sim::run::{Outcome, keep_panics, record, simulate};
use evenkeel_sim::scenario::{Scenario, Seeds};
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
                let mut scenario = read(file)?;
                scenario.seeds = seeds.clone().unwrap_or(scenario.seeds);
                scenarios.push((printable(file.as_os_str()).to_string(), scenario));
            }
            if swarm {
                let seeds = seeds.ok_or_else(|| Failure::usage("--swarm needs --seeds"))?;
                scenarios.push(("swarm".to_owned(), Scenario::swarm(seeds)));
            }
            run(&scenarios, jobs, plot.as_deref(), format.output)
        }
        SimCommand::Replay { seed, scenario, trace, plot } => {
            let swarm = || Ok(Scenario::swarm(Seeds(seed..seed.saturating_add(1))));
            let told = scenario.as_ref().map(|file| format!(" --scenario {}", printable(file.as_os_str())));
            let name = scenario.as_deref().map_or("swarm".to_owned(), |file| printable(file.as_os_str()).to_string());
            let scenario = scenario.as_deref().map_or_else(swarm, read)?;
            replay(&scenario, seed, trace, &told.unwrap_or_default(), plot.as_deref().map(|plot| (plot, name.as_str())))
        }
    }
}

fn read(file: &Path) -> Result<Scenario, Failure> {
    let shown = printable(file.as_os_str()).to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read the scenario {shown}: {error}")))?;
    Scenario::parse(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

fn run(scenarios: &[(String, Scenario)], jobs: usize, plot: Option<&Path>, format: Format) -> CommandResult {
    plot.map_or(Ok(()), pictures::prepare)?;
    let mut summaries = Vec::new();
    for (name, scenario) in scenarios {
        let bar = bar(name, scenario);
        let begun = Instant::now();
        let mut summary = Summary::new(name);
        let mut pictured = Ok(());
        fleet::run_filming(scenario, jobs, plot.is_some(), |outcome| {
            if let (Some(directory), true) = (plot, outcome.recording.film.is_some()) {
                pictured = bar.suspend(|| pictures::write(directory, name, &outcome));
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
            let scenario = if name == "swarm" { String::new() } else { format!(" --scenario {name}") };
            tell(format_args!("to see it again: evenkeel sim replay {seed}{scenario}"));
        }
        summaries.push(summary);
    }
    summary::print(&mut io::stdout().lock(), format, &mut summaries)?;
    let broken = summaries.iter().any(|summary| !summary.failed.is_empty());
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

fn replay(
    scenario: &Scenario,
    seed: u64,
    trace: bool,
    scenario_option: &str,
    plot: Option<(&Path, &str)>,
) -> CommandResult {
    plot.map_or(Ok(()), |(directory, _)| pictures::prepare(directory))?;
    let options = scenario.options(seed);
    let mut out = io::stdout().lock();
    let world = evenkeel_sim::options::to_toml(&options);
    writeln!(out, "# the world of seed {seed}\n{world}")?;
    let subject = if trace { Subject::Everything } else { Subject::Nothing };
    let mut outcome = record(&options, seed, subject, Checkers::all(), &scenario.wanted(plot.is_some()));
    if let Some((directory, name)) = plot {
        pictures::write(directory, name, &outcome)?;
    }
    let complaints = complaints(scenario, &outcome);
    if let (false, Some(failure)) = (trace, &outcome.failure) {
        // The same once more, now that it is known whose story explains it.
        outcome = simulate(&options, seed, failure.subject(), Checkers::all());
    }
    let skipped = if trace { 0 } else { outcome.story.len().saturating_sub(STORY) };
    if skipped > 0 {
        writeln!(out, "({skipped} lines before; all: evenkeel sim replay {seed}{scenario_option} --trace)")?;
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
