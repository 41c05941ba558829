//! Through which pending counts a world has passed: those that were expected, and those that averaging made.

use std::io::{self, Write};

use evenkeel_core::units::Micros;
use evenkeel_sim::record::{Passage, Seen, State};
use serde_json::{Value, json};

/// Counts that are printed in a line; of more only the first and the last are.
const SHOWN: usize = 8;

/// What was seen of each expectation, and the counts over the averaging in one line.
pub(super) fn table(out: &mut impl Write, seed: u64, passage: &Passage) -> io::Result<()> {
    for (name, seen) in passage.names.iter().zip(&passage.seen) {
        match seen {
            Seen::Met(state) => writeln!(out, "  seed {seed}: {} pending at {}: {name}", state.told(), time(state.at))?,
            Seen::Missed(_) => writeln!(out, "  seed {seed}: not seen: {name}")?,
        }
    }
    if !passage.averaging.is_empty() {
        writeln!(out, "  seed {seed}: averaging: {}", averaging(passage))?;
    }
    Ok(())
}

fn averaging(passage: &Passage) -> String {
    let states = &passage.averaging;
    let mut told: Vec<String> = states.iter().map(State::told).collect();
    if told.len() > SHOWN {
        let left_out = told.len() - SHOWN;
        told.splice(SHOWN - 1..told.len() - 1, [format!("({left_out} more)")]);
    }
    let end = match passage.equilibrium {
        Some(at) => format!("in equilibrium at {}", time(at)),
        None => "no equilibrium was seen".to_owned(),
    };
    format!("{}, {end}", told.join(" -> "))
}

fn time(at: Micros) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// The same as JSON.
pub(super) fn value(seed: u64, passage: &Passage) -> Value {
    let state = |state: &State| json!({ "seconds": state.at.as_secs_f64(), "pending": state.pending });
    let expected: Vec<Value> = passage
        .names
        .iter()
        .zip(&passage.seen)
        .map(|(name, seen)| match seen {
            Seen::Met(met) => json!({ "what": name, "met": true, "seen": state(met) }),
            Seen::Missed(nearest) => json!({ "what": name, "met": false, "seen": nearest.as_ref().map(state) }),
        })
        .collect();
    json!({
        "seed": seed,
        "expected": expected,
        "averaging": passage.averaging.iter().map(state).collect::<Vec<_>>(),
        "averaging_skipped": passage.skipped,
        "equilibrium_seconds": passage.equilibrium.map(Micros::as_secs_f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(states: usize, equilibrium: Option<u64>) -> Passage {
        let state = |number: usize| State { at: Micros::from_secs(number as u64), pending: vec![number as u64, 9] };
        Passage {
            names: vec!["level".to_owned(), "never".to_owned()],
            seen: vec![Seen::Met(state(1)), Seen::Missed(Some(state(2)))],
            averaging: (0..states).map(state).collect(),
            equilibrium: equilibrium.map(Micros::from_secs),
            ..Passage::default()
        }
    }

    #[test]
    fn the_counts_are_told_in_one_line() {
        let mut out = Vec::new();
        table(&mut out, 3, &passage(3, Some(7))).expect("memory can be written");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "  seed 3: 1 9 pending at 1.000 s: level\n  seed 3: not seen: never\n  \
             seed 3: averaging: 0 9 -> 1 9 -> 2 9, in equilibrium at 7.000 s\n"
        );
        let long = averaging(&passage(20, None));
        assert!(long.ends_with("-> 6 9 -> (12 more) -> 19 9, no equilibrium was seen"), "{long}");
    }

    #[test]
    fn json_says_what_was_met_and_when() {
        let value = value(3, &passage(2, Some(7)));
        assert_eq!(value["expected"][0]["seen"]["pending"], json!([1, 9]));
        assert_eq!((&value["expected"][1]["met"], &value["equilibrium_seconds"]), (&json!(false), &json!(7.0)));
    }
}
