//! Holds back what finished early, so that output can keep the order of the input.
//!
//! A bounded amount is held in memory and the rest in one temporary file without a name, which vanishes with the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use evenkeel_core::ids::DocNumber;
use evenkeel_net::records::Captured;

/// Most bytes of output held in memory.
const MEMORY: usize = 64 << 20;

/// Output of one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
}

/// Outputs that wait for an earlier document.
#[derive(Debug)]
pub struct Order {
    next: u64,
    held: BTreeMap<u64, Held>,
    memory_limit: usize,
    in_memory: usize,
    spill: Option<Spill>,
}

#[derive(Debug)]
enum Held {
    /// Nothing will come.
    Nothing,
    Memory(Output),
    Spilled {
        at: u64,
        stdout: Piece,
        stderr: Piece,
    },
}

/// Size of captured bytes, and how many were dropped.
#[derive(Debug, Clone, Copy)]
struct Piece {
    kept: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Spill {
    file: File,
    end: u64,
    pieces: usize,
}

impl Default for Order {
    fn default() -> Order {
        Order::holding(MEMORY)
    }
}

impl Order {
    fn holding(memory_limit: usize) -> Order {
        Order { next: 0, held: BTreeMap::new(), memory_limit, in_memory: 0, spill: None }
    }

    /// Takes a document's output. If it is too much to hold, the error is that of the temporary file.
    pub fn hold(&mut self, number: DocNumber, output: Output) -> io::Result<()> {
        let size = output.stdout.bytes.len() + output.stderr.bytes.len();
        let number = u64::from(number.0);
        let held = if number == self.next || self.in_memory + size <= self.memory_limit {
            self.in_memory += size;
            Held::Memory(output)
        } else {
            self.spill(&output)?
        };
        self.held.insert(number, held);
        Ok(())
    }

    /// Says that this document will have no output: it was skipped, or cancelled.
    pub fn pass(&mut self, number: DocNumber) {
        self.held.entry(u64::from(number.0)).or_insert(Held::Nothing);
    }

    /// The next output in order, if it is there; outputs without bytes are returned too.
    pub fn ready(&mut self) -> io::Result<Option<Output>> {
        loop {
            let Some(held) = self.held.remove(&self.next) else { return Ok(None) };
            self.next += 1;
            match held {
                Held::Nothing => {}
                held => return self.fetch(held).map(Some),
            }
        }
    }

    /// The next output in order, past documents of which nothing came: for the end, when nothing more will.
    pub fn rest(&mut self) -> io::Result<Option<Output>> {
        if let Some((first, _)) = self.held.first_key_value() {
            self.next = *first;
        }
        self.ready()
    }

    fn fetch(&mut self, held: Held) -> io::Result<Output> {
        match held {
            Held::Nothing => Ok(Output::default()),
            Held::Memory(output) => {
                self.in_memory -= output.stdout.bytes.len() + output.stderr.bytes.len();
                Ok(output)
            }
            Held::Spilled { at, stdout, stderr } => {
                let spill = self.spill.as_mut().ok_or(io::ErrorKind::NotFound)?;
                let mut bytes = vec![0; stdout.kept + stderr.kept];
                spill.file.read_exact_at(&mut bytes, at)?;
                spill.pieces -= 1;
                if spill.pieces == 0 {
                    spill.file.set_len(0)?;
                    spill.end = 0;
                }
                let mut bytes = Bytes::from(bytes);
                let rest = bytes.split_off(stdout.kept);
                Ok(Output {
                    stdout: Captured { bytes, dropped: stdout.dropped },
                    stderr: Captured { bytes: rest, dropped: stderr.dropped },
                })
            }
        }
    }

    fn spill(&mut self, output: &Output) -> io::Result<Held> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill { file: tempfile::tempfile()?, end: 0, pieces: 0 }),
        };
        let at = spill.end;
        spill.file.write_all_at(&output.stdout.bytes, at)?;
        spill.file.write_all_at(&output.stderr.bytes, at + output.stdout.bytes.len() as u64)?;
        let piece = |captured: &Captured| Piece { kept: captured.bytes.len(), dropped: captured.dropped };
        spill.end += (output.stdout.bytes.len() + output.stderr.bytes.len()) as u64;
        spill.pieces += 1;
        Ok(Held::Spilled { at, stdout: piece(&output.stdout), stderr: piece(&output.stderr) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(number: u32) -> Output {
        let captured = |text: String, dropped| Captured { bytes: Bytes::from(text), dropped };
        Output { stdout: captured(format!("out {number}"), 3), stderr: captured(format!("err{number}"), 0) }
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_ending_the_order_of_the_input_comes_out(
            order in Just((0u32..40).collect::<Vec<_>>()).prop_shuffle(),
            silent in prop::collection::vec(any::<bool>(), 40),
            memory_limit in 0usize..200,
        ) {
            let mut kept = Order::holding(memory_limit);
            let mut out = Vec::new();
            for number in order {
                if silent[number as usize] {
                    kept.pass(DocNumber(number));
                } else {
                    kept.hold(DocNumber(number), output(number)).unwrap();
                }
                while let Some(next) = kept.ready().unwrap() {
                    out.push(next);
                }
            }
            let expected: Vec<Output> = (0..40).filter(|number| !silent[*number as usize]).map(output).collect();
            prop_assert_eq!(out, expected);
            prop_assert_eq!(kept.in_memory, 0);
            prop_assert_eq!(kept.spill.map_or(0, |spill| spill.file.metadata().unwrap().len()), 0);
        }
    }

    #[test]
    fn what_is_left_comes_in_order_past_the_gaps() {
        let mut kept = Order::default();
        for number in [5, 3] {
            kept.hold(DocNumber(number), output(number)).unwrap();
        }
        assert_eq!(kept.ready().unwrap(), None);
        assert_eq!(kept.rest().unwrap(), Some(output(3)));
        assert_eq!(kept.rest().unwrap(), Some(output(5)));
        assert_eq!(kept.rest().unwrap(), None);
    }
}
