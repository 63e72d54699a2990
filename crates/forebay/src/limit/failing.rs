//! Too many failures at once: a sign of too much load, unless they come whatever the load is.
//!
//! Single timeouts and errors of a server say nothing. When more than a fifth of a window's
//! attempts end so, there is too much in flight; when fewer in flight make no difference, it was
//! not that. Owns that judgement. Never counts what a provider refuses because of a limit.

use std::time::Duration;

/// Attempts that make a window.
const FEWEST: u32 = 20;
/// The share of failures that is too much.
const TOO_MANY: f64 = 0.2;
/// A share that is as large as before, though less is in flight.
const SAME: f64 = 0.8;
/// How much more than what comes anyway is too much.
const MORE: f64 = 1.5;
/// The shortest window.
const WINDOW: Duration = Duration::from_secs(10);
/// The same in latencies.
const LATENCIES: f64 = 3.0;
/// How long what comes anyway is believed in.
const MEMORY: Duration = Duration::from_secs(300);

/// What a window of failures means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// Nothing.
    Nothing,
    /// Too much is in flight.
    TooMuch,
    /// Fewer in flight made no difference.
    Anyway,
}

/// A window of ends.
#[derive(Debug, Default)]
pub(super) struct Failing {
    since: Duration,
    ends: u32,
    failures: u32,
    /// The share of failures that led to the last cut, and when.
    before: Option<(f64, Duration)>,
    /// The share of failures that comes anyway, and since when.
    anyway: Option<(f64, Duration)>,
}

impl Failing {
    /// Notes an attempt that ended well.
    pub(super) fn fine(&mut self) {
        self.ends = self.ends.saturating_add(1);
    }

    /// Notes a failure that may come of load; what the window means now.
    pub(super) fn failed(&mut self, now: Duration, latency_s: f64) -> Means {
        self.ends = self.ends.saturating_add(1);
        self.failures += 1;
        let share = f64::from(self.failures) / f64::from(self.ends);
        if self.ends < FEWEST {
            return Means::Nothing;
        }
        if share <= self.too_many(now) {
            let latencies = Duration::try_from_secs_f64(LATENCIES * latency_s);
            if now >= self.since + WINDOW.max(latencies.unwrap_or(WINDOW)) {
                self.restart(now);
            }
            return Means::Nothing;
        }
        self.restart(now);
        let before = self.before.take().filter(|(_, at)| now < *at + MEMORY);
        match before {
            Some((before, _)) if share >= SAME * before => {
                self.anyway = Some((share, now));
                Means::Anyway
            }
            _ => {
                self.before = Some((share, now));
                Means::TooMuch
            }
        }
    }

    /// Begins a window: what is sent from now on is judged anew.
    pub(super) fn restart(&mut self, now: Duration) {
        self.since = now;
        self.ends = 0;
        self.failures = 0;
    }

    fn too_many(&self, now: Duration) -> f64 {
        let anyway = self.anyway.filter(|(_, at)| now < *at + MEMORY);
        anyway.map_or(TOO_MANY, |(share, _)| (share * MORE).max(TOO_MANY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Ends of which one in `every` is a failure; what they meant, without nothing.
    fn ends(failing: &mut Failing, from: u64, n: u64, every: u64) -> Vec<Means> {
        let mut means = Vec::new();
        for i in 1..=n {
            if i % every == 0 {
                means.push(failing.failed(s(from + i), 1.0));
            } else {
                failing.fine();
            }
        }
        means.retain(|means| *means != Means::Nothing);
        means
    }

    #[test]
    fn one_in_ten_is_nothing() {
        assert_eq!(ends(&mut Failing::default(), 0, 1_000, 10), []);
    }

    #[test]
    fn a_third_is_too_much_and_then_comes_anyway() {
        let mut failing = Failing::default();
        let means = ends(&mut failing, 0, 600, 3);
        assert_eq!(means[0], Means::TooMuch);
        assert_eq!(means[1], Means::Anyway);
        // For five minutes nothing more is said, and then it is looked at again.
        assert!(means.len() <= 6, "{means:?}");
    }
}
