//! A clock that stands still while the process does.
//!
//! Owns the time that was slept away and the deadlines that leave it out. Never finds a sleep
//! itself; the engine, which looks at the time at least once a second, tells of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::error::Elapsed;

/// Time in which the process ran.
#[derive(Debug, Default)]
pub(super) struct ActiveClock {
    /// Nanoseconds that do not count; they suffice for five centuries.
    slept: AtomicU64,
}

impl ActiveClock {
    /// Leaves a time out that has just passed.
    pub(super) fn slept(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.slept.fetch_add(nanos, Ordering::Relaxed);
    }

    fn left_out(&self) -> Duration {
        Duration::from_nanos(self.slept.load(Ordering::Relaxed))
    }

    /// The time of this clock. Only other times of this clock can be compared with it.
    pub(super) fn now(&self) -> Instant {
        Instant::now() - self.left_out()
    }

    /// Waits for a future until a time of this clock.
    pub(super) async fn timeout_at<F: Future>(
        &self,
        end: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = std::pin::pin!(future);
        loop {
            let left_out = self.left_out();
            match tokio::time::timeout_at(end + left_out, future.as_mut()).await {
                Err(_) if self.left_out() > left_out => {}
                ended => return ended,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moves_on_by_the_time_slept() {
        let clock = ActiveClock::default();
        let (began, end) = (Instant::now(), clock.now() + Duration::from_secs(10));
        let sleep = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            clock.slept(Duration::from_secs(4));
            std::future::pending::<()>().await;
        };
        assert!(clock.timeout_at(end, sleep).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 14);
        assert_eq!(clock.now().duration_since(began).as_secs(), 10);
    }
}
