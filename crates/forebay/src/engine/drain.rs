//! Coming to an end: by finishing, by stopping early, by hand, or by a full disk.
//!
//! ```text
//! Running ─► Stopping: admits nothing, finishes what is in flight ─► Over
//!                └─ interrupted: only within the grace time, then gives up ─┘
//! ```

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::sleep;

use super::dispatcher::Dispatcher;
use super::flight::Flight;
use crate::event::{StopReason, Summary};
use crate::limit::LimitedBy;
use crate::outcome::{Failure, FailureKind};

/// How long an endpoint may be down while nothing has ever succeeded: a wrong port or host
/// shows soon, and so does a server that is just starting.
const NEVER_UP: Duration = Duration::from_secs(30);
/// How often a write that failed for lack of space is tried again while in-flight attempts end.
const WRITE_AGAIN: Duration = Duration::from_secs(1);
/// How often it is tried again after that.
const LAST_WRITES: u32 = 10;

/// The runtime's timers fire to the millisecond; waking sooner would only spin.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// How often the files are looked for at their paths: somebody may delete them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct Drain {
    stopping: bool,
    /// When attempts in flight are given up.
    give_up_at: Option<Duration>,
    write_failed: Option<Duration>,
    /// When the files were last looked for at their paths.
    looked_at: Duration,
}

impl Drain {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Begins to stop; `false` when that was begun already.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.stopping, true)
    }

    /// Sets the time after which attempts in flight are given up; it only comes nearer.
    pub(super) fn interrupt(&mut self, now: Duration, grace: Duration) {
        let at = now + grace;
        self.give_up_at = Some(self.give_up_at.map_or(at, |earlier| earlier.min(at)));
    }
}

impl Dispatcher<'_> {
    /// Ends a turn: writes what is to be written; `true` when admitted attempts may start.
    pub(super) async fn turn_ended(&mut self, now: Duration) -> bool {
        self.check_reasons_to_stop(now);
        self.note_turn(now);
        if self
            .drain
            .write_failed
            .is_some_and(|at| now < at + WRITE_AGAIN)
        {
            self.unstart(now);
            return false;
        }
        let fault = self.output.take_fault().or_else(|| self.look(now));
        let sound = fault.is_none();
        if let Some(message) = fault {
            self.stop(StopReason::Io { message }, None);
            self.unstart(now);
        }
        let learnt = || self.limiter.learnt();
        self.memory.note(now, learnt, self.output.journal);
        match self.output.flush() {
            Ok(()) => {
                self.drain.write_failed = None;
                sound
            }
            Err(error) => {
                self.drain.write_failed = Some(now);
                if error.kind() == ErrorKind::BrokenPipe {
                    // Nobody reads any more, so nobody waits for what is in flight.
                    self.drain.interrupt(now, Duration::ZERO);
                }
                self.unstart(now);
                self.stop(write_error(&error), None);
                false
            }
        }
    }

    /// Looks for the files from time to time; tells what is wrong with them.
    fn look(&mut self, now: Duration) -> Option<String> {
        if self.drain.is_stopping() || now < self.drain.looked_at + LOOK_EVERY {
            return None;
        }
        self.drain.looked_at = now;
        self.output.check().err().map(|error| error.to_string())
    }

    fn check_reasons_to_stop(&mut self, now: Duration) {
        if self.drain.is_stopping() {
            return;
        }
        if let Some(since) = self.limiter.down_since() {
            let most = if self.early_stop.any_success() {
                self.retry_settings().max_outage
            } else {
                self.retry_settings().max_outage.min(NEVER_UP)
            };
            if now.saturating_sub(since) >= most {
                return self.stop(StopReason::Outage, None);
            }
        }
        if self.limiter.in_flight() > 0 {
            return;
        }
        if let Some(refusal) = self.refusal {
            let wait = refusal.until.map(|until| until.saturating_sub(now));
            let too_long = wait.is_some_and(|wait| wait > self.retry_settings().max_wait);
            // The engine's own backoff is no wait that anybody asked for.
            let is_asked = refusal.by == LimitedBy::Rpd || self.limiter.parked_until(now).is_some();
            match refusal.by {
                LimitedBy::Cost => self.stop(StopReason::Cost, None),
                LimitedBy::Rpd | LimitedBy::Backoff if too_long && is_asked => {
                    let wait = wait.unwrap_or_default();
                    self.stop(StopReason::RateLimited { wait }, None);
                }
                _ => {}
            }
        } else if self.queue.is_empty() && (self.summary.input_ended || self.sharing_is_full()) {
            match self.early_stop.input_ended() {
                Some(reason) if !self.set_aside.is_empty() => {
                    let example = self
                        .set_aside
                        .first()
                        .map(|(_, failure, _)| failure.clone());
                    self.stop(reason, example);
                }
                _ => self.release_set_aside(),
            }
        }
    }

    fn has_nothing_left(&self) -> bool {
        self.summary.input_ended && self.queue.is_empty()
    }

    /// Rows whose records may be lost are as good as not there, though they may be billed.
    fn count_unsafe_as_pending(&mut self) {
        let (ok, failed) = self.output.unsafe_rows();
        self.summary.ok -= ok;
        self.summary.failed -= failed;
        self.summary.pending += ok + failed;
        self.summary.maybe_billed += ok;
    }

    /// Whether the loop may end.
    pub(super) fn is_over(&self) -> bool {
        let idle = self.limiter.in_flight() == 0;
        idle && (self.drain.is_stopping() || (self.has_nothing_left() && self.set_aside.is_empty()))
    }

    /// When something has to be looked at again though nothing happens.
    pub(super) fn next_wake(&self, now: Duration) -> Duration {
        let refused = self.refusal.and_then(|refusal| refusal.until);
        // A retry that is due already is what the refusal is about.
        let due = self.queue.next_due().filter(|due| *due > now);
        let filled = self.filling.until().filter(|until| *until > now);
        [refused, due, filled, self.drain.give_up_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::MAX / 4)
            .max(now + TIMER_GRAIN)
    }

    /// Whether attempts in flight are given up now; their items are then pending.
    pub(super) fn gives_up_in_flight(&mut self, now: Duration) -> bool {
        let due = self.drain.give_up_at.is_some_and(|at| now >= at);
        if !due || self.limiter.in_flight() == 0 {
            return false;
        }
        let failure = Failure::new(FailureKind::Cancelled, "interrupted");
        for Flight { work, permit, .. } in self.flights.take_all() {
            self.limiter.failed(now, permit, &failure, None);
            // No record: the next session counts what was sent and has no end as possibly
            // billed.
            self.summary.maybe_billed += 1;
            for work in work.all() {
                self.summary.pending += 1;
                self.forget_followers(work);
            }
        }
        true
    }

    /// Leaves what still waits pending, writes everything, and adds up.
    pub(super) async fn close(mut self, now: Duration) -> Summary {
        let waiting: Vec<_> = self.queue.drain().collect();
        for work in waiting.iter().flat_map(|work| work.all()) {
            self.summary.pending += 1;
            self.forget_followers(work);
        }
        for (work, failure, _) in std::mem::take(&mut self.set_aside) {
            self.leave_pending(work, &failure);
        }
        if let Err(error) = self.output.check() {
            let message = error.to_string();
            self.stop(
                StopReason::Io {
                    message: message.clone(),
                },
                None,
            );
            self.summary.stopped = Some(StopReason::Io { message });
        }
        let reason = match &self.summary.stopped {
            Some(reason) => reason.label(),
            None => "complete",
        };
        // The count of the input may not have come before its end was read.
        let counted = self.stats.snapshot().items;
        if self.summary.input_ended && counted != Some(self.summary.items) {
            self.output.journal.items(self.summary.items);
        }
        let learnt = self.limiter.learnt();
        self.memory.note_last(learnt, self.output.journal);
        self.output.journal.end(reason, now.as_secs_f64());
        let mut tries = 0;
        while let Err(error) = self.output.close().await {
            tries += 1;
            let may_pass = matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            );
            if tries >= LAST_WRITES || self.output.is_lost() || !may_pass {
                if !matches!(self.summary.stopped, Some(StopReason::Io { .. })) {
                    self.summary.stopped = Some(write_error(&error));
                }
                self.count_unsafe_as_pending();
                break;
            }
            sleep(WRITE_AGAIN).await;
        }
        self.note_turn(now);
        self.take_summary(now)
    }
}

fn write_error(error: &std::io::Error) -> StopReason {
    if error.kind() == ErrorKind::BrokenPipe {
        return StopReason::OutputClosed;
    }
    StopReason::Io {
        message: format!("cannot write: {error}"),
    }
}
