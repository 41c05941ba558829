//! `evenkeel secret new` and `evenkeel secret show-id`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use evenkeel_net::Secret;

use crate::cli::secret::{SecretArgs, SecretCommand, SecretFileArgs};
use crate::input::printable;
use crate::output::exit::{CommandResult, ExitStatus, Failure};

/// Only the owner reads it.
const PRIVATE: u32 = 0o600;

/// Does what is asked of a secret.
pub(super) fn secret(arguments: SecretArgs) -> CommandResult {
    match arguments.command {
        SecretCommand::New { file } => new(file.as_deref()),
        SecretCommand::ShowId(from) => show_id(&from),
    }
}

fn new(file: Option<&Path>) -> CommandResult {
    let secret = Secret::generate()
        .map_err(|error| Failure::says(ExitStatus::Failure, format!("the system gives no random numbers: {error}")))?;
    match file {
        None => writeln!(io::stdout(), "{}", *secret.expose())?,
        Some(path) => {
            let shown = printable(path.as_os_str());
            let mut file = match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(Failure::usage(format!(
                        "{shown} is there already and may hold a secret in use: give another name, or remove it"
                    )));
                }
                opened => opened.with_context(|| format!("cannot make {shown}"))?,
            };
            writeln!(file, "{}", *secret.expose())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {shown}"))?;
        }
    }
    Ok(ExitStatus::Ok)
}

fn show_id(from: &SecretFileArgs) -> CommandResult {
    let Some(keyring) = from.keyring()? else {
        return Err(Failure::usage(
            "no secret: give --secret-file FILE (- for standard input), or the secret in EVENKEEL_SECRET",
        ));
    };
    let mut out = io::stdout().lock();
    for secret in keyring.secrets() {
        writeln!(out, "{}", secret.fingerprint())?;
    }
    Ok(ExitStatus::Ok)
}
