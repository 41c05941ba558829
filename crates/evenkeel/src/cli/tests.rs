use std::time::Duration;

use clap::{Args, Command as Clap, FromArgMatches};
use evenkeel_core::batch::Allocate;
use evenkeel_node::config::MaxProcess::{Auto, Fixed};

use super::act::{CancelArgs, DrainArgs, RetryArgs};
use super::calibrate::CalibrateArgs;
use super::client::ClientArgs;
use super::config::ConfigArgs;
use super::doctor::DoctorArgs;
use super::guardian::GuardianArgs;
use super::node::NodeArgs;
use super::read::{ExplainArgs, NodesArgs, ResultsArgs, StatusArgs};
use super::run::{Printed, RunArgs};
use super::submit::SubmitArgs;
use super::top::TopArgs;
use crate::input::{Measure, Place, Source};
use crate::output::progress::Wish;

/// The command of these arguments by itself, so that it can be tried before anything dispatches it.
fn command<A: Args>(name: &'static str) -> Clap {
    A::augment_args(Clap::new(name).bin_name(format!("evenkeel {name}")).max_term_width(100).term_width(100))
}

fn parse<A: Args + FromArgMatches>(line: &[&str]) -> Result<A, String> {
    let matches = command::<A>("x").try_get_matches_from([&["x"], line].concat()).map_err(|error| error.to_string())?;
    A::from_arg_matches(&matches).map_err(|error| error.to_string())
}

fn run(line: &[&str]) -> RunArgs {
    parse(line).unwrap()
}

/// What `run` refuses, be it while parsing or afterwards.
fn refused(line: &[&str]) -> String {
    let checked = parse::<RunArgs>(line).and_then(|run| {
        let say = |failure: crate::output::exit::Failure| failure.to_string();
        run.output.check().map_err(say)?;
        run.slots().map_err(say)?;
        let words = run.words().map_err(say)?;
        run.input.source(&words, true).map(|_| ()).map_err(say)
    });
    checked.expect_err("must be refused")
}

#[test]
fn every_command_is_well_formed() {
    for command in [
        command::<RunArgs>("run"),
        command::<SubmitArgs>("submit"),
        command::<CalibrateArgs>("calibrate"),
        command::<NodeArgs>("node"),
        command::<StatusArgs>("status"),
        command::<NodesArgs>("nodes"),
        command::<ResultsArgs>("results"),
        command::<ExplainArgs>("explain"),
        command::<CancelArgs>("cancel"),
        command::<RetryArgs>("retry"),
        command::<DrainArgs>("drain"),
        command::<TopArgs>("top"),
        command::<ConfigArgs>("config"),
        command::<DoctorArgs>("doctor"),
        command::<GuardianArgs>("__guardian"),
        <super::Cli as clap::CommandFactory>::command(),
    ] {
        command.debug_assert();
    }
}

#[test]
fn the_command_may_follow_with_or_without_dashes() {
    for line in [&["echo", "{}", ":::", "a", "b"][..], &["--", "echo", "{}", ":::", "a", "b"]] {
        let run = run(line);
        let words = run.words().unwrap();
        assert_eq!(words.command, ["echo", "{}"]);
        assert_eq!(run.input.source(&words, true).unwrap(), Source::Arguments(vec!["a".into(), "b".into()]));
    }
    let words = run(&["-j", "2", "grep", "-j", "--retries", "{}", "--", "x"]).words().unwrap();
    assert_eq!(words.command, ["grep", "-j", "--retries", "{}", "--", "x"]);
    let words = run(&["-k", "--", "--odd", "{}", ":::", "--", "-x"]).words().unwrap();
    assert_eq!(words.command, ["--odd", "{}"]);
    assert_eq!(words.arguments.unwrap(), ["--", "-x"]);
}

#[test]
fn documents_come_from_one_place() {
    let source = |line: &[&str]| {
        let run = run(line);
        run.input.source(&run.words().unwrap(), false).unwrap()
    };
    assert_eq!(source(&["cat"]), Source::Lines(Place::Stdin));
    assert_eq!(source(&["-a", "-", "cat"]), Source::Lines(Place::Stdin));
    assert_eq!(source(&["-afile", "cat"]), Source::Lines(Place::File("file".into())));
    assert_eq!(source(&["--jsonl", "f", "cat"]), Source::JsonLines(Place::File("f".into())));
    assert_eq!(source(&["--csv", "-", "cat"]), Source::Csv(Place::Stdin));
    assert_eq!(source(&["--files", "a*", "--files", "b*", "cat"]), Source::Files(vec!["a*".into(), "b*".into()]));
    assert!(refused(&["cat"]).contains("or pipe lines to standard input"));
    assert!(refused(&["-a", "f", "cat", ":::", "x"]).contains("either from -a or from :::"));
    assert!(refused(&["-a", "f", "--csv", "g", "cat"]).contains("cannot be used with"));
    assert!(refused(&["--files", "a.txt", "b.txt", "c.txt", "--", "cat"]).contains("quote the pattern"));
    let own = run(&["--files", "*.txt", "--", "cat", "--", "{}"]);
    assert!(own.input.source(&own.words().unwrap(), true).is_ok());
    assert!(refused(&["cat", "::::", "f"]).contains("-a FILE"));
    assert!(refused(&["-a", "f"]).contains("no command"));
}

#[test]
fn lengths_are_measured_one_way() {
    let measure = |line: &[&str]| run(line).input.measure();
    assert_eq!(measure(&["cat"]), None);
    assert_eq!(measure(&["--length", "1", "cat"]), Some(Measure::One));
    assert_eq!(measure(&["--length", "file", "cat"]), Some(Measure::FileSize));
    assert_eq!(measure(&["--length", "payload", "cat"]), Some(Measure::PayloadBytes));
    assert_eq!(measure(&["--length-field", "a.b", "cat"]), Some(Measure::Field("a.b".into())));
    assert!(refused(&["--length", "2", "cat"]).contains("[possible values: file, payload, 1]"));
    assert!(refused(&["--length", "1", "--length-field", "a", "cat"]).contains("cannot be used with"));
}

#[test]
fn slots_fit_the_nodes() {
    let slots = |line: &[&str]| -> Vec<u32> {
        let slots = run(line).slots().unwrap();
        slots.into_iter().map(|slots| if let Fixed(slots) = slots { slots } else { 0 }).collect()
    };
    assert_eq!(slots(&["-j4", "cat"]), [4]);
    assert_eq!(slots(&["--nodes", "3", "-j", "4", "cat"]), [4, 4, 4]);
    assert_eq!(slots(&["-j", "4,10,10,16", "cat"]), [4, 10, 10, 16]);
    assert_eq!(slots(&["--nodes", "2", "-j", "4,10", "cat"]), [4, 10]);
    assert_eq!(slots(&["--nodes", "100", "cat"]).len(), 100);
    assert!(slots(&["--nodes", "100", "cat"]).iter().all(|slots| *slots >= 1));
    assert_eq!(run(&["-j", "auto", "cat"]).slots().unwrap(), [Auto]);
    assert!(refused(&["--nodes", "2", "-j", "auto", "cat"]).contains("-j auto is for one node"));
    assert!(refused(&["--nodes", "3", "-j", "4,10", "cat"]).contains("-j has 2 numbers for 3 nodes"));
    assert!(refused(&["-j", "-1", "cat"]).contains("`-1` is not a number of processes: give 1 to 65536"));
    assert!(refused(&["--nodes", "-1", "cat"]).contains("-1 is not in 1..=100"));
    assert!(refused(&["-j0", "cat"]).contains("at least one process"));
    assert!(refused(&["-j", "many", "cat"]).contains("not a number of processes: give 1 to 65536, such as 8"));
    assert!(refused(&["--nodes", "0", "cat"]).contains("0 is not in 1..=100"));
}

#[test]
fn a_job_has_the_options_of_its_batch() {
    let options =
        run(&["--retries=2", "--timeout", "5m", "--backoff", "10ms", "--allocate", "pareto", "--capture", "1K", "x"])
            .job
            .options();
    assert_eq!(
        (options.retries, options.timeout_millis, options.backoff_millis, options.allocate, options.capture_bytes),
        (2, Some(300_000), 10, Allocate::Pareto, 1_024)
    );
    assert_eq!(run(&["x"]).job.options(), evenkeel_core::batch::BatchOptions::default());
    assert_eq!(run(&["--timeout", "1ns", "x"]).job.timeout, Some(Duration::from_nanos(1)));
    assert_eq!(run(&["--timeout", "1ns", "x"]).job.options().timeout_millis, Some(1));
    for retries in ["-1", "1001", "x"] {
        assert!(refused(&["--retries", retries, "x"]).contains(&format!("`{retries}` is not a number from 0 to 1000")));
    }
    assert!(refused(&["--timeout", "30", "x"]).contains("the unit is missing"));
    assert!(refused(&["--timeout", "0s", "x"]).contains("more than zero"));
    assert!(refused(&["--allocate", "random", "x"]).contains("[possible values: lpt, uniform, pareto]"));
}

#[test]
fn a_calibration_has_its_bounds() {
    let arguments =
        parse::<CalibrateArgs>(&["-a", "f", "--sample", "9", "--seconds", "0.5", "--", "cat", "{}"]).unwrap();
    assert_eq!((arguments.sample, arguments.max, arguments.seconds), (9, None, Duration::from_millis(500)));
    assert_eq!(arguments.words().unwrap().command, ["cat", "{}"]);
    let refused = |line: &[&str]| parse::<CalibrateArgs>(line).unwrap_err();
    assert!(refused(&["--sample", "0", "cat"]).contains("0 is not in 1..=4096"));
    assert!(refused(&["--seconds", "0", "cat"]).contains("from 0.1 to 86400"));
    assert!(refused(&["--max", "0", "cat"]).contains("at least one process"));
}

#[test]
fn output_goes_where_it_is_sent() {
    assert_eq!(run(&["x"]).output.output, Printed::Text);
    assert_eq!(run(&["--progress", "x"]).output.progress(), Wish::Always);
    assert_eq!(run(&["--no-progress", "x"]).output.progress(), Wish::Never);
    assert_eq!(run(&["x"]).output.progress(), Wish::Auto);
    assert!(refused(&["--resume", "x"]).contains("--resume needs --joblog FILE or --results DIR"));
    assert!(refused(&["--joblgo", "f", "x"]).contains("a similar argument exists: '--joblog'"));
}

#[test]
fn clients_know_whom_to_talk_to() {
    let client = parse::<ClientArgs>(&["--http", "http://node2:7117"]).unwrap();
    assert_eq!(client.http.as_str(), "http://node2:7117/");
    assert_eq!(parse::<ClientArgs>(&["--http", "node2:7117"]).unwrap().http, client.http);
    assert!(parse::<ClientArgs>(&["--http", "https://node2"]).unwrap_err().contains("plain HTTP"));
    assert!(parse::<StatusArgs>(&["xyl"]).unwrap_err().contains("a batch id is 13 letters and digits"));
    assert!(parse::<ExplainArgs>(&["xyz"]).unwrap_err().contains("BATCH/NUMBER"));
    assert!(parse::<NodeArgs>(&["--seed", "node1"]).unwrap_err().contains("the port is missing"));
    assert!(
        parse::<NodeArgs>(&["--listen", "7116"]).unwrap_err().contains("expected IP:PORT, for example 10.0.0.1:7116")
    );
    assert!(
        parse::<NodeArgs>(&["--http", "node1:1"]).unwrap_err().contains("expected IP:PORT, for example 10.0.0.1:7117")
    );
    let node = parse::<NodeArgs>(&["--seed", "a:1", "--seed", "b:2", "--http", "127.0.0.1:0", "-j", "4"]).unwrap();
    assert_eq!((node.seeds.len(), node.max_process), (2, Some(Fixed(4))));
    let node = parse::<NodeArgs>(&["--max-process", "auto", "--max-process-limit", "9"]).unwrap();
    assert_eq!((node.max_process, node.max_process_limit), (Some(Auto), Some(9)));
}

/// The help of every command, as it is printed 100 columns wide.
#[test]
fn help_says_what_there_is() {
    let help = |mut command: Clap| command.render_long_help().to_string();
    for (name, command) in [
        ("run", command::<RunArgs>("run")),
        ("submit", command::<SubmitArgs>("submit")),
        ("calibrate", command::<CalibrateArgs>("calibrate")),
        ("node", command::<NodeArgs>("node")),
        ("status", command::<StatusArgs>("status")),
        ("nodes", command::<NodesArgs>("nodes")),
        ("results", command::<ResultsArgs>("results")),
        ("explain", command::<ExplainArgs>("explain")),
        ("cancel", command::<CancelArgs>("cancel")),
        ("retry", command::<RetryArgs>("retry")),
        ("drain", command::<DrainArgs>("drain")),
        ("top", command::<TopArgs>("top")),
        ("config", command::<ConfigArgs>("config")),
        ("doctor", command::<DoctorArgs>("doctor")),
    ] {
        insta::assert_snapshot!(format!("help_{name}"), help(command));
    }
}

#[test]
fn the_help_of_a_node_has_the_defaults_that_it_has() {
    let help = command::<NodeArgs>("node").render_long_help().to_string();
    let config = evenkeel_node::config::Config::default();
    for default in [config.network.listen, config.http.listen] {
        assert!(help.contains(&format!("[default: {default}]")), "{default} is missing in\n{help}");
    }
    assert!(help.contains(&format!("[default: {}]", config.node.max_process_limit)));
}
