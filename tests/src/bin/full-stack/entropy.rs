//! Chance from a seed: whoever asks the C library for random numbers on a thread that has a seed gets them from it.
//!
//! Hash maps, chitchat's choice of peers, QUIC's connection ids, tokio's choice among ready branches, keys and secrets all
//! begin with `getrandom`. This program defines that symbol itself, which stands before the C library's. What ring draws
//! for TLS it asks the kernel for, past the C library: it decides what datagrams contain, but neither how many there are
//! nor how long or when they are sent.

use std::cell::Cell;
use std::ffi::{c_long, c_uint, c_void};

use crate::chance::Chance;

thread_local! {
    /// `None`: this thread has no seed.
    static CHANCE: Cell<Option<Chance>> = const { Cell::new(None) };
}

/// From now on this thread's random numbers follow from `seed`. To be called before it has drawn any: much is seeded once
/// for each thread.
pub(crate) fn seed_this_thread(seed: u64) {
    CHANCE.set(Some(Chance::new(seed)));
}

/// Stands in for the C library's function, with the same contract.
///
/// # Safety
/// `buffer` must have room for `length` bytes, as for the original.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Ok(Some(mut chance)) = CHANCE.try_with(Cell::take) else {
        // SAFETY: the arguments are the caller's, and the call is the one that he wanted to make.
        let written: c_long = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return written as isize;
    };
    if length > 0 {
        // SAFETY: the caller's promise. A buffer that is not empty is not null.
        unsafe { buffer.cast::<u8>().write_bytes(0, length) };
        // SAFETY: as above, and all of it has just been written.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&chance.next().to_le_bytes()[..chunk.len()]);
        }
    }
    CHANCE.set(Some(chance));
    length as isize
}
