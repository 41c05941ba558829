//! Who should have what: the pure arithmetic of allocation, averaging, takeover and equilibrium.
//!
//! Every function here is stateless and total: it decides from the numbers it is given, never panics, and gives the
//! same answer on every machine. Nothing here knows of time, messages, epochs or the documents' whereabouts.
//!
//! *Work* is what documents weigh together: their lengths, or their number where the metric is the count. Which of the
//! two is settled once, by [`weigh`]; everything but [`allocate()`] is given weights. A node's *level* is its work
//! over its capacity, its capacity slots times speed. In count mode every speed is to be given as 1.

mod allocate;
mod choose;
mod grant;
mod guard;
mod heir;
mod plan;
mod rate;
mod regret;
mod speed;
mod standing;
#[cfg(test)]
mod tests;

pub use allocate::allocate;
pub use choose::{Packing, Parcel};
pub use grant::{Terms, grant, psi};
pub use guard::{Guard, SlowRule};
pub use heir::{heir, holders};
pub use plan::{Row, plan};
pub use rate::RateEstimate;
pub use regret::{EPSILON, Equilibrium, best_response, equilibrium, regret};
pub use speed::{Measured, Speeds, speeds};
pub use standing::{Standing, mean_level, weigh};
