//! One of three hosts is gone in the middle of its work: the others take over what it had, and nothing is lost. What ran
//! there runs once more, and nothing else does.

use std::time::Duration;

use anyhow::ensure;

use crate::ledger::End;
use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "crash", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 200;

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let batch = world.submit("n1", DOCUMENTS, (200, 2_000)).await?;
    tokio::time::sleep(Duration::from_millis(world.between((1_000, 10_000)))).await;
    let started = world.ledger().all().len() as u32;
    ensure!(started > 0 && started < DOCUMENTS, "{started} documents had started: the crash is at no time of interest");
    world.crash("n3").await;
    let lost = world.ledger().count(|run| run.end == Some(End::Lost));
    ensure!(lost > 0, "nothing ran on the host that crashed");
    world.finished(batch).await;
    world.sound(batch).await?;

    let (extra, slots) = (world.extra_starts(batch), u64::from(world.slots("n3")));
    ensure!(extra >= lost as u64 && extra <= slots, "{lost} were lost with {slots} slots, and {extra} ran again");
    let mut taken_over = 0;
    for (_, daemon) in world.daemons() {
        taken_over += daemon.ask(|node| node.counters().taken_over).await.unwrap_or(0);
    }
    ensure!(taken_over >= lost as u64, "{taken_over} documents were taken over");
    Ok(())
}
