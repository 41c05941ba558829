//! How much is done in a second while all slots are in use: reckoned from when each document started and ended.
//!
//! Ends alone do not tell. Documents that start together end together, so that it would depend on when one stops
//! counting; and where all wait for one thing, the first have waited for less than those after them. So counting begins
//! when as many have ended as there are slots, and what is under way at either end of that time counts by how far it is.

/// One document's run, in seconds since the first began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Course {
    pub(super) started: f64,
    /// `None`: it was killed, and would have taken longer.
    pub(super) ended: Option<f64>,
    pub(super) length: f64,
}

/// What is done in a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    pub(super) documents: f64,
    pub(super) length: f64,
}

/// Rounds of documents after which there is enough to tell: one to begin with, and those that are counted.
pub(super) const ROUNDS: usize = 3;

/// The rate of these runs on so many slots, all of which were in use until `until`.
pub(super) fn rate(courses: &[Course], slots: usize, until: f64) -> Rate {
    let mut ends: Vec<f64> = courses.iter().filter_map(|course| course.ended).filter(|end| *end <= until).collect();
    ends.sort_by(f64::total_cmp);
    if ends.len() < 2 * slots {
        // Too few have ended to tell a beginning from the rest. Up to the last end is the best guess.
        return match ends.last() {
            Some(last) => {
                per_second(courses.iter().filter(|course| course.ended.is_some_and(|end| end <= *last)), *last)
            }
            None => Rate::default(),
        };
    }
    let from = ends[slots - 1];
    let counted = || courses.iter().filter(move |course| course.ended.is_some_and(|end| from < end && end <= until));
    let (count, length, seconds) = counted().fold((0.0, 0.0, 0.0), |(count, length, seconds), course| {
        let took = course.ended.map_or(0.0, |end| end - course.started);
        (count + 1.0, length + course.length, seconds + took)
    });
    if until <= from || count == 0.0 {
        return Rate::default();
    }
    let (each, pace) = (seconds / count, if seconds > 0.0 { length / seconds } else { 0.0 });
    let under_way = |time: f64| {
        let these =
            courses.iter().filter(move |course| course.started < time && course.ended.is_none_or(|end| end > time));
        these.fold((0.0, 0.0), |(documents, length), course| {
            let so_far = time - course.started;
            (documents + (so_far / each).min(1.0), length + (so_far * pace).min(course.length))
        })
    };
    let (begun, left) = (under_way(from), under_way(until));
    Rate {
        documents: ((count + left.0 - begun.0) / (until - from)).max(0.0),
        length: ((length + left.1 - begun.1) / (until - from)).max(0.0),
    }
}

fn per_second<'a>(courses: impl Iterator<Item = &'a Course>, seconds: f64) -> Rate {
    let (documents, length) = courses.fold((0.0, 0.0), |sums, course| (sums.0 + 1.0, sums.1 + course.length));
    if seconds > 0.0 { Rate { documents: documents / seconds, length: length / seconds } } else { Rate::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// So many slots that are filled again until `until`. `takes` tells how long the document of that number takes if it
    /// is started then.
    fn run(slots: usize, until: f64, mut takes: impl FnMut(usize, f64) -> f64) -> Vec<Course> {
        let mut free: Vec<f64> = vec![0.0; slots];
        let mut courses = Vec::new();
        loop {
            let slot = (0..slots).min_by(|a, b| free[*a].total_cmp(&free[*b])).unwrap();
            let started: f64 = free[slot];
            if started >= until {
                return courses;
            }
            let took = takes(courses.len(), started);
            free[slot] = started + took;
            courses.push(Course { started, ended: Some(free[slot]), length: 1.0 });
        }
    }

    proptest! {
        #[test]
        fn documents_in_step_are_counted_right_whenever_one_stops(slots in 1usize..100, until in 2.1..9.0f64) {
            let rate = rate(&run(slots, until, |_, _| 0.5), slots, until);
            let right = slots as f64 / 0.5;
            prop_assert!((rate.documents / right - 1.0).abs() < 1e-6, "{rate:?} for {right}");
            prop_assert!((rate.length / right - 1.0).abs() < 1e-6, "{rate:?} for {right}");
        }

        #[test]
        fn what_waits_for_one_thing_gets_no_more_done_by_more(slots in 1usize..40, until in 4.0..9.0f64) {
            // Each has it for a tenth of a second, and those that came before have it first.
            let mut free = 0.0_f64;
            let courses = run(slots, until, |_, started| {
                free = free.max(started) + 0.1;
                free - started
            });
            let rate = rate(&courses, slots, until);
            prop_assert!((rate.documents / 10.0 - 1.0).abs() < 0.06, "{rate:?}");
        }

        #[test]
        fn unequal_documents_are_counted_right(slots in 1usize..20, seed in 0u64..1_000) {
            let mut state = seed;
            let courses = run(slots, 600.0, |_, _| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                0.1 + (state >> 40) as f64 / (1u64 << 24) as f64
            });
            let rate = rate(&courses, slots, 600.0);
            let right = slots as f64 / 0.6;
            prop_assert!((rate.documents / right - 1.0).abs() < 0.15, "{rate:?} for {right}");
        }

        #[test]
        fn anything_gives_a_rate(
            courses in prop::collection::vec((0.0..10.0f64, any::<Option<f64>>(), 0.0..1e6f64), 0..40),
            slots in 1usize..10,
            until in 0.0..20.0f64,
        ) {
            let course = |(started, took, length): &(f64, Option<f64>, f64)| Course {
                started: *started,
                ended: took.map(|took| started + (took.abs() % 10.0)).filter(|end| end.is_finite()),
                length: *length,
            };
            let rate = rate(&courses.iter().map(course).collect::<Vec<_>>(), slots, until);
            prop_assert!(rate.documents >= 0.0 && rate.length >= 0.0);
        }
    }

    #[test]
    fn few_documents_say_something_too() {
        // Eight that share two processors end together.
        let courses = run(8, 5.0, |_, _| 4.0);
        assert_eq!(rate(&courses, 8, 5.0).documents, 2.0);
        assert_eq!(rate(&[], 1, 5.0), Rate::default());
    }
}
