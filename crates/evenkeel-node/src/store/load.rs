//! From the file to the index, when a store is opened. A row of holders that is damaged costs no payload and no result:
//! they are held here, and who else has them is not known any more.

use std::path::Path;

use redb::ReadTransaction;

use super::Trouble;
use super::index::{Index, ListId};
use super::rows::{held_from_bytes, nodes_from_bytes};
use super::tables::{
    self, ENTRUSTED, HELD, LISTS, RESULTS, doc_at, entrusted_place, held_place, list_place, numbers, segment_of_key,
};

/// What was found.
pub(super) struct Loaded {
    pub(super) index: Index,
    /// Rows that were not as they had been written.
    pub(super) damaged: u64,
}

/// Reads the rows of holders. What is found damaged is marked to be written anew.
pub(super) fn index(txn: &ReadTransaction, path: &Path) -> Result<Loaded, Trouble> {
    let (mut index, mut damaged) = (Index::default(), 0);
    let mut complain = |what: &str, error: &Trouble| {
        damaged += 1;
        tracing::error!(file = %path.display(), "{what} is damaged, and other holders are forgotten: {error}");
    };
    tables::each(txn, LISTS, |list, sealed| {
        let list = ListId(list);
        let nodes = list_place(list)
            .open(sealed)
            .and_then(|bytes| nodes_from_bytes(&bytes).ok_or_else(|| Trouble::corrupt("a list of nodes that is none")));
        match nodes {
            Ok(nodes) => index.load_list(list, nodes),
            Err(error) => {
                complain(&format!("list {} of holders", list.0), &error);
                index.load_list(list, [].into());
                index.mark_list(list);
            }
        }
        Ok(())
    })?;
    tables::each(txn, ENTRUSTED, |key, sealed| {
        let segment = segment_of_key(key);
        let list = entrusted_place(segment).open(sealed).and_then(|bytes| {
            let bytes = bytes.as_ref().try_into().map_err(|_| Trouble::corrupt("a number of a list that is none"))?;
            Ok(ListId(u32::from_le_bytes(bytes)))
        });
        let list = list.unwrap_or_else(|error| {
            complain(&format!("who holds segment {} of batch {}", segment.segment, segment.batch), &error);
            index.mark_entrusted(segment);
            index.list(&[])
        });
        index.know_list(list);
        index.insert_segment(segment, list);
        Ok(())
    })?;
    let results = txn.open_table(RESULTS)?;
    tables::each(txn, HELD, |key, sealed| {
        let segment = segment_of_key(key);
        let lists = held_place(segment)
            .open(sealed)
            .and_then(|bytes| held_from_bytes(&bytes).ok_or_else(|| Trouble::corrupt("a row of holders that is none")));
        match lists {
            Ok(lists) => {
                for (list, places) in lists {
                    let docs = places.into_iter().map(|place| doc_at(segment, place).number);
                    index.load(segment.batch, list, docs);
                }
            }
            Err(error) => {
                let what = format!("who holds results of segment {} of batch {}", segment.segment, segment.batch);
                complain(&what, &error);
                let list = index.list(&[]);
                let range = numbers(segment);
                for row in results.range((segment.batch.0, *range.start())..=(segment.batch.0, *range.end()))? {
                    let number = row?.0.value().1;
                    index.load(segment.batch, list, std::iter::once(evenkeel_core::ids::DocNumber(number)));
                }
                index.mark_held(segment);
            }
        }
        Ok(())
    })?;
    Ok(Loaded { index, damaged })
}
