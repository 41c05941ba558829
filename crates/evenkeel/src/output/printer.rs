//! Prints what documents wrote: each one's standard output as a whole, then its standard error, so that documents that
//! ran side by side do not mix.

use std::fmt;
use std::io::{self, Write};

use evenkeel_core::ids::DocNumber;
use evenkeel_net::records::Captured;
use indicatif::{HumanBytes, HumanCount};

use super::Finished;
use super::order::{Order, Output};
use crate::input::reason;

/// Prints finished documents to two streams.
///
/// An error of kind [`io::ErrorKind::BrokenPipe`] means that the reader has gone: stop without a word.
#[derive(Debug)]
pub struct Printer<O, E> {
    out: O,
    err: E,
    order: Option<Order>,
    /// What a document wrote to standard error last did not end its line.
    unended: bool,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// Prints each document as it finishes.
    pub fn as_finished(out: O, err: E) -> Printer<O, E> {
        Printer { out, err, order: None, unended: false }
    }

    /// Prints documents in the order of the input; needs [`Printer::pass`] for those that will not come.
    pub fn in_order(out: O, err: E) -> Printer<O, E> {
        Printer { out, err, order: Some(Order::default()), unended: false }
    }

    /// Prints a document, or holds it back until all before it are out.
    pub fn print(&mut self, finished: Finished<'_>) -> io::Result<()> {
        let output = Output { stdout: finished.record.stdout.clone(), stderr: finished.record.stderr.clone() };
        self.print_output(finished.number, output)
    }

    /// The same for a document of which only the output is at hand.
    pub fn print_output(&mut self, number: DocNumber, output: Output) -> io::Result<()> {
        self.mark_cuts(number, &output);
        match &mut self.order {
            None => self.write(&output),
            Some(order) => {
                order.hold(number, output)?;
                self.write_ready()
            }
        }
    }

    /// Says that this document will not come, so that no other waits for it.
    pub fn pass(&mut self, number: DocNumber) -> io::Result<()> {
        match &mut self.order {
            None => Ok(()),
            Some(order) => {
                order.pass(number);
                self.write_ready()
            }
        }
    }

    /// Prints what is still held back, for when no more will come.
    pub fn finish(&mut self) -> io::Result<()> {
        while let Some(output) = self.order.as_mut().map_or(Ok(None), Order::rest)? {
            self.write(&output)?;
        }
        Ok(())
    }

    /// Says something to the user, on standard error, on a line of its own. That nobody listens is no reason to stop.
    pub fn tell(&mut self, message: impl fmt::Display) {
        self.end_line();
        let _ = writeln!(self.err, "evenkeel: {message}");
    }

    /// Ends the line on standard error that a document has not ended: a message of ours follows.
    pub fn end_line(&mut self) {
        if std::mem::take(&mut self.unended) {
            let _ = self.err.write_all(b"\n");
        }
    }

    fn write_ready(&mut self) -> io::Result<()> {
        while let Some(output) = self.order.as_mut().map_or(Ok(None), Order::ready)? {
            self.write(&output)?;
        }
        Ok(())
    }

    fn write(&mut self, output: &Output) -> io::Result<()> {
        if !output.stdout.bytes.is_empty() {
            let written = self.out.write_all(&output.stdout.bytes).and_then(|()| self.out.flush());
            written.map_err(|error| named(&error, "standard output"))?;
        }
        if let Some(last) = output.stderr.bytes.last() {
            let written = self.err.write_all(&output.stderr.bytes).and_then(|()| self.err.flush());
            written.map_err(|error| named(&error, "standard error"))?;
            self.unended = *last != b'\n';
        }
        Ok(())
    }

    /// Says at once what of the output is missing, even if the output itself has to wait.
    fn mark_cuts(&mut self, number: DocNumber, output: &Output) {
        for (stream, captured) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            let Captured { bytes, dropped } = captured;
            if *dropped > 0 {
                self.tell(format_args!(
                    "document {number}: its {stream} was cut after {}, {} bytes dropped; \
                     --capture SIZE keeps more",
                    HumanBytes(bytes.len() as u64),
                    HumanCount(*dropped),
                ));
            }
        }
    }
}

/// The same error, with the stream that it is about.
fn named(error: &io::Error, stream: &str) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to {stream}: {}", reason(error)))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn documents_are_printed_as_they_finish() {
        let mut printer = Printer::as_finished(Vec::new(), Vec::new());
        for number in [1, 0] {
            printer.print(sample::finished(&sample::record(number, &format!("out {number}\n"), "e\n"))).unwrap();
        }
        assert_eq!((text(&printer.out), text(&printer.err)), ("out 1\nout 0\n", "e\ne\n"));
    }

    #[test]
    fn documents_are_printed_in_order_past_those_that_do_not_come() {
        let mut printer = Printer::in_order(Vec::new(), Vec::new());
        let print = |printer: &mut Printer<_, _>, number| {
            printer.print(sample::finished(&sample::record(number, &format!("{number} "), ""))).unwrap();
        };
        print(&mut printer, 2);
        print(&mut printer, 4);
        print(&mut printer, 0);
        assert_eq!(text(&printer.out), "0 ");
        printer.pass(DocNumber(1)).unwrap();
        assert_eq!(text(&printer.out), "0 2 ");
        printer.finish().unwrap();
        assert_eq!(text(&printer.out), "0 2 4 ");
    }

    #[test]
    fn a_message_has_a_line_of_its_own() {
        let mut printer = Printer::as_finished(Vec::new(), Vec::new());
        for (number, stderr) in [(0, "unended"), (1, "ended\n"), (2, "again"), (3, "unended")] {
            printer.print(sample::finished(&sample::record(number, "", stderr))).unwrap();
            if number != 2 {
                printer.tell(number);
            }
        }
        printer.end_line();
        assert_eq!(
            text(&printer.err),
            "unended\nevenkeel: 0\nended\nevenkeel: 1\nagainunended\nevenkeel: 3\n",
            "what documents write is not touched otherwise"
        );
    }

    #[test]
    fn a_cut_is_marked() {
        let mut record = sample::record(12, "kept", "");
        record.stdout.dropped = 1_234_567;
        let mut printer = Printer::as_finished(Vec::new(), Vec::new());
        printer.print(sample::finished(&record)).unwrap();
        assert_eq!(
            text(&printer.err),
            "evenkeel: document 12: its standard output was cut after 4 B, 1,234,567 bytes dropped; --capture SIZE keeps more\n"
        );
        assert_eq!(text(&printer.out), "kept");
    }

    #[test]
    fn a_reader_that_has_gone_is_reported_as_such() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut printer = Printer::as_finished(Gone, Vec::new());
        let error = printer.print(sample::finished(&sample::record(0, "x", ""))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
