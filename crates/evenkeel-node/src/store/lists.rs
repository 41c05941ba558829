//! Lists of holders. Few different ones serve all segments and results: each is kept once, and named by a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_core::ids::NodeId;
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::tables::{self, Named, Place};
use super::{Medium, OpenError, Store, guarded};

/// The number of a list.
pub(super) type ListId = u32;

/// All lists that there are.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_id: BTreeMap<ListId, Arc<[NodeId]>>,
    by_nodes: BTreeMap<Arc<[NodeId]>, ListId>,
}

impl Lists {
    /// Those of a store.
    pub(super) fn read(medium: &Medium) -> Result<Lists, OpenError> {
        let lists = Lists::default();
        guarded(&medium.path, || {
            let read = medium.begin_read().map_err(redb::Error::Io)?;
            for list in read.open_table(tables::LISTS)?.iter()? {
                let (id, bytes) = list?;
                let (nodes, rest) = bytes.value().as_chunks::<16>();
                if !rest.is_empty() {
                    return Err(redb::Error::Corrupted(format!("list {} of holders is cut off", id.value())));
                }
                lists.known().add(id.value(), nodes.iter().map(|node| NodeId(*node)).collect());
            }
            Ok(())
        })?;
        Ok(lists)
    }

    /// The number of a list, new or not. Nothing is written yet.
    pub(super) fn id(&self, nodes: &[NodeId]) -> ListId {
        let mut known = self.known();
        if let Some(id) = known.by_nodes.get(nodes) {
            return *id;
        }
        let id = known.by_id.last_key_value().map_or(0, |(last, _)| last + 1);
        known.add(id, nodes.into());
        id
    }

    /// The list of that number; empty if there is none.
    pub(super) fn nodes(&self, id: ListId) -> Arc<[NodeId]> {
        self.known().by_id.get(&id).cloned().unwrap_or_default()
    }

    /// Lists of which this is true.
    pub(super) fn matching(&self, is: impl Fn(&[NodeId]) -> bool) -> BTreeMap<ListId, Arc<[NodeId]>> {
        let known = self.known();
        known.by_id.iter().filter(|(_, nodes)| is(nodes)).map(|(id, nodes)| (*id, nodes.clone())).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, id: ListId, nodes: Arc<[NodeId]>) {
        self.by_nodes.insert(nodes.clone(), id);
        self.by_id.insert(id, nodes);
    }
}

/// Writes that something has this list of holders; with the list itself, since nobody knows whether that is there.
pub(super) fn write(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, Place, Named>,
    places: impl IntoIterator<Item = Place>,
    (id, nodes): (ListId, &[NodeId]),
) -> Result<(), redb::Error> {
    let mut lists = transaction.open_table(tables::LISTS)?;
    if lists.get(id)?.is_none() {
        let bytes: Vec<u8> = nodes.iter().flat_map(|node| node.0).collect();
        lists.insert(id, bytes.as_slice())?;
    }
    let mut table = transaction.open_table(table)?;
    for place in places {
        table.insert(place, (id, checksum(place, id)))?;
    }
    Ok(())
}

/// Reads which list each place has.
///
/// # Errors
/// If a row is not what was written: what it hides cannot be known.
pub(super) fn read(
    store: &Store,
    table: TableDefinition<'_, Place, Named>,
    mut each: impl FnMut(Place, ListId),
) -> Result<(), OpenError> {
    guarded(&store.0.medium.path, || {
        let read = store.read().map_err(redb::Error::Io)?;
        for row in read.open_table(table)?.iter()? {
            let (place, named) = row?;
            let (place, (id, sum)) = (place.value(), named.value());
            if checksum(place, id) != sum || !store.0.lists.known().by_id.contains_key(&id) {
                return Err(redb::Error::Corrupted(format!("who holds {place:?} is not what was written")));
            }
            each(place, id);
        }
        Ok(())
    })
}

fn checksum((batch, number): Place, id: ListId) -> u32 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&batch.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(&id.to_le_bytes());
    u32::from_le_bytes(hasher.finalize().as_bytes()[..4].try_into().expect("four bytes"))
}
