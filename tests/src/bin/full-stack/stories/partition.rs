//! One host is cut off from two others until each side holds the other dead, and both go on. When the network is whole
//! again all come to the same state: no outcome is lost or doubled, losers are killed, and every duplicate is counted.

use std::time::Duration;

use anyhow::ensure;
use evenkeel_core::Node;
use evenkeel_tests::until;

use crate::ledger::End;
use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "partition", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 200;

/// Virtual time in which both sides must have found each other dead.
const NOTICED: Duration = Duration::from_secs(30);

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let batch = world.submit("n1", DOCUMENTS, (200, 5_000)).await?;
    tokio::time::sleep(Duration::from_millis(world.between((1_000, 5_000)))).await;
    for host in ["n1", "n2"] {
        turmoil::partition(host, "n3");
    }
    until("both sides to go on alone", NOTICED, async || {
        for (host, others) in [("n1", 1), ("n2", 1), ("n3", 0)] {
            let live = world.daemon(host).ok()?.ask(|node: &Node| node.view().live.len()).await?;
            (live == others).then_some(())?;
        }
        Some(())
    })
    .await;
    // Both sides have claimed what the other had, and some of it has run on both by now.
    tokio::time::sleep(Duration::from_millis(world.between((2_000, 8_000)))).await;
    for host in ["n1", "n2"] {
        turmoil::repair(host, "n3");
    }
    world.meet(&["n1", "n2", "n3"]).await;
    world.finished(batch).await;
    world.sound(batch).await?;

    let extra = world.extra_starts(batch);
    ensure!(extra > 0, "nothing ran on both sides: the partition was at no time of interest");
    let killed = world.ledger().count(|run| run.end == Some(End::Killed));
    let mut counted = 0;
    for (_, daemon) in world.daemons() {
        counted += daemon.ask(|node| node.counters().duplicates).await.unwrap_or(0);
    }
    ensure!(counted == extra, "{extra} ran twice, {killed} of which were killed, and {counted} were counted");
    Ok(())
}
