//! What a picture must have, found by reading it as XML.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

use super::*;
use crate::check::Checkers;
use crate::run::{Outcome, record};
use crate::scenario::Scenario;
use crate::suite;
use crate::trace::Subject;

const SVG: &str = "http://www.w3.org/2000/svg";

fn scenario(text: &str) -> Scenario {
    suite::parse(&format!("why = 'x'\nseeds = '0'\n{text}")).expect("a scenario")
}

fn film(scenario: &Scenario, seed: u64) -> Outcome {
    record(&scenario.options(seed), seed, Subject::Nothing, Checkers::all(), &scenario.wanted(true))
}

fn picture(outcome: &Outcome, scenario: &str, name: &str) -> String {
    let heading = Heading { scenario, seed: outcome.seed };
    let all = pictures(heading, &outcome.recording);
    all.into_iter().find(|picture| picture.name == name).expect("there is such a picture").svg
}

/// The groups of a class.
fn groups<'a>(picture: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    picture
        .descendants()
        .filter(|node| node.has_tag_name((SVG, "g")) && node.attribute("class") == Some(class))
        .collect()
}

fn texts(picture: &Document<'_>) -> Vec<String> {
    let texts = picture.descendants().filter(|node| node.tag_name().name() == "text");
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

/// Three machines of two slots, of which one is lost, in a network that is cut now and then.
const TROUBLE: &str = "[world.cluster]\nnodes = 3\nmax-process = [2]\n\
    [[world.work]]\ndocuments = 60\nlengths = { uniform = { low = 500, high = 4000 } }\n\
    [world.faults]\namnesia = '1/1'\ncrash = { every = '10s', lasts = '1s' }\n\
    pause = { every = '6s', lasts = '1s..4s' }\npartition = { every = '8s', lasts = '1s..5s' }\n\
    [world.phases]\nfaults = '30s'";

#[test]
fn every_picture_is_well_formed_and_says_of_what_it_is() {
    let outcome = film(&scenario(TROUBLE), 1);
    let name = "trouble\u{1b}& <woe>";
    for Picture { name: shown, svg } in pictures(Heading { scenario: name, seed: 1 }, &outcome.recording) {
        let picture = Document::parse(&svg).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let texts = texts(&picture);
        assert!(texts.iter().any(|text| text.starts_with("trouble & <woe>, seed 1: ")), "{shown}: {texts:?}");
        let says = |what: &str| texts.iter().any(|text| text.contains(what));
        assert!(says("virtual time") && says("3 machines at the beginning, 60 documents"), "{shown}: {texts:?}");
        let numbers =
            picture.descendants().flat_map(|node| ["x", "y", "width", "height"].map(|name| node.attribute(name)));
        for number in numbers.flatten() {
            assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{shown}: {number}");
        }
    }
}

#[test]
fn a_lane_for_each_slot_of_each_machine_that_ever_was_there() {
    let outcome = film(&scenario(TROUBLE), 1);
    let film = outcome.recording.film.as_ref().expect("it was recorded");
    let svg = picture(&outcome, "trouble", "timeline");
    let picture = Document::parse(&svg).expect("XML");
    let lanes = groups(&picture, "lane");
    let machines: BTreeSet<&str> = lanes.iter().filter_map(|lane| lane.attribute("data-machine")).collect();
    let joined = film.marks.iter().filter(|mark| mark.what == crate::record::What::Joined).count();
    assert!(joined > 0, "this seed replaces what it loses");
    assert_eq!((machines.len(), lanes.len()), (3 + joined, 2 * (3 + joined)));
    let documents: usize =
        lanes.iter().map(|lane| lane.children().filter(|node| node.has_tag_name((SVG, "rect"))).count()).sum();
    let ran = film.lanes.runs.iter().filter(|run| run.end != crate::record::End::Unstarted).count();
    assert_eq!(documents, ran, "none is so short here that it is drawn with another");
    assert!(texts(&picture).iter().any(|text| text == "lost with its machine"));
    assert!(texts(&picture).iter().any(|text| text == "network cut"));
}

#[test]
fn no_two_documents_are_in_one_slot_at_once() {
    let outcome = film(&scenario(TROUBLE), 2);
    let lanes = &outcome.recording.film.as_ref().expect("it was recorded").lanes;
    assert!(lanes.runs.len() >= 60);
    for (number, run) in lanes.runs.iter().enumerate() {
        assert!(run.from <= run.to && run.slot < 2);
        let mut same =
            lanes.runs[..number].iter().filter(|other| (other.machine, other.slot) == (run.machine, run.slot));
        let before = same.next_back();
        assert!(before.is_none_or(|before| before.to <= run.from), "{before:?} and {run:?}");
    }
}

#[test]
fn a_line_for_each_machine_and_a_summary_where_there_are_many() {
    let lines = |nodes: usize| {
        let text = format!("[world.cluster]\nnodes = {nodes}\nmax-process = [1]\n[[world.work]]\ndocuments = 40");
        let svg = picture(&film(&scenario(&text), 0), "few", "pending");
        let picture = Document::parse(&svg).expect("XML");
        (groups(&picture, "series").len(), groups(&picture, "summary").len())
    };
    assert_eq!(lines(3), (3, 0));
    assert_eq!(lines(12), (12, 3));
}

#[test]
fn a_large_world_is_thinned_out_and_says_so() {
    let text = "[world.cluster]\nnodes = 30\nmax-process = [8]\n[[world.work]]\ndocuments = 300";
    let svg = picture(&film(&scenario(text), 0), "large", "timeline");
    let picture = Document::parse(&svg).expect("XML");
    assert_eq!(groups(&picture, "lane").len(), 80);
    assert!(
        texts(&picture).iter().any(|text| text.contains("One machine in 3 is shown: 10.")),
        "{:?}",
        texts(&picture)
    );
}

#[test]
fn bars_have_the_counts_of_the_white_paper() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../simulations/white-paper.toml");
    let scenario = suite::parse(&std::fs::read_to_string(path).expect("it is there")).expect("a scenario");
    let outcome = film(&scenario, scenario.seeds.0.start);
    assert_eq!(scenario.unmet(&outcome), Vec::<String>::new());
    let svg = picture(&outcome, "white-paper", "levels");
    let picture = Document::parse(&svg).expect("XML");
    let panels = groups(&picture, "panel").into_iter().map(|panel| {
        let bars = panel.children().filter(|node| node.attribute("class") == Some("bar"));
        bars.filter_map(|bar| bar.attribute("data-count")).collect::<Vec<_>>().join(" ")
    });
    assert_eq!(panels.collect::<Vec<_>>(), ["250 250 250 250", "100 150 175 200", "150 162 163 150"]);
    for count in ["250", "100", "175", "200", "162", "163"] {
        assert!(texts(&picture).iter().any(|text| text == count), "{count} stands at no bar");
    }
}
