//! The program itself: what it prints, where, and its exit status.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"EVENKEEL_")) {
        command.env_remove(name);
    }
    command.env("COLUMNS", "100").env("NO_COLOR", "1");
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Exit status 2, nothing on standard output; returns what is said.
fn refused(arguments: &[&str]) -> String {
    let (status, stdout, stderr) = output(&mut program(arguments));
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
    stderr
}

#[test]
fn without_a_command_it_says_what_there_is() {
    let said = refused(&[]);
    assert!(said.contains("Usage: evenkeel <COMMAND>") && said.contains("secret"), "{said}");
    let (status, stdout, _) = output(&mut program(&["--help"]));
    assert_eq!(status, Some(0));
    assert!(stdout.contains("Exit status: 0 ok") && !stdout.contains("__guardian"), "{stdout}");
    let (status, stdout, _) = output(&mut program(&["--version"]));
    assert_eq!((status, stdout), (Some(0), format!("evenkeel {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn mistyped_commands_and_flags_are_corrected() {
    assert!(refused(&["secert"]).contains("a similar subcommand exists: 'secret'"));
    assert!(refused(&["secret", "new", "--fiel", "x"]).contains("a similar argument exists: '--file'"));
    assert!(refused(&["completion", "tcsh"]).contains("[possible values: bash, elvish, fish, powershell, zsh]"));
}

#[test]
fn help_of_commands_has_an_example() {
    for command in [&["secret", "new"][..], &["secret", "show-id"], &["completion"]] {
        let (status, stdout, _) = output(&mut program(&[command, &["--help"]].concat()));
        assert_eq!(status, Some(0));
        insta::assert_snapshot!(command.join("_"), stdout);
    }
}

#[test]
fn a_secret_is_made_kept_private_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let name = file.to_str().unwrap();
    assert_eq!(output(&mut program(&["secret", "new", "--file", name])), (Some(0), String::new(), String::new()));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (status, id, _) = output(&mut program(&["secret", "show-id", "--secret-file", name]));
    assert_eq!((status, id.trim().len()), (Some(0), 16));

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("eksec1"));
    assert_eq!(output(program(&["secret", "show-id"]).env("EVENKEEL_SECRET", &text)).1, id);
    let piped = std::fs::File::open(&file).unwrap();
    assert_eq!(output(program(&["secret", "show-id", "--secret-file", "-"]).stdin(piped)).1, id);

    let (status, shown, _) = output(&mut program(&["secret", "new"]));
    assert_eq!(status, Some(0));
    assert!(shown.starts_with("eksec1") && shown != text);
}

#[test]
fn what_is_no_secret_is_refused_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let name = file.to_str().unwrap();
    let missing = refused(&["secret", "show-id", "--secret-file", name]);
    assert!(missing.contains(name) && missing.contains("No such file"), "{missing}");
    assert_eq!(missing.matches("No such file").count(), 1, "{missing}");
    std::fs::write(&file, "hunter2\n").unwrap();
    let wrong = refused(&["secret", "show-id", "--secret-file", name]);
    assert!(wrong.contains("line 1") && !wrong.contains("hunter2"), "{wrong}");
    assert!(refused(&["secret", "new", "--file", name]).contains("is there already"));
    assert!(refused(&["secret", "show-id"]).contains("give --secret-file FILE"));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (status, script, _) = output(&mut program(&["completion", shell]));
        assert_eq!(status, Some(0));
        assert!(script.contains("evenkeel") && script.contains("show-id"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_not_complained_of() {
    // Gone before the program begins: it could be done sooner than a reader can go.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = program(&["completion", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(141));
}
