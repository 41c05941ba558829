//! `evenkeel batch`.

use indicatif::HumanCount;

use crate::cli::batch::{BatchAction, BatchArgs, BatchRmArgs};
use crate::client::{self, Client};
use crate::output::exit::{CommandResult, ExitStatus};
use crate::output::tell;

/// Does what is asked of batches.
pub(super) fn batch(arguments: BatchArgs) -> CommandResult {
    match arguments.action {
        BatchAction::Rm(arguments) => remove(arguments),
    }
}

/// Removes batches, one after the other. At the first that cannot be, it ends.
fn remove(arguments: BatchRmArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        for batch in &arguments.batches {
            let status = client.remove(batch).await?;
            tell(format!("batch {} is removed: {} documents", status.id, HumanCount(status.documents.into())));
        }
        Ok(ExitStatus::Ok)
    })
}
