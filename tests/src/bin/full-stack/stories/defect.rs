//! A task panics on a host, as it would by a defect: the run has failed, although nobody waits for that task. It is the
//! one story that must not end well.

use std::time::Duration;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "defect", slots: &[1, 1], play: |world| Box::pin(play(world)) };

async fn play(world: World) -> anyhow::Result<()> {
    world.meet(&["n1", "n2"]).await;
    // A host's own task, spawned by what runs there: the question is put on its loop.
    let spawn = |_: &evenkeel_core::Node| drop(tokio::spawn(async { panic!("as a defect would") }));
    world.daemon("n2")?.ask(spawn).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}
