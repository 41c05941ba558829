//! Panics anywhere in this process. A panic in a spawned task ends that task, and neither tokio nor turmoil says more of
//! it: so each is written down where it happens, and a run in which there was one has failed.

use std::panic;
use std::sync::{Mutex, PoisonError};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on panics are written down, and reported as ever.
pub(crate) fn watch() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string().replace('\n', " "));
        report(panic);
    }));
}

/// All that there were.
pub(crate) fn seen() -> Vec<String> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
