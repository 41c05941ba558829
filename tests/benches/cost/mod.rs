//! What the benchmarks share: input, and the cost of what was run.
#![allow(dead_code, reason = "every benchmark is a program of its own and uses a part")]

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// A file with this many short lines. It stays until the next boot or clean-up of the temporary directory.
pub(crate) fn lines(number: usize) -> PathBuf {
    let path = std::env::temp_dir().join(format!("evenkeel-bench-{}-{number}", std::process::id()));
    let mut file =
        std::io::BufWriter::new(std::fs::File::create(&path).expect("the temporary directory can be written"));
    for line in 0..number {
        writeln!(file, "{line}").expect("the temporary directory has room");
    }
    file.flush().expect("the temporary directory has room");
    path
}

/// CPU time of this process and all that it has waited for.
pub(crate) fn cpu_of_everything() -> Duration {
    let usage = |who| {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: the pointer is valid for writes of one `rusage`, which the call fills.
        let usage = unsafe {
            assert_eq!(libc::getrusage(who, usage.as_mut_ptr()), 0);
            usage.assume_init()
        };
        let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    usage(libc::RUSAGE_SELF) + usage(libc::RUSAGE_CHILDREN)
}
