//! The programs of Debian's package, and the files that they read.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What to say where one is missing: a test that is left out would seem to have passed.
fn missing(program: &str, error: &std::io::Error) -> ! {
    panic!(
        "cannot run {program} ({error}): it is in Debian's package prometheus \
         (`apt-get install --no-install-recommends prometheus`); .ci/run installs it"
    )
}

/// A command of the package.
pub(crate) fn program(name: &str) -> Command {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if let Err(error) = found {
        missing(name, &error);
    }
    Command::new(name)
}

/// A file in config/.
pub(crate) fn config(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name);
    let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.to_str().expect("a plain name").to_owned()
}

/// Runs promtool, which must be content.
#[track_caller]
pub(crate) fn promtool(arguments: &[&str], input: Option<&str>) {
    let mut call = program("promtool");
    let call = call.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = call.spawn().expect("it was there an instant ago");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // It may not read all of it, and says why.
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let content = output.status.success() && (input.is_none() || complained.trim().is_empty());
    assert!(content, "promtool {arguments:?} ended with {}:\n{said}\n{complained}", output.status);
}
