//! `evenkeel cancel`.

use evenkeel_node::api::types::BatchStatus;
use indicatif::HumanCount;

use crate::cli::act::CancelArgs;
use crate::client::{self, Client};
use crate::output::exit::{CommandResult, ExitStatus};
use crate::output::tell;

/// Cancels a batch.
pub(super) fn cancel(arguments: CancelArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        tell(sentence(&client.cancel(&arguments.batch).await?));
        Ok(ExitStatus::Ok)
    })
}

pub(super) fn sentence(status: &BatchStatus) -> String {
    let BatchStatus { id, documents, done, failed, running, .. } = status;
    let count = |number: &u32| HumanCount(u64::from(*number));
    if done + failed == *documents {
        return format!("batch {id} had ended before: there is nothing to cancel");
    }
    let mut text = format!("batch {id} is cancelled: {} done before, {} failed", count(done), count(failed));
    if *running > 0 {
        text.push_str(&format!(", {} running ones are being stopped", count(running)));
    }
    text
}
