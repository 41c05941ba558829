//! Nothing goes wrong: nodes meet, a batch is spread over all of them, and every document runs exactly once.

use anyhow::ensure;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "quiet", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 100;

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let batch = world.submit("n2", DOCUMENTS, (50, 500)).await?;
    world.finished(batch).await;
    world.sound(batch).await?;
    ensure!(world.extra_starts(batch) == 0, "{} documents ran twice", world.extra_starts(batch));
    for host in world.hosts() {
        ensure!(world.ledger().count(|run| run.host == host) > 0, "{host} ran nothing");
    }
    Ok(())
}
