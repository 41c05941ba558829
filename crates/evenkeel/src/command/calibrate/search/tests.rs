//! Curves of throughput that are made up.

use proptest::prelude::*;

use super::*;

/// The search along a curve, with memory for so many. Returns it, and the numbers that were tried.
fn along(most: u32, fitting: u32, mut curve: impl FnMut(u32) -> f64) -> (Search, Vec<u32>) {
    let mut search = Search::new(most);
    let mut tried = Vec::new();
    while let Next::Measure(number) = search.next() {
        assert!((1..=most).contains(&number));
        tried.push(number);
        search.record(number, curve(number));
        search.fits(fitting);
        assert!(tried.len() <= MOST_MEASUREMENTS);
    }
    (search, tried)
}

/// Up to `knee` each further one gets as much done, then none does.
fn linear_then_flat(knee: f64) -> impl Fn(u32) -> f64 {
    move |number| f64::from(number).min(knee)
}

/// A repeatable disturbance of up to this part.
fn noise(part: f64, seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1.0 + part * ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    }
}

#[test]
fn two_processors_make_two() {
    let (search, tried) = along(64, u32::MAX, linear_then_flat(2.0));
    assert_eq!(search.answer(), Some(Answer { number: 2, best: 2, reason: Reason::Flat }));
    assert_eq!(
        tried,
        [1, 2, 4, 8, 3, 2, 1, 2, 1],
        "two flat steps end the climb, a crest is looked for, and what matters is repeated"
    );
}

#[test]
fn one_at_a_time_may_be_best() {
    let (search, _) = along(64, u32::MAX, |_| 3.0);
    assert_eq!(search.answer(), Some(Answer { number: 1, best: 1, reason: Reason::Flat }));
    let (search, tried) = along(64, u32::MAX, |number| 1.0 / f64::from(number));
    assert_eq!(search.answer(), Some(Answer { number: 1, best: 1, reason: Reason::Falling }));
    assert!(tried.iter().all(|number| *number <= 2), "{tried:?}");
    let (search, _) = along(1, u32::MAX, |_| 3.0);
    assert_eq!(search.answer().unwrap().number, 1);
}

#[test]
fn what_sleeps_grows_up_to_the_most() {
    let (search, _) = along(100, u32::MAX, f64::from);
    let answer = search.answer().unwrap();
    assert_eq!((answer.best, answer.reason), (100, Reason::Growing));
    assert!(answer.number >= 95);
}

#[test]
fn before_its_end_it_knows_as_much_as_was_measured() {
    let mut search = Search::new(100);
    assert_eq!((search.answer(), search.next()), (None, Next::Measure(1)));
    search.record(1, 1.0);
    search.record(2, 2.0);
    assert_eq!(search.answer(), Some(Answer { number: 2, best: 2, reason: Reason::Growing }));
}

#[test]
fn a_single_wild_measurement_does_not_decide() {
    let mut first = true;
    let (search, _) = along(64, u32::MAX, |number| {
        let wild = number == 8 && std::mem::take(&mut first);
        f64::from(number.min(4)) * if wild { 1.5 } else { 1.0 }
    });
    assert_eq!(search.answer().unwrap().number, 4);
}

proptest! {
    #[test]
    fn the_knee_is_found(knee in 1.0..200.0f64) {
        let (search, _) = along(256, u32::MAX, linear_then_flat(knee));
        let number = f64::from(search.answer().unwrap().number);
        prop_assert!(number >= knee * NEAR - 1e-9 && number <= (knee * 1.15).max(knee + 1.0), "{number} for {knee}");
    }

    #[test]
    fn beyond_a_peak_there_is_no_answer(peak in 1.0..100.0f64, steepness in 0.2..2.0f64) {
        let curve = |number: u32| {
            let number = f64::from(number);
            if number <= peak { number } else { peak * (peak / number).powf(steepness) }
        };
        let (search, _) = along(256, u32::MAX, curve);
        let answer = search.answer().unwrap();
        // Only whole numbers can be tried, and not all of them are.
        let whole = (1..=128).map(curve).fold(0.0, f64::max);
        prop_assert!(f64::from(answer.number) <= (peak + 1.0).max(peak * 1.2), "{answer:?} for {peak}");
        prop_assert!(curve(answer.number) >= 0.75 * whole, "{answer:?} for {peak}");
    }

    #[test]
    fn noise_costs_a_part_of_what_could_be_had(knee in 1.0..100.0f64, part in 0.0..0.1f64, seed: u64) {
        let mut disturb = noise(part, seed);
        let curve = linear_then_flat(knee);
        let (search, tried) = along(128, u32::MAX, |number| curve(number) * disturb());
        let answer = search.answer().unwrap();
        prop_assert!(tried.len() <= MOST_MEASUREMENTS);
        prop_assert!(curve(answer.number) >= knee.floor().max(1.0) * 0.8, "{answer:?} for {knee}");
// Where noise is larger than what is looked for, the answer may be too large, but what it gets done is right.
        if part <= 0.02 {
            prop_assert!(f64::from(answer.number) <= knee * 1.8 + 2.0, "{answer:?} for {knee}");
        }
    }

    #[test]
    fn what_does_not_fit_is_never_tried(fitting in 1u32..100, knee in 1.0..300.0f64) {
        // It is known from the first measurement on.
        let (search, tried) = along(256, fitting, linear_then_flat(knee));
        prop_assert!(tried.iter().all(|number| *number <= fitting), "{tried:?}");
        let answer = search.answer().unwrap();
        prop_assert!(answer.number <= fitting);
        if knee > f64::from(fitting) * 1.1 && fitting > 1 {
            prop_assert_eq!(answer.reason, Reason::Memory);
        }
    }

    #[test]
    fn any_measurements_come_to_an_end(values in prop::collection::vec(0.0..1e9f64, 1..60), most in 1u32..70_000) {
        let mut place = 0;
        let (search, _) = along(most, u32::MAX, |_| { place += 1; values[place % values.len()] });
        prop_assert!(search.answer().is_some());
    }
}
