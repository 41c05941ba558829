//! The terminal: taken for the whole screen, and given back as it was, however the program ends.

use std::io::{self, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, backend::CrosstermBackend};

/// The terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, as long as it is ours.
pub(super) struct Taken(Terminal<CrosstermBackend<Stdout>>);

impl Taken {
    /// Takes it.
    pub(super) fn take() -> io::Result<Taken> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // Else the words would be lost on the other screen, and the shell be left without echo.
                give_back();
                before(panic);
            }));
        });
        enter()?;
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => Ok(Taken(terminal)),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws what has changed since the last time.
    pub(super) fn draw(&mut self, draw: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        self.0.draw(|frame| draw(frame.area(), frame.buffer_mut())).map(drop)
    }

    /// Gives the terminal back while the program stops, as a shell wants it, and takes it again when it goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        enter()?;
        // As if it had another size: all is drawn anew, and the terminal is not asked where its cursor is, since keys that are
        // waiting would be in the way of the answer.
        let size = self.0.size()?;
        self.0.resize(size.into())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode().and_then(|()| execute!(stdout(), EnterAlternateScreen));
    if entered.is_err() {
        give_back();
    }
    entered
}

/// Gives it back, if it is ours. It may be gone, and then there is nothing to be done.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Taken;
    use crate::command::top::pty::Terminal;

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_told_on_it() {
        const WITHIN: &str = "EVENKEEL_TEST_IN_A_TERMINAL";
        if std::env::var_os(WITHIN).is_some() {
            let _taken = Taken::take().unwrap();
            panic!("in the midst of it");
        }
        // This very test, in a terminal.
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = std::thread::current().name().unwrap().to_owned();
        command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env(WITHIN, "1").env("RUST_BACKTRACE", "0");
        let mut terminal = Terminal::start(command, 100, 40);
        assert!(!terminal.end().success());
        terminal.shows("in the midst of it");
        terminal.until("the terminal is as it was", |_| terminal.is_as_before());
    }
}
