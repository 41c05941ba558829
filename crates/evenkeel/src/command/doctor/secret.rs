//! The secret: whether it is one, whether others can read it, and which it is.

use std::os::unix::fs::PermissionsExt;

use evenkeel_net::Keyring;

use super::finding::Finding;
use crate::cli::secret::SecretFileArgs;
use crate::input::printable;

/// Looks at the secret, and reads it for the checks that need it.
pub(super) fn check(from: &SecretFileArgs, findings: &mut Vec<Finding>) -> Option<Keyring> {
    let keyring = match from.keyring() {
        Ok(Some(keyring)) => keyring,
        Ok(None) => {
            findings
                .push(Finding::ok("secret", "none: this node takes part in a cluster of this host only, on loopback"));
            return None;
        }
        Err(failure) => {
            let advice =
                "copy the file anew from a node that has it (`evenkeel secret show-id` tells which one that is)";
            findings.push(Finding::problem("secret", format!("{:#}", failure.error), advice));
            return None;
        }
    };
    let ids: Vec<String> = keyring.secrets().iter().map(|secret| secret.fingerprint()).collect();
    let which = format!("id {}", ids.join(", then "));
    findings.push(match from.secret_file.as_ref().filter(|path| path.as_os_str() != "-") {
        None => Finding::ok("secret", which),
        Some(path) => {
            let shown = printable(path.as_os_str());
            match std::fs::metadata(path).map(|data| data.permissions().mode() & 0o777) {
                Ok(mode) if mode & 0o077 == 0 => Finding::ok("secret", format!("{which}; {shown} is private")),
                Ok(mode) => Finding::problem(
                    "secret",
                    format!("{shown} has mode {mode:o}: others on this host can read it, and then run commands in the cluster"),
                    format!("chmod 600 {shown}; if strangers have been here, make a new secret"),
                ),
                // It could be read an instant ago.
                Err(_) => Finding::ok("secret", which),
            }
        }
    });
    Some(keyring)
}
