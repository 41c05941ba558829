//! For a while a host hears the others and is not heard. They hold it dead, but it misses nobody. What it did meanwhile
//! nobody took a copy of; it must get its second copy all the same: later that host crashes.

use std::time::Duration;

use anyhow::ensure;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "mute", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 100;

/// More than the detection time, after which connections are given up as well.
const MUTE: Duration = Duration::from_secs(14);

/// Virtual time in which there must be two copies of everything again.
const COPIED: Duration = Duration::from_secs(30);

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let batch = world.submit("n1", DOCUMENTS, (1_000, 4_000)).await?;
    // It needs the payloads first.
    tokio::time::sleep(Duration::from_millis(world.between((500, 2_000)))).await;
    let before = world.ledger().count(|run| run.host == "n3" && run.end.is_some());
    ["n1", "n2"].iter().for_each(|other| turmoil::partition_oneway("n3", *other));
    tokio::time::sleep(MUTE).await;
    let after = world.ledger().count(|run| run.host == "n3" && run.end.is_some());
    ensure!(after > before, "it ended nothing while it was mute");
    ["n1", "n2"].iter().for_each(|other| turmoil::repair_oneway("n3", *other));
    world.finished(batch).await;
    tokio::time::sleep(COPIED).await;
    world.crash("n3").await;
    world.meet(&["n1", "n2"]).await;
    world.sound(batch).await
}
