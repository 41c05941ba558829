//! What is going to happen, in order of time, and of asking where times are equal: the same on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use evenkeel_core::units::Micros;

/// A queue of things to happen.
#[derive(Debug)]
pub(super) struct Queue<E> {
    /// Small keys, so that the heap moves few bytes; the events lie still.
    order: BinaryHeap<Reverse<(Micros, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    asked: u64,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Queue<E> {
        Queue { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), asked: 0 }
    }

    pub(super) fn push(&mut self, at: Micros, event: E) {
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place as usize] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                u32::try_from(self.events.len() - 1).expect("fewer than 2^32 events are under way")
            }
        };
        self.asked += 1;
        self.order.push(Reverse((at, self.asked, place)));
    }

    /// Takes out the next.
    pub(super) fn pop(&mut self) -> Option<(Micros, E)> {
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        let event = self.events[place as usize].take().expect("what is in the order is there");
        Some((at, event))
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Micros> {
        self.order.peek().map(|Reverse((at, _, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn things_happen_in_the_order_of_time_and_then_of_asking(times: Vec<u8>) {
            let mut queue = Queue::new();
            for (number, at) in times.iter().enumerate() {
                queue.push(Micros((*at).into()), number);
            }
            let happened: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            let mut sorted: Vec<_> = times.iter().map(|at| Micros((*at).into())).zip(0..).collect();
            sorted.sort();
            prop_assert_eq!(happened, sorted);
        }
    }
}
