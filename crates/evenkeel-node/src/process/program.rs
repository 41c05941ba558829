//! Finds the program of a command, and says in plain words why it could not be run.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for if PATH is not set, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program that cannot be run on this node.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProgram {
    #[error("no such program: `{name}` (looked in PATH){}", hint(.name))]
    NotInPath { name: String },
    #[error("`{0}` is in PATH but not executable: check its permissions")]
    NotExecutable(String),
}

/// One cause of disappointment is a whole shell command in quotes.
fn hint(name: &str) -> &'static str {
    if name.contains(|letter: char| letter.is_whitespace() || "|;&<>$".contains(letter)) {
        "; commands are not run by a shell: write each argument on its own, or sh -c '...'"
    } else {
        ""
    }
}

/// The path of a program: itself if it holds a slash, else the first executable file of that name in PATH.
pub(super) fn locate(name: &OsStr) -> Result<PathBuf, NoProgram> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    locate_in(&path, name)
}

fn locate_in(path: &OsStr, name: &OsStr) -> Result<PathBuf, NoProgram> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let mut forbidden = None;
    for folder in std::env::split_paths(path) {
        // An empty entry means the working directory; the slash keeps the result from being looked up again.
        let candidate = if folder.as_os_str().is_empty() { Path::new(".").join(name) } else { folder.join(name) };
        match candidate.metadata() {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(found) if found.is_file() => forbidden = forbidden.or(Some(candidate)),
            _ => {}
        }
    }
    Err(match forbidden {
        Some(found) => NoProgram::NotExecutable(found.display().to_string()),
        None => NoProgram::NotInPath { name: name.to_string_lossy().into_owned() },
    })
}

/// Why a located program did not start, for the person who gave the command.
pub(super) fn refusal(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    match error.raw_os_error() {
        Some(libc::ENOENT) if program.exists() => {
            format!("`{shown}` is there, but the interpreter that its first line names, or its loader, is not")
        }
        Some(libc::ENOENT) => format!("no such program: `{shown}`"),
        Some(libc::EACCES) if program.is_dir() => format!("`{shown}` is a directory, not a program"),
        Some(libc::EACCES) => format!("`{shown}` is not executable: check its permissions and those of its directory"),
        Some(libc::ENOEXEC) => {
            format!("`{shown}` is no program for this machine; a script needs a first line such as #!/bin/sh")
        }
        Some(libc::E2BIG) => format!(
            "the arguments for `{shown}` are too long: Linux allows 128 KiB for one and, as a rule, 2 MiB for all with the \
             environment; a command without placeholders gets the payload on standard input, of any size"
        ),
        Some(libc::EMFILE | libc::ENFILE) => {
            format!(
                "`{shown}` was not started, for too many files are open ({error}): raise `ulimit -n` or lower max_process"
            )
        }
        Some(libc::EAGAIN | libc::ENOMEM) => {
            format!(
                "`{shown}` was not started, for the system gave no further process ({error}): raise `ulimit -u` or lower max_process"
            )
        }
        _ => format!("`{shown}` was not started: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_executable_in_path_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (place, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            let file = folder.path().join(place).join("tool");
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths(["none", "a", "b", "c"].map(|place| folder.path().join(place))).unwrap();
        assert_eq!(locate_in(&path, OsStr::new("tool")).unwrap(), folder.path().join("b/tool"));
        let only = folder.path().join("a");
        assert!(matches!(locate_in(only.as_os_str(), OsStr::new("tool")), Err(NoProgram::NotExecutable(_))));
        assert_eq!(locate_in(&path, OsStr::new("./x/y")).unwrap(), Path::new("./x/y"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let message = |name: &str| locate_in(OsStr::new("/bin"), OsStr::new(name)).unwrap_err().to_string();
        assert_eq!(message("no-such"), "no such program: `no-such` (looked in PATH)");
        assert!(message("ls | wc").contains("not run by a shell"));
    }
}
