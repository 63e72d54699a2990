//! Waiting because the provider refuses for load.
//!
//! ```text
//!          asked to wait             until passed
//! Open ───────────────────► Held ───────────────────► Open, or Probing after two episodes
//!   │                         ▲
//!   └─ refused a second time, ┘ one attempt at a time, twice as long after each that is refused
//!      and nothing was taken
//! ```
//! A wait that the provider asks for holds the whole endpoint. A refusal without one holds nothing
//! by itself: the limit and the pace see to it. Only when requests that were sent a second after the
//! first refusal are refused as well, and none was taken meanwhile, the endpoint is left alone.

use std::time::Duration;

use super::{LimitedBy, Refusal};

/// The first hold when the provider names no wait; doubled per further episode.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Requests that were sent this long after an episode began belong to the next one.
const EPISODE: Duration = Duration::from_secs(1);
/// A hold that is long enough for what is in flight to become less.
const LONG: Duration = Duration::from_secs(1);
/// The longest hold when the provider names no wait, so that a recovery is noticed soon.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// The largest share of an asked wait that is added at random, so that clients on one key do
/// not come back together; never more than [`LARGEST_JITTER`].
const JITTER_SHARE: f64 = 0.1;
const LARGEST_JITTER: Duration = Duration::from_secs(1);

/// The backoff of a whole endpoint.
#[derive(Debug)]
pub struct Hold {
    max_wait: Duration,
    until: Duration,
    /// When the hold began, and the last one's end that was noticed.
    began: Duration,
    ended: Duration,
    /// Until when the provider asked to wait; nothing makes it shorter.
    asked_until: Duration,
    parked_until: Option<Duration>,
    /// When the current episode began; refusals of older requests belong to it.
    episode_at: Option<Duration>,
    /// Episodes without anything taken between them.
    episodes: u32,
    /// Until when a probe is waited for; no word by then means that it was taken.
    probing_until: Option<Duration>,
    rng: fastrand::Rng,
}

impl Hold {
    /// Open, with this longest wait that a provider may ask for.
    pub fn new(max_wait: Duration, seed: u64) -> Hold {
        Hold {
            max_wait,
            until: Duration::ZERO,
            began: Duration::ZERO,
            ended: Duration::ZERO,
            asked_until: Duration::ZERO,
            parked_until: None,
            episode_at: None,
            episodes: 0,
            probing_until: None,
            rng: fastrand::Rng::with_seed(seed ^ 0x686f_6c64),
        }
    }

    /// Whether an attempt may be made now; `true` when it would be a probe.
    ///
    /// # Errors
    /// A refusal until the hold ends, or until the probe under way has settled.
    pub fn check(&self, now: Duration) -> Result<bool, Refusal> {
        let refuse = |until| Refusal {
            by: LimitedBy::Backoff,
            until,
        };
        if let Some(until) = self.parked_until(now) {
            return Err(refuse(Some(until)));
        }
        if now < self.until {
            return Err(refuse(Some(self.until)));
        }
        let probe = self.episodes >= 2;
        if probe && let Some(until) = self.probing_until.filter(|until| now < *until) {
            return Err(refuse(Some(until)));
        }
        Ok(probe)
    }

    /// Whether a hold of a second or more has ended since this was asked the last time.
    pub(super) fn has_ended(&mut self, now: Duration) -> bool {
        let is_new = self.until > self.ended && self.until <= now;
        let was_long = self.until >= self.began + LONG;
        if is_new {
            self.ended = self.until;
        }
        is_new && was_long
    }

    /// Notes that a probe is under way; a refusal of it would come until then.
    pub fn probe_sent(&mut self, until: Duration) {
        self.probing_until = Some(until);
    }

    /// Notes a refusal for load of a request that was sent at `sent_at`.
    pub fn overload(
        &mut self,
        now: Duration,
        sent_at: Duration,
        probe: bool,
        wait: Option<Duration>,
    ) {
        self.probe_ended(probe);
        if self.episode_at.is_none_or(|at| sent_at >= at + EPISODE) || probe {
            self.episode_at = Some(now);
            self.episodes = self.episodes.saturating_add(1);
            if wait.is_none() && self.episodes >= 2 {
                let doublings = (self.episodes - 2).min(6);
                self.begin(now);
                let own = (FIRST_HOLD * 2u32.pow(doublings)).min(LONGEST_HOLD);
                self.until = self.until.max(now + self.jittered(own));
            }
        }
        if let Some(wait) = wait {
            self.ask(now, wait);
        }
    }

    fn begin(&mut self, now: Duration) {
        if self.until <= now {
            self.began = now;
        }
    }

    /// Notes that the provider asks to wait.
    pub fn ask(&mut self, now: Duration, wait: Duration) {
        self.begin(now);
        if wait > self.max_wait {
            let until = now.saturating_add(wait);
            self.parked_until = self.parked_until.max(Some(until));
        } else {
            self.asked_until = self.asked_until.max(now + self.jittered(wait));
            self.until = self.until.max(self.asked_until);
        }
    }

    /// Notes a wait that is too long to wait for; a shorter one is the item's own affair.
    pub(super) fn park(&mut self, now: Duration, wait: Option<Duration>) {
        if let Some(wait) = wait.filter(|wait| *wait > self.max_wait) {
            self.ask(now, wait);
        }
    }

    /// Notes that a request was taken; one that was sent after the episode began ends it,
    /// but no wait that the provider asked for.
    pub fn taken(&mut self, now: Duration, sent_at: Duration, probe: bool) {
        self.probe_ended(probe);
        if self.episode_at.is_some_and(|at| sent_at >= at) {
            self.episodes = 0;
            self.episode_at = None;
            self.until = self.until.min(now).max(self.asked_until);
        }
    }

    /// Notes an end that says nothing about load.
    pub fn ignore(&mut self, probe: bool) {
        self.probe_ended(probe);
    }

    fn probe_ended(&mut self, probe: bool) {
        if probe {
            self.probing_until = None;
        }
    }

    /// Until when the provider wants no request at all, when it asked for more than the
    /// longest wait.
    pub fn parked_until(&self, now: Duration) -> Option<Duration> {
        self.parked_until.filter(|until| now < *until)
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        let most = wait.mul_f64(JITTER_SHARE).min(LARGEST_JITTER);
        wait + most.mul_f64(self.rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_asked_wait_is_kept_and_jittered_upwards_only() {
        let mut hold = Hold::new(s(120), 1);
        hold.overload(s(10), s(9), false, Some(s(5)));
        let refusal = hold.check(s(10)).unwrap_err();
        let until = refusal.until.unwrap();
        assert!(
            until >= s(15) && until <= Duration::from_millis(15_500),
            "{until:?}"
        );
        assert_eq!(hold.check(until), Ok(false));
    }

    #[test]
    fn refusals_of_one_moment_hold_nothing() {
        let mut hold = Hold::new(s(120), 1);
        for _ in 0..20 {
            hold.overload(s(10), s(10), false, None);
        }
        assert_eq!(hold.check(s(10)), Ok(false));
    }

    #[test]
    fn a_second_episode_without_success_lets_one_probe_through_at_a_time() {
        let mut hold = Hold::new(s(120), 1);
        hold.overload(s(10), s(9), false, None);
        hold.overload(s(13), s(12), false, None);
        assert!(hold.check(s(13)).is_err());
        assert_eq!(hold.check(s(16)), Ok(true));
        hold.probe_sent(s(17));
        assert_eq!(hold.check(s(16)).unwrap_err().until, Some(s(17)));
        hold.taken(s(17), s(16), true);
        assert_eq!(hold.check(s(17)), Ok(false));
    }

    #[test]
    fn holds_double_up_to_a_minute() {
        let mut hold = Hold::new(s(120), 1);
        hold.overload(s(0), s(0), false, None);
        let mut now = s(2);
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            hold.overload(now, now, true, None);
            let until = hold.check(now).unwrap_err().until.unwrap();
            last = until - now;
            assert!(last <= s(61), "{last:?}");
            now = until;
        }
        assert!(last >= s(60), "{last:?}");
    }

    #[test]
    fn a_wait_beyond_the_longest_parks_and_never_overflows() {
        let mut hold = Hold::new(s(120), 1);
        hold.overload(s(1), s(0), false, Some(Duration::MAX));
        assert_eq!(hold.parked_until(s(2)), Some(Duration::MAX));
        assert!(hold.check(s(1_000_000)).is_err());
    }
}
