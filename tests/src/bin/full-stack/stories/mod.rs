//! The stories: what is done to a cluster, and what must come of it.

mod bounce;
mod crash;
mod defect;
mod leave;
mod mute;
mod partition;
mod quiet;
mod storm;

use crate::world::Story;

/// All of them.
pub(crate) const ALL: &[Story] = &[
    quiet::STORY,
    crash::STORY,
    partition::STORY,
    bounce::STORY,
    leave::STORY,
    mute::STORY,
    storm::STORY,
    defect::STORY,
];
