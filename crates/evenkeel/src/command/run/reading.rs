//! Input on its way to the job: a thread of its own reads it, since a read may block for ever and the job must still hear
//! that it is to stop.

use std::io;

use tokio::sync::mpsc;

use crate::input::{Document, Documents, InputError};

/// Documents handed over at once.
const GROUP: usize = 1_024;

/// Groups that wait for the job: enough that neither side waits for the other all the time.
const GROUPS_AHEAD: usize = 4;

/// What the thread hands over.
pub(super) enum Read {
    /// Documents, in their order.
    Group(Vec<Document>),
    /// There are no more; what was left out can be asked for.
    End(Documents),
    /// The input is no good.
    Failed(InputError),
}

/// Begins to read. Nothing comes after an end or a failure.
pub(super) fn begin(documents: Documents) -> io::Result<mpsc::Receiver<Read>> {
    let (sender, receiver) = mpsc::channel(GROUPS_AHEAD);
    // Not one of the runtime's threads, which would be waited for at the end.
    std::thread::Builder::new().name("input".to_owned()).spawn(move || read(documents, &sender))?;
    Ok(receiver)
}

fn read(mut documents: Documents, sender: &mpsc::Sender<Read>) {
    loop {
        let read = match documents.by_ref().take(GROUP).collect::<Result<Vec<_>, _>>() {
            Ok(group) if group.is_empty() => break,
            Ok(group) => Read::Group(group),
            // What was good before it does not matter: nothing runs before all is read.
            Err(error) => {
                let _ = sender.blocking_send(Read::Failed(error));
                return;
            }
        };
        if sender.blocking_send(read).is_err() {
            return;
        }
    }
    // That nobody waits for it any more is no matter.
    let _ = sender.blocking_send(Read::End(documents));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Options, Source};

    fn reads(words: &[String]) -> Vec<Read> {
        let words = words.iter().map(Into::into).collect();
        let documents = Documents::open(Source::Arguments(words), Options { document_limit: 4, ..Options::default() });
        let mut receiver = begin(documents.unwrap()).unwrap();
        std::iter::from_fn(|| receiver.blocking_recv()).collect()
    }

    #[test]
    fn all_documents_come_in_order_and_then_an_end() {
        let words: Vec<String> = (0..GROUP + 1).map(|number| number.to_string()).collect();
        let mut reads = reads(&words);
        assert!(matches!(reads.pop(), Some(Read::End(_))));
        let read = reads.into_iter().flat_map(|read| match read {
            Read::Group(group) => group,
            _ => panic!("only groups come before the end"),
        });
        assert!(read.map(|document| document.payload).eq(words.into_iter().map(String::into_bytes)));
    }

    #[test]
    fn bad_input_ends_the_reading() {
        let reads = reads(&["good".into(), "too long".into(), "good".into()]);
        assert!(matches!(reads[..], [Read::Failed(InputError::TooLong { line: 2, .. })]));
    }
}
