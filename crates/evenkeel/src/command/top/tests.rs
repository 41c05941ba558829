use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use evenkeel_core::ids::{DocId, DocNumber};
use evenkeel_node::api::types::{BatchState, Event, NodeState, Nodes};
use proptest::prelude::*;

use super::picture::{Heard, Link};
use super::rows;
use super::sample::{
    CANCELLED, FINISHED, RUNNING, batch, batches, event, explanation, failed_line, id, keys, node, nodes, picture,
    press,
};
use super::screen::{Action, Ask, Deed, Page, Pane, Prompt, Screen};

#[test]
fn answers_that_say_the_same_change_nothing() {
    let mut picture = picture();
    assert!(!picture.hear(Heard::Nodes(nodes()), Duration::from_secs(6)));
    assert!(picture.hear(Heard::Batches(batches(8_130)), Duration::from_secs(6)), "the rate sinks");
    let ended = vec![batch(FINISHED, BatchState::Finished, 12, 0, 0)];
    assert!(picture.hear(Heard::Batches(ended.clone()), Duration::from_secs(7)));
    assert!(!picture.hear(Heard::Batches(ended), Duration::from_secs(8)));
    assert!(!picture.hear(Heard::Found { url: "http://10.0.0.1:7117/".to_owned() }, Duration::from_secs(9)));
}

#[test]
fn a_batch_has_a_pace_while_it_is_at_work() {
    let picture = picture();
    assert_eq!(picture.rate(RUNNING), Some(130.0 / 4.0));
    assert_eq!(picture.left(picture.batch(RUNNING).unwrap()), Some(Duration::from_secs_f64(11_870.0 / 32.5)));
    assert_eq!((picture.rate(FINISHED), picture.rate(CANCELLED)), (None, None));
}

#[test]
fn a_flood_of_documents_does_not_wash_away_what_matters() {
    let mut picture = picture();
    for number in 0..5_000 {
        let document = DocNumber(number as u32);
        let done = Event::DocumentEnded {
            batch: RUNNING,
            document,
            outcome: evenkeel_core::change::Outcome::Done,
            node: id(1),
        };
        picture.hear(event(100 + number, done), Duration::from_secs(6));
    }
    let words: Vec<String> = picture.events(false).iter().map(|event| picture.words(&event.event)).collect();
    assert_eq!(words.len(), 5);
    assert_eq!(words[0], "node4 took over 1,800 documents of node2, which is gone");
    assert_eq!(picture.events(true).len(), 5 + 200);
}

#[test]
fn the_time_of_a_loss_is_that_of_the_first_try() {
    let mut picture = picture();
    for second in [10, 12] {
        let lost = Heard::Lost { reason: "gone".to_owned(), trying: "http://10.0.0.4:7117/".to_owned() };
        picture.hear(lost, Duration::from_secs(second));
        assert!(matches!(picture.link, Link::Lost { since, .. } if since == Duration::from_secs(10)));
    }
    let mut screen = Screen::default();
    keys(&mut screen, &picture, "d");
    assert_eq!(screen.note, Some(Err("no node answers at the moment: nothing can be done".to_owned())));
    assert_eq!(screen.prompt, None);
}

#[test]
fn lists_are_sorted_and_filtered() {
    let picture = picture();
    let mut screen = Screen::default();
    let names = |screen: &Screen| -> String {
        rows::nodes(&picture, &screen.nodes).iter().map(|node| &node.name[4..5]).collect()
    };
    assert_eq!(names(&screen), "1234");
    for (key, order) in
        [("s", "2314"), ("s", "2143"), ("s", "2134"), ("s", "4321"), ("s", "1432"), ("S", "2341"), ("s", "4321")]
    {
        keys(&mut screen, &picture, key);
        assert_eq!(names(&screen), order, "after {key} by {:?}", screen.nodes.sort);
    }
    keys(&mut screen, &picture, "S/LIVE\n");
    assert_eq!(names(&screen), "14");
    keys(&mut screen, &picture, "\x1b");
    assert_eq!(names(&screen), "1234");

    let ids =
        |screen: &Screen| rows::batches(&picture, &screen.batches).iter().map(|batch| batch.id).collect::<Vec<_>>();
    assert_eq!(ids(&screen), [RUNNING, FINISHED, CANCELLED]);
    keys(&mut screen, &picture, "2sss");
    assert_eq!(ids(&screen)[0], CANCELLED, "by documents");
    keys(&mut screen, &picture, "/finished\n");
    assert_eq!(ids(&screen), [FINISHED]);
}

#[test]
fn what_is_chosen_stays_chosen_wherever_it_goes() {
    let mut picture = picture();
    let mut screen = Screen::default();
    keys(&mut screen, &picture, "jjj");
    assert_eq!(screen.nodes.chosen, Some(id(4)));
    let more =
        Nodes { nodes: [nodes().nodes, vec![node(5, "a-new-one", NodeState::Live, 0, 0.0)]].concat(), ..nodes() };
    picture.hear(Heard::Nodes(more), Duration::from_secs(6));
    keys(&mut screen, &picture, "d");
    assert_eq!(screen.prompt, Some(Prompt::Confirm(Deed::Drain(id(4)))));
    keys(&mut screen, &picture, "njjjjjjjj\n");
    assert_eq!(screen.page(), Some(Page::Node(id(4))), "the last of the list");
}

#[test]
fn nothing_is_done_that_was_not_confirmed() {
    let picture = picture();
    for (letters, deed) in [
        ("2c", Deed::Cancel(RUNNING)),
        ("2\nc", Deed::Cancel(RUNNING)),
        ("2r", Deed::Retry(RUNNING)),
        ("d", Deed::Drain(id(1))),
        ("1\nd", Deed::Drain(id(1))),
    ] {
        let mut screen = Screen::default();
        assert_eq!(keys(&mut screen, &picture, letters), Action::Look);
        assert_eq!(screen.prompt, Some(Prompt::Confirm(deed)), "{letters}");
        let asked = screen.clone();
        assert_eq!(keys(&mut screen, &picture, "y"), Action::Ask(Ask::Do(deed)));
        for other in [KeyCode::Enter, KeyCode::Esc, KeyCode::Char('n'), KeyCode::Char('c'), KeyCode::Char('q')] {
            let mut screen = asked.clone();
            assert_eq!(press(&mut screen, &picture, other), Action::Look, "{other:?}");
            assert_eq!((screen.prompt, screen.note), (None, Some(Ok("nothing was done".to_owned()))));
        }
    }
}

#[test]
fn what_cannot_be_done_is_not_asked_for() {
    let mut picture = picture();
    for (letters, said) in [
        ("c", "c cancels a batch"),
        ("2d", "d drains a node"),
        ("3r", "Tab goes to the list"),
        ("2jc", "has ended: there is nothing to cancel"),
        ("2jr", "no document of batch"),
        ("jd", "node2 is dead"),
        ("jjd", "is draining already"),
        ("3s", "in which they happened"),
        ("2\njjj\x1b2g99999999\n", "has 20,000, numbered from 0"),
    ] {
        let mut screen = Screen::default();
        assert_eq!(keys(&mut screen, &picture, letters), Action::Look);
        let note = screen.note.expect(letters).unwrap_err();
        assert!(note.contains(said) && screen.prompt.is_none(), "{letters}: {note}");
    }
    let alone = Nodes { nodes: nodes().nodes[..3].to_vec(), ..nodes() };
    picture.hear(Heard::Nodes(alone), Duration::from_secs(6));
    let mut screen = Screen::default();
    keys(&mut screen, &picture, "d");
    let note = screen.note.unwrap().unwrap_err();
    assert!(note.contains("the last live node") && note.contains("7,322 documents"), "{note}");
}

#[test]
fn from_a_batch_to_a_document_and_back() {
    let mut picture = picture();
    let mut screen = Screen::default();
    keys(&mut screen, &picture, "2\n");
    assert_eq!((screen.page(), screen.wants(&picture)), (Some(Page::Batch(RUNNING)), Some(Ask::Failed(RUNNING))));
    let failed = vec![failed_line(3, b"", b""), failed_line(17, b"", b""), failed_line(900, b"", b"")];
    picture.hear(Heard::Failed(RUNNING, Ok(failed)), Duration::from_secs(6));
    assert_eq!(screen.wants(&picture), None, "all three are known");
    let listed = Screen::documents(&picture, RUNNING);
    assert_eq!(listed.iter().map(|(number, _)| number.0).collect::<Vec<_>>(), [3, 17, 900, 18], "each once");
    assert_eq!(listed[0].1, "failed: exit status 7, on node4");
    assert_eq!(listed[3].1, "done on node1");

    keys(&mut screen, &picture, "j\n");
    let doc = DocId { batch: RUNNING, number: DocNumber(17) };
    assert_eq!((screen.page(), screen.wants(&picture)), (Some(Page::Document(doc)), Some(Ask::Explain(doc))));
    picture.hear(Heard::Story(doc, Ok(Box::new(explanation(17)))), Duration::from_secs(7));
    assert_eq!(screen.wants(&picture), None, "its story has ended");
    keys(&mut screen, &picture, "\x1b");
    assert_eq!((screen.page(), screen.documents.chosen), (Some(Page::Batch(RUNNING)), Some(DocNumber(17))));
    keys(&mut screen, &picture, "g4711\n");
    assert_eq!(screen.page(), Some(Page::Document(DocId { batch: RUNNING, number: DocNumber(4_711) })));
    keys(&mut screen, &picture, "\x1b\x1b");
    assert_eq!((screen.page(), screen.focus), (None, Pane::Batches));
}

#[test]
fn an_event_leads_to_what_it_is_about() {
    let picture = picture();
    let doc = DocId { batch: RUNNING, number: DocNumber(17) };
    for (letters, page) in [
        ("3\n", Page::Node(id(4))),
        ("3j\n", Page::Node(id(2))),
        ("3jj\n", Page::Document(doc)),
        ("3jjjj\n", Page::Batch(RUNNING)),
        ("3v\n", Page::Document(DocId { batch: RUNNING, number: DocNumber(18) })),
    ] {
        let mut screen = Screen::default();
        keys(&mut screen, &picture, letters);
        assert_eq!(screen.page(), Some(page), "{letters}");
    }
}

#[test]
fn help_is_taken_away_by_any_key_and_the_end_by_two() {
    let picture = picture();
    let mut screen = Screen::default();
    keys(&mut screen, &picture, "?");
    assert!(screen.help);
    assert_eq!((keys(&mut screen, &picture, "j"), screen.help, screen.nodes.chosen), (Action::Look, false, None));
    assert_eq!(keys(&mut screen, &picture, "q"), Action::Quit);
    let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    keys(&mut screen, &picture, "/");
    assert_eq!(
        (screen.key(control('c'), &picture), screen.key(control('z'), &picture)),
        (Action::Quit, Action::Suspend)
    );
}

proptest! {
    /// Whatever is typed, nothing is done to the cluster without a `y`, and the program neither panics nor draws amiss.
    #[test]
    fn any_keys_are_borne(letters in "[\n\t\x1b a-xzA-Z0-9/?]{0,40}", width in 1u16..130, height in 1u16..45) {
        let picture = picture();
        let mut screen = Screen::default();
        let mut buffer = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, width, height));
        for letter in letters.chars().filter(|letter| *letter != 'Y') {
            let action = keys(&mut screen, &picture, &letter.to_string());
            prop_assert!(!matches!(action, Action::Ask(_)));
            let look = super::view::Look { colour: true, utf8: true };
            screen.scrolled = super::view::draw(&picture, &screen, look, buffer.area, &mut buffer);
        }
    }
}
