//! Counters of what has gone over the wire, and of what has not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Declares the counters twice: as what the network adds to, and as what it reports.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What this node's network has sent, received, dropped and refused since its start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Traffic {
            $($(#[$doc])* pub $name: u64,)*
            /// Handshakes, streams and frames of peers that were refused, and datagrams that were not QUIC.
            pub refused: u64,
        }

        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// What they say now.
            pub(crate) fn read(&self, refused: u64) -> Traffic {
                Traffic { $($name: self.$name.load(Ordering::Relaxed),)* refused }
            }
        }
    };
}

counters! {
    /// UDP payload bytes sent, everything included.
    udp_bytes_out,
    /// UDP payload bytes received, everything included.
    udp_bytes_in,
    /// Gossip messages sent.
    gossip_messages_out,
    /// Bytes of them.
    gossip_bytes_out,
    /// Gossip messages received.
    gossip_messages_in,
    /// Bytes of them.
    gossip_bytes_in,
    /// Gossip messages dropped, because the peer could not be reached or was too slow.
    gossip_messages_dropped,
    /// Core messages handed to a connection.
    messages_out,
    /// Core messages received.
    messages_in,
    /// Core messages dropped, because the peer could not be reached or its lane was full.
    messages_dropped,
}

/// When the last round of gossip was. Whoever asks need not wait for the thread that gossips, which may stand still.
#[derive(Debug)]
pub(crate) struct Rounds {
    born: Instant,
    last: AtomicU64,
}

impl Rounds {
    pub(crate) fn new() -> Rounds {
        Rounds { born: Instant::now(), last: AtomicU64::new(0) }
    }

    /// There was one.
    pub(crate) fn note(&self) {
        self.last.store(self.born.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// Time since the last, or since the start.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_micros(self.last.load(Ordering::Relaxed)))
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}
