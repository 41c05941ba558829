//! What has been counted in one world, or in many.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use evenkeel_core::Effect;
use evenkeel_core::outbox::Event;
use evenkeel_core::units::Micros;

use crate::check::Step;

/// Declares the counts, and how those of several worlds are added up.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What has been counted.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
            /// Recurring faults that happened, by kind.
            pub faults: BTreeMap<&'static str, u64>,
            /// Marks that were hit, by name: see [`crate::marks`].
            pub marks: BTreeMap<&'static str, u64>,
            /// How long after the death of a node its documents were taken over, for each heir that did.
            pub takeovers: Vec<Micros>,
        }

        impl Counts {
            /// The plain counts, by name.
            pub fn plain(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        impl AddAssign<&Counts> for Counts {
            fn add_assign(&mut self, other: &Counts) {
                $(self.$name += other.$name;)*
                for (kind, count) in &other.faults {
                    *self.faults.entry(kind).or_default() += count;
                }
                self.takeovers.extend_from_slice(&other.takeovers);
                for (mark, count) in &other.marks {
                    *self.marks.entry(mark).or_default() += count;
                }
            }
        }
    };
}

counts! {
    /// Things that happened.
    events,
    /// Of them, those that a node was told.
    steps,
    /// Documents submitted.
    documents,
    /// Processes asked for.
    starts,
    /// Documents that ended, as each deciding node told it.
    ended,
    /// Attempts that failed and were followed by another.
    retried,
    /// Processes killed, or results dropped, since the document had another owner or outcome.
    duplicates,
    /// Documents given away.
    moved,
    /// Documents claimed from owners held dead.
    taken_over,
    /// Messages sent.
    messages,
    /// Packets of gossip sent.
    gossip,
    /// Messages lost.
    messages_lost,
    /// Messages that arrived twice.
    messages_doubled,
    /// Messages held back.
    messages_clogged,
    /// Messages that a cut swallowed.
    messages_cut,
    /// Messages with hostile numbers.
    messages_spoilt,
    /// Messages to nodes that were down.
    messages_to_the_dead,
    /// Payloads that could not be had.
    unavailable,
    /// Copies of results that a peer did not take.
    copies_refused,
    /// Documents that ran out of time.
    timed_out,
    /// Processes killed.
    killed,
    /// Nodes that a document took with it.
    poisoned,
    /// Nodes that lost their key.
    amnesia,
}

impl Counts {
    /// A count by its name, with hyphens or underscores; `None` if nothing is called so.
    pub fn of(&self, name: &str) -> Option<u64> {
        let name = &*name.replace('_', "-");
        let plain = self.plain().find(|(plain, _)| *plain == name.replace('-', "_"));
        let mark = || crate::marks::Mark::of(name).map(|_| self.marks.get(name).copied().unwrap_or(0));
        let fault = || crate::world::FAULTS.contains(&name).then(|| self.faults.get(name).copied().unwrap_or(0));
        plain.map(|(_, count)| count).or_else(fault).or_else(mark)
    }

    pub(crate) fn look(&mut self, step: &Step<'_>) {
        for effect in step.effects {
            match effect {
                Effect::Start(_) => self.starts += 1,
                Effect::Observe(Event::Ended { .. }) => self.ended += 1,
                Effect::Observe(Event::Retried { .. }) => self.retried += 1,
                Effect::Observe(Event::Superseded(_)) => self.duplicates += 1,
                Effect::Observe(Event::Gave { documents, .. }) => self.moved += documents,
                Effect::Observe(Event::TookOver { documents, .. }) => self.taken_over += documents,
                _ => {}
            }
        }
    }
}
