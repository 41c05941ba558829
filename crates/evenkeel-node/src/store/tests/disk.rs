//! A disk in memory, for what real ones do seldom. What is written is visible at once, and on the disk once it is synced.
//! At a power cut each sector that was written since the last sync may have come to the disk or not. Where a sync fails, some
//! of what was written is on the disk, and the system believes that all of it is, until it is made to look.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::*;

/// Bytes that come to the disk together or not at all.
const SECTOR: usize = 512;

/// See above. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// What came since the last sync.
    pending: Vec<Change>,
    /// Everything that was done to it, if it is recorded.
    history: Option<Vec<Change>>,
    /// What every write fails with.
    refuses: Option<ErrorKind>,
    /// The file cannot grow.
    full: bool,
    sync_fails: bool,
    writes: u64,
    syncs: u64,
    open: bool,
}

/// Something that was done to a disk.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
    Sync,
}

impl Change {
    pub(super) fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Write(offset, data) => {
                let end = offset + data.len();
                image.resize(image.len().max(end), 0);
                image[*offset..end].copy_from_slice(data);
            }
            Change::Length(length) => image.resize(*length, 0),
            Change::Sync => {}
        }
    }

    /// Applies those sectors of it for which this says so.
    pub(super) fn apply_some(&self, image: &mut Vec<u8>, mut comes: impl FnMut() -> bool) {
        match self {
            Change::Write(offset, data) => {
                let mut from = *offset;
                while from < offset + data.len() {
                    let to = ((from / SECTOR + 1) * SECTOR).min(offset + data.len());
                    if comes() {
                        Change::Write(from, data[from - offset..to - offset].to_vec()).apply(image);
                    }
                    from = to;
                }
            }
            other => {
                if comes() {
                    other.apply(image);
                }
            }
        }
    }
}

impl Disk {
    pub(crate) fn new() -> Disk {
        Disk::default()
    }

    /// With this on it.
    pub(super) fn holding(image: Vec<u8>) -> Disk {
        let disk = Disk::new();
        *disk.state() = State { visible: image.clone(), durable: image, ..State::default() };
        disk
    }

    /// A store on it, with a thread that writes.
    pub(crate) fn open(&self) -> Result<Store, OpenError> {
        self.open_with(false, Arc::new(Heard::default()))
    }

    /// A store on it that writes at once, or with a thread.
    pub(super) fn open_with(&self, here: bool, watcher: Arc<dyn Watcher>) -> Result<Store, OpenError> {
        self.open_as(StoreOptions { here, relied: Duration::ZERO, ..StoreOptions::default() }, watcher)
    }

    pub(super) fn open_as(&self, options: StoreOptions, watcher: Arc<dyn Watcher>) -> Result<Store, OpenError> {
        let spool = Spool::create(&std::env::temp_dir()).expect("a spool");
        let disk = self.clone();
        let opener = Box::new(move |access| {
            let mut state = disk.state();
            assert!(!state.open, "it is closed before it is opened again");
            state.open = true;
            if access != Access::First {
                state.look();
            }
            Ok(Box::new(disk.clone()) as Box<dyn StorageBackend>)
        });
        Store::open_on("a simulated disk".into(), opener, spool, options, watcher)
    }

    /// Begins to record what is done to it. Returns what is on it.
    pub(super) fn record(&self) -> Vec<u8> {
        let mut state = self.state();
        assert!(state.pending.is_empty(), "it is synced");
        state.history = Some(Vec::new());
        state.durable.clone()
    }

    /// What has been done since.
    pub(super) fn history(&self) -> Vec<Change> {
        self.state().history.clone().expect("it is recorded")
    }

    /// How much has been done since.
    pub(super) fn now(&self) -> usize {
        self.state().history.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(super) fn writes(&self) -> u64 {
        self.state().writes
    }

    /// What is on it after the power has failed now.
    pub(super) fn cut(&self, mut comes: impl FnMut() -> bool) -> Vec<u8> {
        let state = self.state();
        let mut image = state.durable.clone();
        state.pending.iter().for_each(|change| change.apply_some(&mut image, &mut comes));
        image
    }

    /// Every write fails from now on.
    pub(crate) fn refuses(&self, kind: ErrorKind) {
        self.state().refuses = Some(kind);
    }

    pub(super) fn fills_up(&self) {
        self.state().full = true;
    }

    pub(super) fn fails_to_sync(&self) {
        self.state().sync_fails = true;
    }

    pub(super) fn is_well_again(&self) {
        let mut state = self.state();
        (state.refuses, state.full, state.sync_fails) = (None, false, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The system reads from the disk what it held in memory and believes to be written.
    fn look(&mut self) {
        self.visible = self.durable.clone();
        self.pending.iter().for_each(|change| change.apply(&mut self.visible));
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        if let Some(kind) = self.refuses {
            return Err(kind.into());
        }
        let before = self.visible.len();
        let end = match &change {
            Change::Write(offset, data) => offset + data.len(),
            Change::Length(length) => *length,
            Change::Sync => 0,
        };
        if self.full && end > before {
            return Err(ErrorKind::StorageFull.into());
        }
        self.writes += 1;
        change.apply(&mut self.visible);
        self.history.as_mut().into_iter().for_each(|history| history.push(change.clone()));
        self.pending.push(change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().visible.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = offset as usize;
        let bytes = state.visible.get(from..from + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Change::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        state.syncs += 1;
        if state.sync_fails {
            let mut chance = Seeded(pending.len() as u64);
            pending.iter().for_each(|change| change.apply_some(&mut state.durable, || chance.below(2) == 0));
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        pending.iter().for_each(|change| change.apply(&mut state.durable));
        state.history.as_mut().into_iter().for_each(|history| history.push(Change::Sync));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Change::Write(offset as usize, data.to_vec()))
    }

    fn close(&self) -> io::Result<()> {
        self.state().open = false;
        Ok(())
    }
}
