//! The example inputs of the repository are what they say they are.

use std::path::{Path, PathBuf};

use evenkeel::input::{Documents, Measure, Options, Place, Source};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inputs").join(name)
}

fn lengths(source: Source, measure: Option<Measure>) -> Vec<u64> {
    Documents::open(source, Options { measure, ..Options::default() })
        .unwrap()
        .map(|document| document.unwrap().length.0)
        .collect()
}

#[test]
fn lines_are_read() {
    assert_eq!(lengths(Source::Lines(Place::File(example("lines.txt"))), None).len(), 8);
}

#[test]
fn orders_have_pages() {
    let pages = || Some(Measure::Field("pages".into()));
    let jsonl = Source::JsonLines(Place::File(example("orders.jsonl")));
    assert_eq!(lengths(jsonl.clone(), pages()), [3, 120, 1, 48, 12, 7]);
    assert_eq!(lengths(jsonl, Some(Measure::Field("size.bytes".into())))[2], 4096);
    assert_eq!(lengths(Source::Csv(Place::File(example("orders.csv"))), pages()), [3, 120, 1, 48, 12, 7]);
}

#[test]
fn files_are_found() {
    let pattern = example("orders.*").into_os_string();
    assert_eq!(lengths(Source::Files(vec![pattern]), None).len(), 2);
}
