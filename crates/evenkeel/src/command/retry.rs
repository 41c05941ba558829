//! `evenkeel retry`: the failed documents of a batch once more.

use super::follow;
use crate::cli::act::RetryArgs;
use crate::client::{self, Client};
use crate::output::exit::CommandResult;

/// Submits the failed documents of a batch as a new batch.
pub(super) fn retry(arguments: RetryArgs) -> CommandResult {
    let client = Client::new(&arguments.client)?;
    client::run(async {
        let accepted = client.retry(&arguments.batch).await?;
        follow::accepted(client, accepted, arguments.format.output, arguments.wait).await
    })
}
