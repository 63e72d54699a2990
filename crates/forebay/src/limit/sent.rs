//! What was sent lately, and which of it the provider took.
//!
//! A refusal comes back at once, an answer when it is written. So a request that has been under way
//! for some time and was not refused has been taken, long before its answer tells so. Owns that
//! inference. Never limits anything.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a request has to be under way to count as taken, while no refusal was seen: a round
/// trip around the world and a slow gateway.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
/// The same once refusals were seen, in times of how long they took.
const PATIENCE: u32 = 4;
/// Bounds of that time: refusals of a local server, and of one that thinks before it refuses.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);
/// Weight of the newest refusal's delay in the running mean.
const WEIGHT: f64 = 0.25;
/// How long the highest level that was taken is remembered at the least; twice as long at the most.
const MEMORY: Duration = Duration::from_secs(15);

/// Recent attempts in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The number of the next attempt, from 1.
    next: u64,
    recent: VecDeque<Entry>,
    /// How long refusals take, as a running mean.
    delay: Option<Duration>,
    record: Record,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    in_flight: usize,
    is_over: bool,
}

/// The highest number of attempts in flight that was taken lately.
#[derive(Debug, Default)]
struct Record {
    now: usize,
    before: usize,
    since: Duration,
}

impl Sent {
    /// Notes an attempt that is sent; its number.
    pub(super) fn push(&mut self, at: Duration, in_flight: usize) -> u64 {
        self.next += 1;
        self.recent.push_back(Entry {
            at,
            in_flight,
            is_over: false,
        });
        self.next
    }

    /// Notes that an attempt is over without having been answered.
    pub(super) fn not_taken(&mut self, number: u64) {
        if let Some(entry) = self.entry(number) {
            entry.is_over = true;
        }
    }

    /// Learns how long refusals take.
    pub(super) fn refused_after(&mut self, delay: Duration) {
        self.delay = Some(match self.delay {
            None => delay,
            Some(mean) => mean.mul_f64(1.0 - WEIGHT) + delay.mul_f64(WEIGHT),
        });
    }

    /// Notes that an attempt was answered; whether that was not known yet.
    pub(super) fn taken(&mut self, now: Duration, number: u64, in_flight: usize) -> bool {
        let is_news = self.entry(number).is_some();
        self.not_taken(number);
        self.record.note(now, in_flight);
        is_news
    }

    /// Counts what was not refused in time as taken; how many that are, and when the last was sent.
    pub(super) fn settle(&mut self, now: Duration) -> Option<(u32, Duration)> {
        let patience = self.patience();
        let (mut last, mut n) = (None, 0);
        while let Some(entry) = self.recent.front()
            && (entry.is_over || entry.at + patience <= now)
        {
            if !entry.is_over {
                n += 1;
                last = Some((n, entry.at));
                self.record.note(now, entry.in_flight);
            }
            self.recent.pop_front();
        }
        last
    }

    /// How long an attempt has to be under way to count as taken.
    pub(super) fn patience(&self) -> Duration {
        self.delay.map_or(FIRST_PATIENCE, |delay| {
            (delay * PATIENCE).clamp(SHORTEST, LONGEST)
        })
    }

    /// The most attempts in flight at which one was taken, lately.
    pub(super) fn record(&mut self, now: Duration) -> usize {
        self.record.roll(now);
        self.record.now.max(self.record.before)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let from_end = usize::try_from(self.next.checked_sub(number)?).ok()?;
        let place = self.recent.len().checked_sub(from_end + 1)?;
        self.recent.get_mut(place)
    }
}

impl Record {
    fn note(&mut self, now: Duration, in_flight: usize) {
        self.roll(now);
        self.now = self.now.max(in_flight);
    }

    fn roll(&mut self, now: Duration) {
        if now >= self.since + MEMORY {
            let is_old = now >= self.since + 2 * MEMORY;
            self.before = if is_old { 0 } else { self.now };
            self.now = 0;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_not_refused_in_time_was_taken() {
        let mut sent = Sent::default();
        let numbers: Vec<u64> = (1..=10).map(|n| sent.push(ms(0), n)).collect();
        for number in &numbers[6..] {
            sent.not_taken(*number);
            sent.refused_after(ms(100));
        }
        assert_eq!(sent.settle(ms(300)), None);
        assert_eq!(sent.record(ms(300)), 0);
        assert_eq!(sent.settle(ms(400)), Some((6, ms(0))));
        assert_eq!(sent.record(ms(400)), 6);
    }

    #[test]
    fn an_answer_tells_before_time_does() {
        let mut sent = Sent::default();
        let first = sent.push(ms(0), 1);
        sent.taken(ms(10), first, 1);
        assert_eq!(sent.record(ms(10)), 1);
        assert_eq!(sent.settle(ms(10)), None);
    }

    #[test]
    fn records_are_forgotten_after_a_while() {
        let mut sent = Sent::default();
        let first = sent.push(ms(0), 40);
        sent.taken(ms(10), first, 40);
        assert_eq!(sent.record(ms(16_000)), 40);
        assert_eq!(sent.record(ms(40_000)), 0);
    }
}
