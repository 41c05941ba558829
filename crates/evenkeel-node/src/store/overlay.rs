//! Storage that is only read. The database repairs a file that was not closed cleanly before it reads it, which it cannot
//! where the disk takes nothing: here what it writes stays in memory, and goes with it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes of a page: the unit in which it is remembered what was written.
const PAGE: u64 = 4096;

/// See above.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Box<dyn StorageBackend>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// So much of what is below is still to be seen.
    below: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn over(below: Box<dyn StorageBackend>) -> io::Result<Overlay> {
        let len = below.len()?;
        Ok(Overlay { below, state: Mutex::new(State { len, below: len, pages: BTreeMap::new() }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page as it is below.
    fn page(&self, number: u64, seen: u64) -> io::Result<Box<[u8]>> {
        let mut page = vec![0; PAGE as usize].into_boxed_slice();
        let there = seen.saturating_sub(number * PAGE).min(PAGE) as usize;
        if there > 0 {
            self.below.read(number * PAGE, &mut page[..there])?;
        }
        Ok(page)
    }
}

/// The pages that so many bytes from here are in: the number of each, where in it, and where in the bytes.
fn pages(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let part = (PAGE as usize - within).min(length - done);
        let next = (part > 0).then_some((at / PAGE, within, done..done + part));
        done += part;
        next
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, part) in pages(offset, out.len()) {
            let end = within + part.len();
            match state.pages.get(&number) {
                Some(page) => out[part].copy_from_slice(&page[within..end]),
                None => out[part].copy_from_slice(&self.page(number, state.below)?[within..end]),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if len < state.len {
            state.below = state.below.min(len);
            state.pages.retain(|number, _| number * PAGE < len);
            if let Some(page) = state.pages.get_mut(&(len / PAGE)) {
                page[(len % PAGE) as usize..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for (number, within, part) in pages(offset, data.len()) {
            if !state.pages.contains_key(&number) {
                let page = self.page(number, state.below)?;
                state.pages.insert(number, page);
            }
            let page = state.pages.get_mut(&number).expect("it is there by now");
            page[within..within + part.len()].copy_from_slice(&data[part]);
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Seeded;
    use super::*;

    #[derive(Debug)]
    struct Below(Vec<u8>);

    impl StorageBackend for Below {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            out.copy_from_slice(&self.0[offset as usize..][..out.len()]);
            Ok(())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            unreachable!("it is only read")
        }

        fn sync_data(&self) -> io::Result<()> {
            unreachable!("it is only read")
        }

        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            unreachable!("it is only read")
        }
    }

    #[test]
    fn it_is_like_a_file_and_what_is_below_stays() {
        for seed in 0..200 {
            let mut chance = Seeded(seed);
            let length = chance.below(30_000) as usize;
            let mut model = chance.bytes(length);
            let overlay = Overlay::over(Box::new(Below(model.clone()))).unwrap();
            for _ in 0..20 {
                let (offset, length) = (chance.below(30_000) as usize, chance.below(9000) as usize);
                match chance.below(4) {
                    0 => {
                        model.resize(offset, 0);
                        overlay.set_len(offset as u64).unwrap();
                    }
                    _ => {
                        let data = chance.bytes(length);
                        if offset + length > model.len() && length > 0 {
                            model.resize(offset + length, 0);
                        }
                        if length > 0 {
                            model[offset..offset + length].copy_from_slice(&data);
                            overlay.write(offset as u64, &data).unwrap();
                        }
                    }
                }
                assert_eq!(overlay.len().unwrap(), model.len() as u64, "seed {seed}");
                let mut all = vec![9; model.len()];
                overlay.read(0, &mut all).unwrap();
                assert!(all == model, "seed {seed}");
                assert!(overlay.read(1, &mut all).is_err() || model.is_empty());
            }
        }
    }
}
