//! A host crashes and comes back with its key, as soon as it can or long after it was held dead: it is the same node in
//! another run. Nothing is lost, and it takes part again.

use std::time::Duration;

use anyhow::ensure;
use evenkeel_core::Node;
use evenkeel_tests::until;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "bounce", slots: &[4, 4, 4], play: |world| Box::pin(play(world)) };

const DOCUMENTS: u32 = 200;

/// Virtual time in which the others must have noticed that the host is back.
const NOTICED: Duration = Duration::from_secs(30);

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2", "n3"]).await;
    let before = world.daemon("n3")?.me();
    let first = world.submit("n1", DOCUMENTS, (200, 2_000)).await?;
    tokio::time::sleep(Duration::from_millis(world.between((1_000, 10_000)))).await;
    world.crash("n3").await;
    // Some are back before anybody has missed them, some long after.
    tokio::time::sleep(Duration::from_millis(world.between((50, 20_000)))).await;
    world.bounce("n3").await;
    let after = until("the host to be back", NOTICED, async || Some(world.daemon("n3").ok()?.me())).await;
    ensure!(after.node == before.node, "it is another node than before");
    ensure!(after.generation > before.generation, "it is the same run as before");
    until("the others to notice", NOTICED, async || {
        for host in ["n1", "n2"] {
            let seen = move |node: &Node| node.view().live.get(&after.node).map(|peer| peer.generation);
            let generation = world.daemon(host).ok()?.ask(seen).await??;
            (generation == after.generation).then_some(())?;
        }
        Some(())
    })
    .await;

    // It takes part: its share of new work, and that work submitted to it.
    let runs = world.ledger().count(|run| run.host == "n3");
    let second = world.submit("n3", DOCUMENTS, (200, 2_000)).await?;
    for batch in [first, second] {
        world.finished(batch).await;
        world.sound(batch).await?;
    }
    ensure!(world.ledger().count(|run| run.host == "n3") > runs, "it ran nothing after it was back");
    let (extra, slots) = (world.extra_starts(first), u64::from(world.slots("n3")));
    ensure!(extra <= slots, "{extra} documents ran again, of {slots} slots that were lost");
    ensure!(world.extra_starts(second) == 0, "{} documents ran twice without a fault", world.extra_starts(second));
    Ok(())
}
