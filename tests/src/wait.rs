//! Waiting for a condition instead of for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// If it has found nothing within `limit`: says that it waited for `what`.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}
