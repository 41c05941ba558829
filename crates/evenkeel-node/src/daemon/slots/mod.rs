//! `max_process = "auto"`: the node finds out while it works how many documents it can bear to run at once.
//!
//! `control` decides, and knows neither a clock nor a machine; here is what it is told, and what becomes of what it says.

mod control;
#[cfg(test)]
mod tests;
mod trial;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::Input;
use tokio::time::Instant;

use self::control::{Bounds, Controller, Sample};
use self::trial::Ran;
use super::engine::Orders;
use crate::machine::{Gauge, Reading};
use crate::process::Ended;

/// Time between two looks at the machine. Memory can be used up within seconds, and averages of pressure are made anew every
/// two.
const LOOK: Duration = Duration::from_millis(500);

/// Ends that are remembered between two looks: thousands of short documents may end in that time, and fewer tell as much.
const REMEMBERED: usize = 4_096;

/// Documents that have ended since the controller last looked.
#[derive(Debug)]
pub(super) struct Ledger {
    born: Instant,
    ran: Mutex<Vec<Ran>>,
}

impl Ledger {
    pub(super) fn new(born: Instant) -> Ledger {
        Ledger { born, ran: Mutex::default() }
    }

    /// A document of this weight has ended.
    pub(super) fn note(&self, ended: &Ended, weight: f64) {
        if ended.stopped {
            return;
        }
        let took = Duration::from_micros(ended.wall_micros);
        let mut ran = self.ran.lock().unwrap_or_else(PoisonError::into_inner);
        if ran.len() < REMEMBERED {
            let started = self.born.elapsed().saturating_sub(took);
            ran.push(Ran { started, took, weight, peak: ended.max_rss_bytes });
        }
    }

    fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut self.ran.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks at the machine and sets the node's slots, until the node's loop has ended.
pub(super) async fn control(gauge: Arc<dyn Gauge>, ledger: Arc<Ledger>, orders: Orders, start: u32, most: u32) {
    let mut controller = Controller::new(Bounds { start, most });
    let mut before = gauge.read();
    loop {
        tokio::time::sleep(LOOK).await;
        let asked = orders.ask(|node| {
            (node.max_process(), node.slots_in_use() as u32, node.waiting(), node.gives_away() || node.has_left())
        });
        let Some((slots, in_use, waiting, leaving)) = asked.await else { return };
        if leaving {
            // It starts nothing, so that there is nothing to find out.
            continue;
        }
        let reading = gauge.read();
        let sample = sample(&ledger, &reading, &before, (slots, in_use, waiting));
        before = reading;
        if let Some(change) = controller.consider(&sample) {
            tracing::info!(from = slots, to = change.slots, why = %change.why, "max_process changes");
            orders.input(Input::Slots(change.slots));
        }
    }
}

fn sample(ledger: &Ledger, reading: &Reading, before: &Reading, (slots, in_use, waiting): (u32, u32, u64)) -> Sample {
    Sample {
        now: ledger.born.elapsed(),
        slots,
        in_use,
        waiting,
        ran: ledger.take(),
        busy: reading.busy_since(before),
        memory: reading.memory,
        stall: reading.memory_stall.map(|stall| (stall.some, stall.full)),
    }
}
