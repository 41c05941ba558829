//! One thing after the other goes wrong, as the seed will have it, while batch after batch is submitted. A host crashes
//! only when everything has had time to get its two copies: more is not promised, and a host that was cut off has done
//! things of which it has the only copy for a while.

use std::time::Duration;

use crate::world::{Story, World};

pub(crate) const STORY: Story = Story { name: "storm", slots: &[3, 2, 4, 2, 3], play: |world| Box::pin(play(world)) };

const ROUNDS: (u64, u64) = (4, 7);
const DOCUMENTS: (u64, u64) = (20, 150);
const MILLIS: (u64, u64) = (50, 4_000);

/// How long something is wrong: some of it passes before anybody has noticed, some lasts longer than detection.
const WRONG: (u64, u64) = (100, 20_000);

/// Virtual time around the loss of a host in which nothing else goes wrong: deaths must be noticed, and copies be made.
const RECOVERY: Duration = Duration::from_secs(30);

/// The part of all datagrams with which a link breaks off, when the network is bad.
const LOSSES: f64 = 0.03;

async fn play(world: World) -> anyhow::Result<()> {
    let hosts: Vec<String> = world.hosts().collect();
    world.meet(&hosts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut batches = Vec::new();
    for _ in 0..world.between(ROUNDS) {
        let what = [Trouble::Crash, Trouble::Cut, Trouble::Mute, Trouble::Held, Trouble::Losses]
            [world.between((0, 4)) as usize];
        if what == Trouble::Crash {
            tokio::time::sleep(RECOVERY).await;
        }
        let taker = &hosts[world.between((0, hosts.len() as u64 - 1)) as usize];
        batches.push(world.submit(taker, world.between(DOCUMENTS) as u32, MILLIS).await?);
        tokio::time::sleep(Duration::from_millis(world.between((0, 3_000)))).await;
        trouble(what, &world, &hosts).await;
    }
    world.meet(&hosts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for batch in batches {
        world.finished(batch).await;
        world.sound(batch).await?;
    }
    Ok(())
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// A host is gone, and comes back with its key.
    Crash,
    /// A host is cut off from all others.
    Cut,
    /// It hears the others, and nobody hears it.
    Mute,
    /// What is sent meanwhile, to it or by it, arrives all at once.
    Held,
    /// All links break off now and then.
    Losses,
}

/// Something goes wrong, and right again.
async fn trouble(what: Trouble, world: &World, hosts: &[String]) {
    let victim = &hosts[world.between((0, hosts.len() as u64 - 1)) as usize];
    let others: Vec<&String> = hosts.iter().filter(|host| *host != victim).collect();
    let wrong = Duration::from_millis(world.between(WRONG));
    let all = |change: fn(&str, &str)| others.iter().for_each(|other| change(victim, other));
    match what {
        Trouble::Crash => {
            world.crash(victim).await;
            tokio::time::sleep(wrong).await;
            world.bounce(victim).await;
            tokio::time::sleep(RECOVERY).await;
        }
        Trouble::Cut => {
            all(|victim, other| turmoil::partition(victim, other));
            tokio::time::sleep(wrong).await;
            all(|victim, other| turmoil::repair(victim, other));
        }
        Trouble::Mute => {
            all(|victim, other| turmoil::partition_oneway(victim, other));
            tokio::time::sleep(wrong).await;
            all(|victim, other| turmoil::repair_oneway(victim, other));
        }
        Trouble::Held => {
            all(|victim, other| turmoil::hold(victim, other));
            tokio::time::sleep(wrong).await;
            all(|victim, other| turmoil::release(victim, other));
        }
        Trouble::Losses => {
            world.losses(LOSSES).await;
            tokio::time::sleep(wrong).await;
            world.losses(0.0).await;
        }
    }
}
