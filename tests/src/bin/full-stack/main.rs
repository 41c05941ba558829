//! Plays one story of whole daemons in a simulated world: `full-stack STORY SEED [--trace]`.
//!
//! A world has a process to itself, since more than a thread's share of it follows from its seed: so the same seed plays
//! the same story again, datagram by datagram. `tests/full_stack.rs` plays them all.

mod chance;
mod entropy;
mod ledger;
mod operator;
mod panics;
mod processes;
mod schedule;
mod socket;
mod stories;
mod surroundings;
mod world;

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use tracing_subscriber::EnvFilter;

/// Bytes of the stack of the thread on which the world is. Unoptimised futures are large.
const STACK: usize = 16 << 20;

/// What to show of what daemons log, for example `info,evenkeel_net=debug`.
const LOG: &str = "EVENKEEL_LOG";

fn main() -> ExitCode {
    match told().and_then(|(story, seed, trace)| play(story, seed, trace)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn told() -> anyhow::Result<(&'static world::Story, u64, bool)> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(seed)) = (arguments.next(), arguments.next()) else {
        let names: Vec<&str> = stories::ALL.iter().map(|story| story.name).collect();
        bail!("full-stack STORY SEED [--trace], where STORY is one of {}", names.join(", "));
    };
    let story = stories::ALL.iter().find(|story| story.name == name).ok_or_else(|| anyhow!("no story {name}"))?;
    let seed = seed.parse().with_context(|| format!("{seed} is no seed"))?;
    Ok((story, seed, arguments.next().is_some_and(|argument| argument == "--trace")))
}

fn play(story: &'static world::Story, seed: u64, trace: bool) -> anyhow::Result<String> {
    if let Ok(filter) = std::env::var(LOG) {
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(std::io::stderr)
            .without_time()
            .init();
    }
    panics::watch();
    // On a new thread: nothing has drawn from its random numbers yet.
    let world = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        entropy::seed_this_thread(seed);
        world::run(story, seed, trace)
    })?;
    let outcome = world.join().map_err(|_| anyhow!("the simulation itself broke off"))??;
    Ok(format!(
        "{} {seed}: {:.3} s, {} events, schedule {:016x}",
        story.name,
        outcome.elapsed.as_secs_f64(),
        outcome.events,
        outcome.hash
    ))
}
