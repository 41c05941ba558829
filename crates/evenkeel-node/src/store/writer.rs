//! The writer: one thread that writes whatever waits, all of it in one transaction, syncs once, and then tells all who
//! wait. What comes while it syncs is the next group. Where the disk fails it says so once, refuses what comes, and tries
//! about once a second until the disk takes something again.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use evenkeel_core::change::{Entry, Status};
use evenkeel_core::ids::{BatchId, DocId};
use evenkeel_net::records::{ResultRecord, SegmentId};
use redb::ReadableTable;

use super::backend::Access;
use super::index::{ListId, Marks, Part};
use super::queue::{Item, ResultRow, SegmentRows, Turn, Work};
use super::tables::{
    self, PROBE_BYTES, Tables, doc_key, entrusted_place, held_place, journal_place, list_place, result_place,
    segment_key, segment_of,
};
use super::{Shared, Trouble, damage, rows};

/// Time between two tries while the disk fails.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes in succession that find something damaged which is whole when the file is read, after which they are believed.
const DOUBTS: u32 = 5;

/// What a commit changes in memory, and whom it is told.
#[derive(Default)]
struct Change {
    results: BTreeMap<DocId, ListId>,
    segments: BTreeMap<SegmentId, ListId>,
    removed: Vec<(BatchId, Part)>,
    /// The highest number of the journal's entries.
    through: Option<u64>,
}

/// Writes until the store is closed.
pub(super) fn run(shared: &Shared) {
    let written = Trouble::guard(|| {
        let mut pause = PAUSE;
        loop {
            let turn = shared.queue.next(shared.gather, pause);
            let begun = Instant::now();
            let tries = matches!(turn, Turn::Retry);
            if !take(shared, turn) {
                return Ok(());
            }
            // A large file that takes long to open is not to be read all the time.
            pause = if tries { PAUSE.max(4 * begun.elapsed()) } else { PAUSE };
        }
    });
    // A defect of ours. Whoever waits, or will, must be told that nobody writes any more.
    if let Err(trouble) = written {
        shared.queue.close();
        fail(shared, &trouble, Vec::new());
    }
}

/// Writes what waits, on the thread of whoever has put it there.
pub(super) fn run_here(shared: &Shared) {
    loop {
        let turn = shared.queue.poll();
        let goes_on = !matches!(turn, Turn::Idle | Turn::Retry);
        if !take(shared, turn) || !goes_on {
            return;
        }
    }
}

/// False at the end.
fn take(shared: &Shared, turn: Turn) -> bool {
    match turn {
        Turn::Write(group) => write_group(shared, group),
        // Nothing will be written, and what can be read is to be read.
        Turn::Reopen if shared.health.damage().is_some() => read_only(shared),
        Turn::Reopen => {
            if let Err(trouble) = shared.database.open(Access::Again) {
                fail(shared, &trouble, Vec::new());
            }
        }
        Turn::Retry => retry(shared),
        Turn::Idle => {}
        Turn::End => return false,
    }
    true
}

fn write_group(shared: &Shared, group: Vec<Work>) {
    let marks = shared.index().take_marks();
    let begun = Instant::now();
    match shared.health.commits_with(|| commit(shared, &group, &marks)) {
        Ok(change) => {
            shared.watcher.committed(begun.elapsed(), group.len());
            let through = change.through;
            apply(shared, change);
            shared.health.well();
            shared.health.journal_grew(group.iter().map(Work::journal_bytes).sum());
            group.into_iter().for_each(|work| work.answer(|| Ok(())));
            if let Some(through) = through {
                shared.watcher.synced(through);
            }
        }
        Err(trouble) => {
            shared.index().mark(marks);
            // What is damaged may not even be found in order to be removed. It is not served, and that must do.
            if matches!(*group, [Work::Drop(_)]) && trouble.is_damage() {
                tracing::warn!(%trouble, "something damaged could not be taken off the disk");
                shared.queue.reopen();
                return;
            }
            fail(shared, &trouble, group);
        }
    }
}

/// One transaction, in one sync.
fn commit(shared: &Shared, group: &[Work], marks: &Marks) -> Result<Change, Trouble> {
    shared.database.write(|database| {
        let txn = database.begin_write()?;
        let mut change = Change::default();
        {
            let mut tables = Tables::open(&txn)?;
            for (batch, part) in &marks.removed {
                remove_batch(&mut tables, *batch, *part)?;
            }
            for item in &marks.released {
                take_off(shared, &mut tables, *item)?;
            }
            let mut held = marks.held.clone();
            for work in group {
                write(shared, &mut tables, work, &mut change, &mut held)?;
            }
            write_marked(shared, &mut tables, marks, held, &change)?;
        }
        txn.commit()?;
        Ok(change)
    })
}

fn write(
    shared: &Shared,
    tables: &mut Tables<'_>,
    work: &Work,
    change: &mut Change,
    held: &mut BTreeSet<SegmentId>,
) -> Result<(), Trouble> {
    match work {
        Work::Append { number, bytes } => {
            tables.journal.insert(number, journal_place(*number).seal(bytes).as_slice())?;
            change.through = change.through.max(Some(*number));
        }
        Work::Forget { before } => tables.journal.retain_in(..*before, |_, _| false)?,
        Work::Results { rows, list, .. } => {
            for row in rows {
                match beside_held(shared, tables, row, change)? {
                    Ordering::Less => continue,
                    // Only its holders are new.
                    Ordering::Equal => {}
                    Ordering::Greater => drop(tables.results.insert(doc_key(row.doc), row.sealed.as_slice())?),
                }
                change.results.insert(row.doc, *list);
                held.insert(segment_of(row.doc));
            }
        }
        Work::Segment { rows, list, .. } => {
            if !change.segments.contains_key(&rows.segment) && shared.index().segment(rows.segment).is_none() {
                write_segment(tables, rows)?;
            }
            if rows.ends.is_some() {
                change.segments.insert(rows.segment, *list);
            }
        }
        Work::Remove { batch, part } => {
            remove_batch(tables, *batch, *part)?;
            match part {
                Part::Results => change.results.retain(|doc, _| doc.batch != *batch),
                Part::Payloads => change.segments.retain(|segment, _| segment.batch != *batch),
            }
            change.removed.push((*batch, *part));
        }
        Work::Drop(item) => take_off(shared, tables, *item)?,
    }
    Ok(())
}

/// Takes something off the disk that is held no longer, unless it has come anew meanwhile.
fn take_off(shared: &Shared, tables: &mut Tables<'_>, item: Item) -> Result<(), Trouble> {
    match item {
        Item::Result(doc) if shared.index().holders_of(doc).is_none() => drop(tables.results.remove(doc_key(doc))?),
        Item::Segment(segment) if shared.index().segment(segment).is_none() => {
            tables.segments.remove(segment_key(segment))?;
            let key = |block| (segment.batch.0, segment.segment.0, block);
            tables.blocks.retain_in(key(0)..=key(u32::MAX), |_, _| false)?;
        }
        Item::Result(_) | Item::Segment(_) => {}
    }
    Ok(())
}

/// A result beside the one that is held of its document: greater if there is none, or if that one's outcome is not the state's;
/// equal if it is of the same run.
fn beside_held(shared: &Shared, tables: &Tables<'_>, row: &ResultRow, change: &Change) -> Result<Ordering, Trouble> {
    if !change.results.contains_key(&row.doc) && shared.index().holders_of(row.doc).is_none() {
        return Ok(Ordering::Greater);
    }
    let Some(sealed) = tables.results.get(doc_key(row.doc))? else { return Ok(Ordering::Greater) };
    let before = result_place(row.doc).open(sealed.value()).ok();
    // One that cannot be read is worth less than any.
    let before = before.and_then(|bytes| ResultRecord::from_bytes(&bytes).ok());
    Ok(before.map_or(Ordering::Greater, |before| row.entry.compare(&entry(&before))))
}

/// The outcome that a result is of.
pub(super) fn entry(record: &ResultRecord) -> Entry {
    Entry { epoch: record.epoch, node: record.node, status: Status::Ended(record.outcome) }
}

fn write_segment(tables: &mut Tables<'_>, rows: &SegmentRows) -> Result<(), Trouble> {
    let segment = rows.segment;
    if let Some(ends) = &rows.ends {
        tables.segments.insert(segment_key(segment), ends.as_slice())?;
    }
    for (number, block) in (rows.first..).zip(&rows.blocks) {
        tables.blocks.insert((segment.batch.0, segment.segment.0, number), block.as_slice())?;
    }
    Ok(())
}

fn remove_batch(tables: &mut Tables<'_>, batch: BatchId, part: Part) -> Result<(), Trouble> {
    let all = (batch.0, 0)..=(batch.0, u32::MAX);
    match part {
        Part::Results => {
            tables.results.retain_in(all.clone(), |_, _| false)?;
            tables.held.retain_in(all, |_, _| false)?;
        }
        Part::Payloads => {
            tables.segments.retain_in(all.clone(), |_, _| false)?;
            tables.entrusted.retain_in(all, |_, _| false)?;
            let blocks = (Bound::Included((batch.0, 0, 0)), Bound::Included((batch.0, u32::MAX, u32::MAX)));
            tables.blocks.retain_in(blocks, |_, _| false)?;
        }
    }
    Ok(())
}

/// Writes the rows of holders that have changed, as the index has them.
fn write_marked(
    shared: &Shared,
    tables: &mut Tables<'_>,
    marks: &Marks,
    held: BTreeSet<SegmentId>,
    change: &Change,
) -> Result<(), Trouble> {
    for segment in held {
        let row = shared.index().held_row(segment, &change.results);
        match row.is_empty() {
            true => drop(tables.held.remove(segment_key(segment))?),
            false => {
                let sealed = held_place(segment).seal(&rows::held_to_bytes(&row));
                tables.held.insert(segment_key(segment), sealed.as_slice())?;
            }
        }
    }
    let entrusted: BTreeSet<SegmentId> = marks.entrusted.iter().chain(change.segments.keys()).copied().collect();
    for segment in entrusted {
        let list = change.segments.get(&segment).copied().or_else(|| shared.index().segment(segment));
        match list {
            None => drop(tables.entrusted.remove(segment_key(segment))?),
            Some(list) => {
                let sealed = entrusted_place(segment).seal(&list.0.to_le_bytes());
                tables.entrusted.insert(segment_key(segment), sealed.as_slice())?;
            }
        }
    }
    for list in &marks.lists {
        let nodes = rows::nodes_to_bytes(&shared.index().nodes(*list));
        tables.lists.insert(list.0, list_place(*list).seal(&nodes).as_slice())?;
    }
    Ok(())
}

fn apply(shared: &Shared, change: Change) {
    let mut index = shared.index();
    for (batch, part) in change.removed {
        index.remove_batch(batch, part);
    }
    for (doc, list) in change.results {
        index.insert(doc, list);
    }
    for (segment, list) in change.segments {
        index.insert_segment(segment, list);
    }
}

/// Gives up a group and all that waits, until the disk is well again.
fn fail(shared: &Shared, trouble: &Trouble, group: Vec<Work>) {
    let why = format!("{}: {trouble}", shared.database.path().display());
    shared.health.ill(&why);
    let waiting = shared.queue.fail(why.clone());
    for work in group.into_iter().chain(waiting) {
        // These nobody repeats.
        if let Work::Remove { batch, part } = work {
            let removed = BTreeSet::from([(batch, part)]);
            shared.index().mark(Marks { removed, ..Marks::default() });
        }
        work.answer(|| Err(trouble.to_io()));
    }
    shared.watcher.failed(&why);
    match trouble.is_rot() {
        true => look_for_damage(shared, trouble),
        false => reopen(shared),
    }
}

/// What a write has come upon was not what had been written. Where that was a moment's, all of the file is well when it is read
/// again. Where it is on the disk, every write that comes there would fail, and those elsewhere succeed: the node would fail and
/// recover for ever. It stays as it is then, and what can be read is; the next start sets the file aside. That is so as well where
/// only the writes find it, time after time.
fn look_for_damage(shared: &Shared, found: &Trouble) {
    let confirmed = match shared.database.open(Access::Checked) {
        Ok(()) if shared.health.doubt() < DOUBTS => return,
        Ok(()) => format!("{found} ({DOUBTS} times, though all of the file can be read)"),
        Err(trouble) if trouble.is_rot() => trouble.to_string(),
        Err(_) => return reopen(shared),
    };
    let path = shared.database.path();
    let why = format!("{}: {confirmed}", path.display());
    shared.health.spoilt(&why);
    if let Err(error) = damage::note(path, &why) {
        tracing::warn!(%error, "the next start of this node may not know of it");
    }
    read_only(shared);
}

/// For those who read, which the database refuses as well after an error.
fn reopen(shared: &Shared) {
    if shared.database.open(Access::Again).is_err() {
        read_only(shared);
    }
}

fn read_only(shared: &Shared) {
    if let Err(trouble) = shared.database.open(Access::Read) {
        tracing::debug!(%trouble, "the store cannot be read at present");
    }
}

/// Takes up work again if the disk takes something.
fn retry(shared: &Shared) {
    let ill = |trouble: &Trouble| shared.health.ill(&format!("{}: {trouble}", shared.database.path().display()));
    if let Some(damage) = shared.health.damage() {
        return shared.health.ill(damage);
    }
    // To open the database may take as long as to read all of it: that is for a disk that takes anything at all.
    if let Err(error) = shared.fetched.probe(PROBE_BYTES) {
        return ill(&Trouble::Io(error));
    }
    let marks = shared.index().take_marks();
    let probed = shared.database.write(tables::probe).or_else(|_| {
        shared.database.open(Access::Again)?;
        shared.database.write(tables::probe)
    });
    if let Some(rot) = probed.as_ref().err().filter(|trouble| trouble.is_rot()) {
        shared.index().mark(marks);
        return look_for_damage(shared, rot);
    }
    match probed.and_then(|()| shared.health.commits_with(|| commit(shared, &[], &marks))) {
        Ok(_) => {
            shared.queue.recover();
            shared.health.well();
            shared.watcher.recovered();
        }
        Err(trouble) => {
            shared.index().mark(marks);
            ill(&trouble);
            reopen(shared);
        }
    }
}
