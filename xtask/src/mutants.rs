//! `cargo xtask mutants`: does the harness find bugs? Each defect is planted in a copy of the repository, alone, and the
//! simulations of a pull request are run until one of them fails; or, where the defect is of what the simulator does not run,
//! the unit tests that it names.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::defects::{self, Defect};
use crate::report::{self, Row};
use crate::tree::Tree;
use crate::trial::{self, Trial, Verdict};

/// Arguments of `mutants`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names of the defects to plant [default: all].
    names: Vec<String>,

    /// Only say what defects there are.
    #[arg(long)]
    list: bool,

    /// Simulations beside each other [default: one for each processor].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Most seconds that the simulations of one defect may take: it hangs if they take longer, and was not caught.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,

    /// Print the table as Markdown, as it is in docs/simulations.md.
    #[arg(long)]
    markdown: bool,
}

/// Plants the defects. Success if every one is caught, and nothing fails without any.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let defects = chosen(&arguments.names)?;
    if arguments.list {
        for Defect { name, breaks, why, .. } in &defects {
            println!("{name} ({breaks}): {why}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let processors = std::thread::available_parallelism();
    let jobs = arguments.jobs.or(processors.ok()).map_or(1, NonZeroUsize::get);
    let patience = Duration::from_secs(arguments.patience);
    let work = defects::root().join("target/mutants");
    let tree = Tree::copy(defects::root(), &work.join("tree"))?;
    let target = work.join("target");

    // Of each way to find something: the simulations, and each set of tests.
    let ways: BTreeMap<Option<(&str, &str)>, &Defect> =
        defects.iter().map(|defect| Ok((defect.way()?, defect))).collect::<anyhow::Result<_>>()?;
    for defect in ways.into_values() {
        let whole = find(defect, &tree, &target, jobs, patience)?;
        eprintln!("without any defect: {}", report::line(&whole));
        let (Verdict::Survived { .. } | Verdict::Tested { failed: None }) = whole.verdict else {
            bail!("without any defect planted, something fails already: mend that first");
        };
    }
    let mut rows = Vec::new();
    for (place, defect) in defects.iter().enumerate() {
        tree.plant(defect)?;
        let trial = find(defect, &tree, &target, jobs, patience);
        tree.mend(defect)?;
        let trial = trial.with_context(|| format!("with the defect {}", defect.name))?;
        eprintln!("{} of {}, {}: {}", place + 1, defects.len(), defect.name, report::line(&trial));
        rows.push(Row { defect, trial });
    }
    if arguments.markdown {
        report::markdown(&rows);
    } else {
        report::table(&rows);
    }
    let caught = rows.iter().filter(|row| row.is_caught()).count();
    eprintln!("{caught} of {} defects are caught", rows.len());
    Ok(if caught == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tries what must find a defect on the tree as it stands.
fn find(defect: &Defect, tree: &Tree, target: &Path, jobs: usize, patience: Duration) -> anyhow::Result<Trial> {
    match defect.way()? {
        None => trial::run(tree.path(), target, jobs, patience),
        Some((package, filter)) => trial::test(tree.path(), target, package, filter, patience),
    }
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Defect>> {
    let all = defects::read()?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|defect| defect.name != **name)) {
        bail!("no defect is called {unknown}: cargo xtask mutants --list");
    }
    Ok(all.into_iter().filter(|defect| names.is_empty() || names.contains(&defect.name)).collect())
}
