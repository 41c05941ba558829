//! A disk in memory that remembers all that was done to it, and fails as it is told.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use crate::store::{OpenError, Store, StoreOptions, Watcher};

/// What is done to a disk.
#[derive(Debug, Clone)]
enum Op {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It does not grow, and takes nothing.
    Full,
    /// Syncs fail.
    Sync,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ops: Vec<Op>,
    fault: Fault,
}

/// See above. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// One with these bytes on it.
    fn with(bytes: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Number of things done so far.
    pub(crate) fn ops(&self) -> usize {
        self.state().ops.len()
    }

    /// The disk as it may be after a power cut that came when so much was done: all that was synced, and of what was not,
    /// what `keeps` says.
    pub(crate) fn after_power_cut(&self, ops: usize, mut keeps: impl FnMut() -> bool) -> Disk {
        let state = self.state();
        let done = &state.ops[..ops];
        let synced = done.iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |last| last + 1);
        let mut bytes = Vec::new();
        for (place, op) in done.iter().enumerate() {
            if place < synced || keeps() {
                apply(&mut bytes, op);
            }
        }
        Disk::with(bytes)
    }

    /// A store on this disk, written inline.
    pub(crate) fn open(&self, watcher: Arc<dyn Watcher>) -> Result<Store, OpenError> {
        let disk = self.clone();
        let open = Box::new(move || Database::builder().create_with_backend(disk.clone()));
        let options = StoreOptions { sync: true, gather: std::time::Duration::ZERO, inline: true };
        Store::open_with("disk".into(), open, options, watcher)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn act(&self, op: Op) -> io::Result<()> {
        let mut state = self.state();
        match (state.fault, &op) {
            (Fault::Full, Op::Write(..) | Op::Resize(_)) => return Err(io::ErrorKind::StorageFull.into()),
            (Fault::Sync, Op::Sync) => return Err(io::Error::other("a sync failed")),
            _ => {}
        }
        apply(&mut state.bytes, &op);
        state.ops.push(op);
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(at, data) => {
            let (from, to) = (*at as usize, *at as usize + data.len());
            // Of a write that was kept while the growth before it was not.
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(data);
        }
        Op::Resize(size) => bytes.resize(*size as usize, 0),
        Op::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let part = state.bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Op::Resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(Op::Write(offset, data.to_vec()))
    }
}
