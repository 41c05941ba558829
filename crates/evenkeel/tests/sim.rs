//! `evenkeel sim`: what it prints, what it refuses, and that a seed gives the same story however it is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

fn sim(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let output = command.arg("sim").args(arguments).stdin(Stdio::null()).output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn refused(arguments: &[&str]) -> String {
    let (status, stdout, stderr) = sim(arguments);
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
    stderr
}

fn scenario(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../simulations").join(name);
    path.display().to_string()
}

fn file(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("scenario.toml");
    std::fs::write(&path, text).expect("a file can be written");
    path
}

/// What fails: documents that hang for a quarter of an hour in a world that has patience for ten seconds.
const FAILS: &str = "why = 'hangs'\nseeds = '0..3'\n[world.cluster]\nnodes = 3\n[[world.work]]\ndocuments = 12\n\
                     hanging = '1/1'\ntimeout = '15m'\n[world.phases]\nliveness = '10s'\n";

#[test]
fn what_comes_of_a_seed_does_not_depend_on_the_number_of_jobs() {
    let trace = |jobs: &str| {
        let knob = format!("{}#crash", scenario("knobs.toml"));
        let arguments = ["run", &knob, "--jobs", jobs, "--output", "json"];
        let (status, stdout, stderr) = sim(&arguments);
        assert_eq!(status, Some(0), "{stderr}");
        let value: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(value["schema"], 1);
        value["scenarios"][0]["trace"].clone()
    };
    assert!(trace("1").is_string());
    assert_eq!(trace("1"), trace("2"));
}

#[test]
fn a_run_that_fails_tells_what_to_type() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(&directory, FAILS);
    let name = path.to_str().expect("a name");
    let (status, stdout, stderr) = sim(&["run", name]);
    assert_eq!(status, Some(1));
    assert!(stdout.contains("3 FAILED: [0, 1, 2]"), "{stdout}");
    assert!(stderr.contains("S1 (nothing lost) is broken"), "{stderr}");

    let line = stderr.lines().find_map(|line| line.split_once("evenkeel sim replay ")).expect("what to type").1;
    let seed = line.split(' ').next().expect("a seed");
    assert!(seed.starts_with("0@"), "{seed}");
    let (status, stdout, stderr) = sim(&["replay", seed, "--scenario", name]);
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
    assert!(stdout.starts_with("# the world of seed 0\n[world.cluster]\nnodes = 3\n"), "{stdout}");
    assert!(stdout.ends_with('\n') && stdout.contains("S1 (nothing lost) is broken"), "{stdout}");

    let (status, stdout, stderr) = sim(&["minimise", seed, "--scenario", name]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("1 nodes instead of 3: S1"), "{stderr}");
    std::fs::write(&path, stdout).expect("a file can be written");
    let (status, stdout, _) = sim(&["run", name]);
    assert_eq!(status, Some(1));
    assert!(stdout.contains(": 1 seeds, 1 FAILED"), "{stdout}");
}

#[test]
fn a_seed_of_another_version_is_told() {
    let (status, stdout, stderr) = sim(&["replay", "1@00000000"]);
    assert_eq!(status, Some(0));
    assert!(stdout.ends_with("all promises kept\n"), "{stdout}");
    assert!(stderr.contains("seed 1 was seen in another version of the simulated program (00000000"), "{stderr}");
}

#[test]
fn a_commit_is_a_seed() {
    let (status, stdout, stderr) = sim(&["run", "--swarm", "--seeds", "1e489ba"]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.starts_with("swarm: 1 seeds, all promises kept"), "{stdout}");
}

#[test]
fn what_is_no_seed_is_refused() {
    assert!(refused(&["replay", "seventeen"]).contains("a seed is a number, like 17, or a commit hash"));
    assert!(refused(&["run", "--swarm", "--seeds", "9..3"]).contains("0..200 for the first two hundred"));
    assert!(refused(&["run", "--swarm"]).contains("--seeds"));
}

#[test]
fn what_is_no_scenario_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let refuse = |text: &str| refused(&["run", file(&directory, text).to_str().expect("a name")]);
    assert!(refuse("why = 'x'\nseeds = '0'\n[world.cluster]\nnoddes = 3").contains("noddes"));
    assert!(refuse("why = 'x'\nseeds = '0'\n[expect]\nmakespan = -1.0").contains("expect.makespan"));
    assert!(refuse("why = 'x'\nseeds = '0'\n[expect]\nmarks = ['surprise']").contains("there is no mark surprise"));
    assert!(refuse("why = 'x'\ninclude = ['nowhere.toml']").contains("nowhere.toml"));
    assert!(refuse("why = 'x'\ninclude = ['scenario.toml']").contains("name each other"));
    assert!(refuse("why = 'x'\n[[scenario]]\nwhy = 'y'\nseeds = '0'").contains("has no name"));
    assert!(refused(&["run", "no-such-file.toml"]).contains("no-such-file.toml"));
    let knobs = scenario("knobs.toml");
    assert!(refused(&["replay", "1", "--scenario", &knobs]).contains("has several scenarios; name one of"));
    assert!(refused(&["run", &format!("{knobs}#surprise")]).contains("there is no scenario surprise"));
}

#[test]
fn one_scenario_of_a_suite_can_be_run() {
    let name = format!("{}#unavailable", scenario("knobs.toml"));
    let (status, stdout, stderr) = sim(&["run", &name, "--seeds", "0"]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("knobs.toml#unavailable: 1 seeds, all promises kept"), "{stdout}");
    assert!(stdout.contains("marks: ") && stdout.contains("unstarted"), "{stdout}");
}

#[test]
fn pictures_are_named_for_scenario_and_seed_and_change_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let pictures = directory.path().join("to/be/made");
    let own = "a/b#c";
    let one = |name: &str| {
        format!(
            "[[scenario]]\nname = '{name}'\nwhy = 'x'\nseeds = '3..5'\n[scenario.world.cluster]\nnodes = 2\n\
                 [[scenario.world.work]]\ndocuments = 20\n"
        )
    };
    let path = file(&directory, &format!("why = 'x'\n{}{}", one(own), one("a-b-c")));
    let trace = |more: &[&str]| {
        let arguments = ["run", path.to_str().expect("a name"), "--output", "json"];
        let (status, stdout, stderr) = sim(&[&arguments, more].concat());
        assert_eq!(status, Some(0), "{stderr}");
        let value: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(value["scenarios"].as_array().map(Vec::len), Some(2));
        (value["scenarios"][0]["trace"].clone(), value["scenarios"][1]["trace"].clone())
    };
    let files = || {
        let entries = std::fs::read_dir(&pictures).expect("it was made");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("it can be read").file_name().into_string().expect("text")).collect();
        names.sort_unstable();
        names
    };
    let plot = pictures.to_str().expect("a name");
    assert_eq!(trace(&["--plot", plot]), trace(&[]));
    let of = |stem: &str| ["balance", "levels", "pending", "timeline"].map(|what| format!("{stem}-{what}.svg"));
    assert_eq!(files(), [of("scenario-a-b-c-2-3"), of("scenario-a-b-c-3")].concat());

    let scenario = format!("{}#{own}", path.display());
    let replay = ["replay", "4", "--scenario", &scenario];
    let (status, plain, stderr) = sim(&replay);
    assert_eq!(status, Some(0), "{stderr}");
    let (status, pictured, stderr) = sim(&[&replay[..], &["--plot", plot]].concat());
    assert_eq!((status, pictured), (Some(0), plain), "{stderr}");
    assert_eq!(files(), [of("scenario-a-b-c-2-3"), of("scenario-a-b-c-3"), of("scenario-a-b-c-4")].concat());
    let svg = std::fs::read_to_string(pictures.join("scenario-a-b-c-4-levels.svg")).expect("it is there");
    assert!(svg.contains("scenario-a-b-c, seed 4: pending documents"), "{svg}");
}

#[test]
fn pictures_that_cannot_be_written_are_told_before_anything_is_simulated() {
    let directory = tempfile::tempdir().expect("a directory");
    let plot = file(&directory, "no directory");
    let (status, stdout, stderr) = sim(&["replay", "12", "--plot", plot.to_str().expect("a name")]);
    assert_eq!((status, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("cannot make the directory"), "{stderr}");
}
