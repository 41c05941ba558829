//! What of the node's environment its children must not see.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::OnceLock;

use crate::service_manager;

/// How the names of variables begin that hold what lets somebody join the cluster, or command it.
const SECRETS: [&[u8]; 2] = [b"EVENKEEL_SECRET", b"EVENKEEL_TOKEN"];

/// Whether it is a secret, or between this process and who has started it.
fn is_private(name: &OsStr) -> bool {
    SECRETS.iter().any(|prefix| name.as_bytes().starts_with(prefix))
        || service_manager::VARIABLES.iter().any(|variable| name == *variable)
}

/// Takes what is private out of what a child inherits. The names are looked for once: nothing here changes the environment.
pub(super) fn hide_private(command: &mut Command) -> &mut Command {
    static NAMES: OnceLock<Vec<OsString>> = OnceLock::new();
    let names =
        NAMES.get_or_init(|| std::env::vars_os().map(|(name, _)| name).filter(|name| is_private(name)).collect());
    for name in names {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_told_by_its_name() {
        for name in ["EVENKEEL_SECRET", "EVENKEEL_SECRET_OLD", "EVENKEEL_TOKEN", "EVENKEEL_TOKEN_FILE", "NOTIFY_SOCKET"]
        {
            assert!(is_private(OsStr::new(name)), "{name}");
        }
        for name in ["EVENKEEL_NODE", "PATH", "SECRET", "MY_EVENKEEL_TOKEN"] {
            assert!(!is_private(OsStr::new(name)), "{name}");
        }
    }
}
