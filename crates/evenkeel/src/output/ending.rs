//! How a process ended, in words.

use evenkeel_net::records::Exit;

use crate::input::printable;

/// How a process ended, as it goes on after "it failed: ".
pub fn describe(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
        Exit::TimedOut => "its time ran out".to_owned(),
        Exit::NotStarted(why) => format!("not started: {}", printable(why.as_ref())),
        Exit::Poison => "every node that ran it died".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_its_words() {
        for (exit, words) in [
            (Exit::Status(2), "exit status 2"),
            (Exit::Signal(9), "killed by signal 9"),
            (Exit::TimedOut, "its time ran out"),
            (Exit::NotStarted("no \u{1b}[2J".into()), "not started: no \\u{1b}[2J"),
            (Exit::Poison, "every node that ran it died"),
        ] {
            assert_eq!(describe(&exit), words);
        }
    }
}
