//! The program under test: where it is, and how it is called.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Names the program to test, instead of the one that cargo builds beside the tests.
const VARIABLE: &str = "EVENKEEL_PROGRAM";

/// Where the program is. Built first if need be: cargo builds the programs of a test's own package only.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Builds the program in the profile of the running test, and where that was built.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the system tells where a program is");
    // TARGET/PROFILE/deps/TEST
    let place = test.parent().and_then(Path::parent).expect("cargo puts tests into a directory of a profile");
    let target = place.parent().expect("cargo puts profiles into a target directory");
    let profile = match place.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("{} is no profile of cargo's: name the program in {VARIABLE}", place.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        // The whole workspace, so that features, and with them dependencies, are those of the build under way.
        .args(["build", "--quiet", "--workspace", "--bin", "evenkeel", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    // What cargo tells this test of its package would make build scripts that look at it run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
        {
            build.env_remove(&*name);
        }
    }
    let built = build.status();
    match built {
        Ok(status) if status.success() => place.join("evenkeel"),
        Ok(status) => panic!("building the program ended with {status}"),
        Err(error) => panic!("cannot run cargo ({error}): name the program in {VARIABLE}"),
    }
}

/// A call of the program, in an environment that says nothing to it, without input.
pub fn command<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    command_of(path(), arguments)
}

/// The same of any program.
pub(crate) fn command_of<S: AsRef<std::ffi::OsStr>>(
    program: impl AsRef<std::ffi::OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"EVENKEEL_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").env("COLUMNS", "120");
    command
}
