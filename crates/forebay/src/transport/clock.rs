//! A clock that stands still while the process does.
//!
//! Owns the time that was slept away and the deadlines that leave it out. Never finds a sleep
//! itself; the engine, which looks at the time at least once a second, tells of it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep};

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
        self.at(Instant::now())
    }

    /// The time of this clock at a moment that has just been.
    pub(super) fn at(&self, moment: Instant) -> Instant {
        moment - self.left_out()
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

/// A timer for many deadlines in turn, each later than the one before as a rule.
///
/// It is set again only when it has gone off too early, so that a deadline that moves with every
/// piece of a stream costs next to nothing.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Waits for a future until a time of the clock, as [`ActiveClock::timeout_at`] does.
    pub(super) async fn guard<F: Future>(
        &mut self,
        clock: &ActiveClock,
        end: Instant,
        future: F,
    ) -> Result<F::Output, Late> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            loop {
                let end = end + clock.left_out();
                let sleep = self
                    .sleep
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                if sleep.deadline() > end {
                    sleep.as_mut().reset(end);
                }
                ready!(sleep.as_mut().poll(cx));
                if Instant::now() >= end {
                    return Poll::Ready(Err(Late));
                }
                sleep.as_mut().reset(end);
            }
        })
        .await
    }
}

/// A deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

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

    #[tokio::test(start_paused = true)]
    async fn an_alarm_follows_deadlines_that_move() {
        let clock = ActiveClock::default();
        let mut alarm = Alarm::default();
        let began = Instant::now();
        let seconds = |n| began + Duration::from_secs(n);
        for n in 1..=5 {
            let piece = tokio::time::sleep_until(seconds(n));
            assert_eq!(alarm.guard(&clock, seconds(n + 3), piece).await, Ok(()));
        }
        let nothing = std::future::pending::<()>();
        assert_eq!(alarm.guard(&clock, seconds(8), nothing).await, Err(Late));
        assert_eq!(began.elapsed().as_secs(), 8);
        // An earlier deadline than the one before counts too.
        let nothing = || std::future::pending::<()>();
        assert_eq!(alarm.guard(&clock, seconds(20), async {}).await, Ok(()));
        let later = alarm.guard(&clock, seconds(30), nothing());
        assert!(later.now_or_never().is_none());
        assert_eq!(alarm.guard(&clock, seconds(12), nothing()).await, Err(Late));
        assert_eq!(began.elapsed().as_secs(), 12);
        let sleep = async {
            tokio::time::sleep_until(seconds(13)).await;
            clock.slept(Duration::from_secs(4));
            std::future::pending::<()>().await;
        };
        assert_eq!(alarm.guard(&clock, seconds(15), sleep).await, Err(Late));
        assert_eq!(began.elapsed().as_secs(), 19);
    }
}
