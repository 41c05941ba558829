//! Whether the node makes progress: the figures behind `/livez` and `/readyz`.

use std::time::Duration;

use super::Histogram;
use super::text::Text;

/// See above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// Whether `/livez` says so.
    pub live: bool,
    /// Whether `/readyz` says so.
    pub ready: bool,
    /// How late the loop was at its last turn, or is now.
    pub loop_lag: Duration,
    /// How long the loop took over its turns.
    pub turns: Histogram,
    /// Time since the last round of gossip.
    pub gossip_age: Duration,
    /// Seconds since 1970, by the clock of this host.
    pub time: f64,
    /// Time for which nothing was started though documents wait and slots are free.
    pub idle: Duration,
}

impl Health {
    pub(super) fn write(&self, out: &mut Text) {
        out.gauge("evenkeel_live", "1 while /livez says that this node makes progress.", u8::from(self.live));
        out.gauge("evenkeel_ready", "1 while /readyz says that this node takes work.", u8::from(self.ready));
        let help = "How late the node's loop was at its last turn, or is now.";
        out.gauge("evenkeel_event_loop_lag_seconds", help, self.loop_lag.as_secs_f64());
        let help = "How long the node's loop took over a turn.";
        out.histogram("evenkeel_event_loop_turn_seconds", help, &self.turns);
        let help = "Time since this node's last round of gossip.";
        out.gauge("evenkeel_gossip_age_seconds", help, self.gossip_age.as_secs_f64());
        let help = "Seconds since 1970, by this node's clock.";
        out.gauge("evenkeel_time_seconds", help, self.time);
        let help = "Time for which nothing was started though documents wait and slots are free.";
        out.gauge("evenkeel_start_idle_seconds", help, self.idle.as_secs_f64());
    }
}
