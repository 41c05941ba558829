//! Names of batches and documents as people write them: the beginning of an id is enough, and the node that is asked knows
//! whether it is unambiguous.

use std::fmt;
use std::str::FromStr;

use evenkeel_core::ids::{BatchId, DocNumber};

/// Letters and digits of a whole batch id.
const LETTERS: usize = 13;

/// A batch's id, or the beginning of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchName(String);

impl BatchName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is only the beginning of an id.
    pub fn is_beginning(&self) -> bool {
        self.0.len() < LETTERS
    }
}

impl From<BatchId> for BatchName {
    fn from(id: BatchId) -> BatchName {
        BatchName(id.to_string())
    }
}

impl FromStr for BatchName {
    type Err = String;

    fn from_str(text: &str) -> Result<BatchName, String> {
        // Not every text of these letters begins an id, since the largest ones are beyond 64 bits. But that is no mistake of
        // form: there just is no such batch.
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() && !"ilou".contains(letter.to_ascii_lowercase());
        match text.is_empty() || text.len() > LETTERS || !text.chars().all(is_letter) {
            true => Err(format!(
                "a batch id is {LETTERS} letters and digits without i, l, o and u: write it, or the beginning of it, \
                 not {text:?}"
            )),
            false => Ok(BatchName(text.to_ascii_lowercase())),
        }
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document: `BATCH/NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentName {
    /// The batch.
    pub batch: BatchName,
    /// The document's number in it.
    pub number: DocNumber,
}

impl FromStr for DocumentName {
    type Err = String;

    fn from_str(text: &str) -> Result<DocumentName, String> {
        let wrong = || format!("a document is named BATCH/NUMBER, for example 01g3zq8v5m2ka/17, not {text:?}");
        let (batch, number) = text.split_once('/').ok_or_else(wrong)?;
        Ok(DocumentName { batch: batch.parse()?, number: DocNumber(number.parse().map_err(|_| wrong())?) })
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.batch, self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_beginning_of_an_id_is_a_name(id: u64, number: u32, letters in 1..=LETTERS) {
            let beginning = &BatchId(id).to_string()[..letters];
            let name: DocumentName = format!("{}/{number}", beginning.to_uppercase()).parse().unwrap();
            prop_assert_eq!(name.to_string(), format!("{beginning}/{number}"));
        }

        #[test]
        fn any_text_is_a_name_or_refused(text in "\\PC{0,16}") {
            let _ = (text.parse::<BatchName>(), text.parse::<DocumentName>());
        }
    }

    #[test]
    fn letters_that_begin_no_id_are_a_name_of_nothing() {
        for text in ["zzz", "g", "ZZZZZZZZZZZZZ"] {
            assert_eq!(text.parse::<BatchName>().unwrap().as_str(), text.to_lowercase());
        }
    }

    #[test]
    fn what_is_not_of_the_letters_of_an_id_is_refused() {
        for text in ["", "xyzu", "0l", "a batch", "00000000000000", "\u{e4}", "0\u{e4}"] {
            assert!(text.parse::<BatchName>().unwrap_err().contains("without i, l, o and u"), "{text}");
        }
        for text in ["01g3", "01g3/", "01g3/x", "01g3/-1", "01g3/4294967296"] {
            assert!(text.parse::<DocumentName>().unwrap_err().contains("BATCH/NUMBER"), "{text}");
        }
    }
}
