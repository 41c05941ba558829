//! A node is told to leave while it works: it gives everything away, also the only copies of results, and goes. Nothing
//! runs twice.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use evenkeel_node::api::Backend;
use evenkeel_tests::until;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "leave", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 200;

/// Virtual time in which the node must be gone.
const GONE: Duration = Duration::from_secs(60);

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let batch = world.submit("n3", DOCUMENTS, (200, 2_000)).await?;
    tokio::time::sleep(Duration::from_millis(world.between((500, 5_000)))).await;
    let node = world.daemon("n3")?.me().node;
    // Any node may be asked.
    Backend::drain(&world.daemon("n1")?, node).await.map_err(|problem| anyhow!("{problem:?}"))?;
    until("the node to be gone", GONE, async || world.daemon("n3").is_err().then_some(())).await;
    let open = world.ledger().count(|run| run.end.is_none() && run.host != "n3");
    ensure!(open > 0, "all had ended: it left at no time of interest");
    world.finished(batch).await;
    world.sound(batch).await?;
    ensure!(world.extra_starts(batch) == 0, "{} documents ran twice", world.extra_starts(batch));
    Ok(())
}
