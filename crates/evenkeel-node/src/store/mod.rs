//! What a node holds besides its state: payloads of segments, and results.
//!
//! Both are written to files without a name in the data directory, which vanish with the process, and indexed in
//! memory: nothing here survives a restart, copies on other nodes do. Knows nothing of who should hold what.

mod health;
mod payloads;
mod results;
mod spool;

pub use health::Health;
pub use payloads::{Payloads, SegmentBytes};
pub use results::Results;
pub use spool::{Extent, Spool};
