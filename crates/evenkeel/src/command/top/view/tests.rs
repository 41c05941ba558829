//! Screens as text. Trailing spaces are kept away from the snapshots; colours are looked at beside them.

use std::time::Duration;

use evenkeel_core::ids::{DocId, DocNumber};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::{Look, draw};
use crate::command::top::picture::{Heard, Picture};
use crate::command::top::sample::{RUNNING, explanation, failed_line, keys, picture};
use crate::command::top::screen::Screen;

const FULL: Look = Look { colour: true, utf8: true };

fn terminal(picture: &Picture, screen: &mut Screen, look: Look, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.scrolled = draw(picture, screen, look, frame.area(), frame.buffer_mut())).unwrap();
    terminal
}

/// The screen after these keys.
fn shown(picture: &Picture, letters: &str, look: Look, size: (u16, u16)) -> String {
    let mut screen = Screen::default();
    keys(&mut screen, picture, letters);
    let terminal = terminal(picture, &mut screen, look, size);
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(size.0)).map(|line| {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn with_stories() -> Picture {
    let mut picture = picture();
    let failed = [3, 17, 900].map(|number| failed_line(number, b"", b"")).to_vec();
    picture.hear(Heard::Failed(RUNNING, Ok(failed)), Duration::from_secs(6));
    let doc = DocId { batch: RUNNING, number: DocNumber(17) };
    picture.hear(Heard::Story(doc, Ok(Box::new(explanation(17)))), Duration::from_secs(6));
    picture
}

#[test]
fn the_overview_fits_every_screen() {
    let picture = picture();
    for size in [(80, 24), (120, 40), (40, 10), (60, 16)] {
        insta::assert_snapshot!(format!("overview_{}x{}", size.0, size.1), shown(&picture, "", FULL, size));
    }
    insta::assert_snapshot!("batches_40x10", shown(&picture, "2", FULL, (40, 10)));
    assert_eq!(shown(&picture, "", FULL, (19, 4)).trim(), "too small: 20 x 6");
}

#[test]
fn there_is_a_page_for_everything() {
    let picture = with_stories();
    for (name, letters) in
        [("node", "\n"), ("batch", "2\n"), ("document", "2\nj\n"), ("help", "?"), ("events_of_documents", "3v")]
    {
        insta::assert_snapshot!(format!("{name}_80x24"), shown(&picture, letters, FULL, (80, 24)));
    }
    insta::assert_snapshot!("document_40x10", shown(&picture, "2\nj\njj", FULL, (40, 10)));
}

#[test]
fn questions_and_refusals_are_whole_on_a_narrow_screen() {
    let picture = picture();
    let foot = |letters: &str, size| {
        let shown = shown(&picture, letters, FULL, size);
        shown.lines().skip(usize::from(size.1) - 5).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("confirm_cancel_80x24", foot("2c", (80, 24)));
    insta::assert_snapshot!("confirm_drain_40x10", foot("d", (40, 10)));
    insta::assert_snapshot!("refused_40x10", foot("3s", (40, 10)));
    insta::assert_snapshot!("filter_80x24", foot("/node4", (80, 24)));
}

#[test]
fn a_lost_node_is_said_on_top() {
    let mut picture = picture();
    let reason = "http://10.0.0.1:7117: connection refused".to_owned();
    let lost = || Heard::Lost { reason: reason.clone(), trying: "http://10.0.0.4:7117/".to_owned() };
    picture.hear(lost(), Duration::from_secs(10));
    picture.hear(lost(), Duration::from_secs(13));
    insta::assert_snapshot!("lost_80x24", shown(&picture, "", FULL, (80, 24)));
}

#[test]
fn an_empty_cluster_says_what_to_do() {
    let picture = Picture::new("http://10.0.0.1:7117/".to_owned());
    insta::assert_snapshot!("empty_80x24", shown(&picture, "", FULL, (80, 24)));
}

#[test]
fn without_utf8_there_is_ascii_only() {
    let picture = with_stories();
    let ascii = Look { colour: false, utf8: false };
    for letters in ["", "\n", "2\n", "2\nj\n", "?", "3v"] {
        let shown = shown(&picture, letters, ascii, (80, 24));
        assert!(shown.is_ascii(), "{shown}");
    }
    insta::assert_snapshot!("ascii_80x24", shown(&picture, "", ascii, (80, 24)));
}

#[test]
fn who_wants_no_colours_gets_none_and_the_same_words() {
    let picture = picture();
    for (colour, utf8) in [(true, true), (false, true)] {
        let terminal = terminal(&picture, &mut Screen::default(), Look { colour, utf8 }, (80, 24));
        let colours = terminal.backend().buffer().content.iter().filter(|cell| cell.fg != Color::Reset).count();
        assert_eq!(colours > 0, colour);
    }
    let plain = Look { colour: false, utf8: true };
    assert_eq!(shown(&picture, "", plain, (80, 24)), shown(&picture, "", FULL, (80, 24)));
}
