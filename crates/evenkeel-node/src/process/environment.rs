//! What of the node's environment its children must not see.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::OnceLock;

/// How the names of variables begin that hold what lets somebody join the cluster, or command it.
const SECRETS: [&[u8]; 2] = [b"EVENKEEL_SECRET", b"EVENKEEL_TOKEN"];

fn is_secret(name: &OsStr) -> bool {
    SECRETS.iter().any(|prefix| name.as_bytes().starts_with(prefix))
}

/// Takes secrets out of what a child inherits. The names are looked for once: nothing here changes the environment.
pub(super) fn hide_secrets(command: &mut Command) -> &mut Command {
    static NAMES: OnceLock<Vec<OsString>> = OnceLock::new();
    let names =
        NAMES.get_or_init(|| std::env::vars_os().map(|(name, _)| name).filter(|name| is_secret(name)).collect());
    for name in names {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_names() {
        for name in ["EVENKEEL_SECRET", "EVENKEEL_SECRET_OLD", "EVENKEEL_TOKEN", "EVENKEEL_TOKEN_FILE"] {
            assert!(is_secret(OsStr::new(name)), "{name}");
        }
        for name in ["EVENKEEL_NODE", "PATH", "SECRET", "MY_EVENKEEL_TOKEN"] {
            assert!(!is_secret(OsStr::new(name)), "{name}");
        }
    }
}
