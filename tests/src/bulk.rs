//! Documents that are large rather than long: payloads and outputs that cannot be compressed, so that they fill disks, and lie
//! there as they are.

use std::borrow::Cow;

use evenkeel_node::api::types::DocumentLine;

/// What payloads are made of. Of so many letters no four in a row come again soon, which is what a compressor would need.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Letters from one number of the generator.
const LETTERS_OF_ONE: usize = 10;

/// A document of so many bytes, unlike that of any other number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    number: u64,
    bytes: usize,
}

impl Bulk {
    /// What makes the output from the payload, on standard input. It is as large, and cannot be taken for the payload on a disk.
    pub const COMMAND: [&'static str; 3] = ["tr", "A-Za-z", "N-ZA-Mn-za-m"];

    /// So many documents of so many bytes each, always the same.
    pub fn series(numbers: std::ops::Range<u64>, bytes: usize) -> Vec<Bulk> {
        numbers.map(|number| Bulk { number, bytes }).collect()
    }

    /// Its payload: letters of a generator.
    pub fn payload(&self) -> String {
        // SplitMix64, six bits of each number and then the next six.
        let (mut state, mut text) = (self.number << 32, String::with_capacity(self.bytes + LETTERS_OF_ONE));
        while text.len() < self.bytes {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            let letter = |place| char::from(LETTERS[(mixed >> (6 * place)) as usize % LETTERS.len()]);
            text.extend((0..LETTERS_OF_ONE).map(letter));
        }
        text.truncate(self.bytes);
        text
    }

    /// What it must print.
    pub fn output(&self) -> String {
        let turned = |letter: char| match letter {
            'a'..='m' | 'A'..='M' => char::from(letter as u8 + 13),
            'n'..='z' | 'N'..='Z' => char::from(letter as u8 - 13),
            other => other,
        };
        self.payload().chars().map(turned).collect()
    }

    /// As it is submitted.
    pub fn document(&self) -> DocumentLine<'static> {
        DocumentLine { payload: Some(Cow::Owned(self.payload())), payload_base64: None, length: Some(1) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn documents_differ_and_the_command_agrees() {
        let [one, other] = Bulk::series(0..2, 1_001)[..] else { panic!("two") };
        assert!(one.payload().len() == 1_001 && one.payload() != other.payload());
        let [program, arguments @ ..] = Bulk::COMMAND;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("coreutils");
        child.stdin.take().expect("a pipe").write_all(one.payload().as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), one.output());
    }
}
