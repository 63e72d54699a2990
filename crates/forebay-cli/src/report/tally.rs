//! What a reporter remembers of a run's events.
//!
//! Owns counts, one example per failure kind, and the distribution of durations. Keeps no more
//! memory for a million rows than for ten. Never prints: a note is returned.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use forebay::event::{Event, Finished, InFlight, StopReason};
use forebay::limit::InForce;
use forebay::outcome::{Failure, FailureKind};
use hdrhistogram::Histogram;

use super::limits::{self, InForceJson};
use super::{clip, one_line, summary, units, what_happened};

/// The longest duration that is told apart from longer ones; far beyond the default deadline.
const LONGEST: Duration = Duration::from_secs(3600);
/// Digits that durations are kept to: p99 of 1 s is right to a millisecond.
const DIGITS: u8 = 3;
/// The most characters kept of an example's key and of its message; a few lines of a terminal.
const EXAMPLE: usize = 400;
/// The most attempts that a list shows; more would push the rest off the screen.
const LISTED: usize = 40;

/// The failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failures {
    /// How many items failed so.
    pub(crate) count: u64,
    /// The key of the first one.
    pub(crate) id: String,
    /// What happened to it.
    pub(crate) message: String,
}

/// What a run's events amount to.
#[derive(Debug)]
pub(crate) struct Tally {
    failures: BTreeMap<&'static str, Failures>,
    retries: BTreeMap<&'static str, u64>,
    /// Milliseconds of rows that succeeded; `None` never happens with the bounds above.
    durations: Option<Histogram<u64>>,
    cut: u64,
    outages: u64,
    down: Duration,
}

impl Default for Tally {
    /// Nothing has happened yet.
    fn default() -> Tally {
        let longest = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
        Tally {
            failures: BTreeMap::new(),
            retries: BTreeMap::new(),
            durations: Histogram::new_with_bounds(1, longest, DIGITS).ok(),
            cut: 0,
            outages: 0,
            down: Duration::ZERO,
        }
    }
}

impl Tally {
    /// Takes an event in; gives the lines to show at once, for the few that are worth it.
    pub(crate) fn note(&mut self, event: &Event<'_>) -> Vec<String> {
        self.note_of(event).into_iter().collect()
    }

    fn note_of(&mut self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::AttemptFailedWillRetry { failure, .. } => {
                *self.retries.entry(failure.kind.label()).or_default() += 1;
                None
            }
            Event::RowFinished(finished) => {
                self.note_row(finished);
                None
            }
            Event::OutageBegan => {
                self.outages += 1;
                Some("outage: the endpoint is down; waiting and probing".into())
            }
            Event::OutageEnded { lasted } => {
                self.down += *lasted;
                let lasted = units::duration(*lasted);
                Some(format!("outage over after {lasted}; going on"))
            }
            // `… | head` is no news.
            Event::StopBegan(StopReason::OutputClosed) => None,
            Event::StopBegan(reason) => Some(format!(
                "stopping: {}; attempts in flight are finished",
                one_line(&summary::stop_words(reason))
            )),
            Event::InFlightListed(list, now) => Some(in_flight_table(list, now)),
            Event::LimitsTuned { was, now } => {
                limits::changes(&InForceJson::of(was), &InForceJson::of(now))
                    .map(|changes| format!("tuned: {changes}"))
            }
            _ => None,
        }
    }

    fn note_row(&mut self, finished: &Finished<'_>) {
        self.cut += u64::from(finished.cut);
        match (finished.failure, finished.duration) {
            (Some(failure), _) => self.note_failure(finished.id, failure),
            (None, Some(duration)) => {
                if let Some(durations) = &mut self.durations {
                    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    durations.saturating_record(ms);
                }
            }
            (None, None) => {}
        }
    }

    fn note_failure(&mut self, id: &str, failure: &Failure) {
        self.failures
            .entry(failure.kind.label())
            .and_modify(|failures| failures.count += 1)
            .or_insert_with(|| Failures {
                count: 1,
                id: clip(id, EXAMPLE),
                message: clip(&what_happened(failure), EXAMPLE),
            });
    }

    /// Failed items by kind, the most frequent kind first.
    pub(crate) fn failures(&self) -> Vec<(&'static str, &Failures)> {
        let mut failures: Vec<_> = self.failures.iter().map(|(kind, f)| (*kind, f)).collect();
        failures.sort_by_key(|(_, failures)| Reverse(failures.count));
        failures
    }

    /// Whether items failed, and all of them because their input is unusable.
    pub(crate) fn only_invalid_items_failed(&self) -> bool {
        let invalid = FailureKind::InvalidItem.label();
        !self.failures.is_empty() && self.failures.keys().all(|kind| *kind == invalid)
    }

    /// Attempts that failed and were followed by another one, by kind.
    pub(crate) fn retries(&self) -> &BTreeMap<&'static str, u64> {
        &self.retries
    }

    /// The duration that this share (0 to 1) of the rows that succeeded did not exceed.
    pub(crate) fn duration_at(&self, share: f64) -> Option<Duration> {
        let durations = self.durations.as_ref().filter(|all| !all.is_empty())?;
        Some(Duration::from_millis(durations.value_at_quantile(share)))
    }

    /// Answers that the token limit cut.
    pub(crate) fn cut(&self) -> u64 {
        self.cut
    }

    /// Outages that began, and how long those that ended lasted together.
    pub(crate) fn outages(&self) -> (u64, Duration) {
        (self.outages, self.down)
    }
}

/// What limits, and attempts in flight as lines, oldest first as they come.
fn in_flight_table(list: &[InFlight], now: &InForce) -> String {
    let now = InForceJson::of(now);
    let attempts = units::counted(list.len() as u64, "attempt");
    let limit = units::count(now.limit);
    let mut text = format!("{attempts} in flight, limit {limit} ({})", now.concurrency);
    if let Some(rates) = now.rates() {
        let _ = write!(text, "\nrates set: {rates}");
    }
    if let Some(rates) = now.learnt.text() {
        let _ = write!(text, "\nrates learnt: {rates}");
    }
    if !list.is_empty() {
        let _ = write!(text, "\n{:>12}  attempt  id", "age");
    }
    for flight in list.iter().take(LISTED) {
        let age = units::duration(flight.age);
        let id = clip(&one_line(&flight.id), super::WIDTH - 23);
        let _ = write!(text, "\n{age:>12}  {:>7}  {id}", flight.attempt);
    }
    if list.len() > LISTED {
        let more = units::count((list.len() - LISTED) as u64);
        let _ = write!(text, "\n{:>12}  {more} more", "…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay::config::{Concurrency, Limits};
    use forebay::event::StopReason;
    use forebay::limit::LearntRates;
    use forebay::outcome::FailureKind;

    fn row<'a>(id: &'a str, failure: Option<&'a Failure>, ms: u64) -> Finished<'a> {
        Finished {
            id,
            failure,
            cut: id == "cut",
            usage: None,
            cost: None,
            duration: Some(Duration::from_millis(ms)),
            attempts: 1,
        }
    }

    #[test]
    fn failures_are_counted_by_kind_with_their_first_example() {
        let mut tally = Tally::default();
        let mut server = Failure::new(FailureKind::ServerError, "it broke");
        server.status = Some(500);
        let bad = Failure::new(FailureKind::BadRequest, "no such field");
        for (id, failure) in [("a", &bad), ("b", &server), ("c", &server)] {
            let row = row(id, Some(failure), 1);
            assert!(tally.note(&Event::RowFinished(&row)).is_empty());
        }
        let failures = tally.failures();
        assert_eq!(failures[0].0, "server_error");
        assert_eq!(failures[0].1.count, 2);
        assert_eq!(failures[0].1.id, "b");
        assert_eq!(failures[0].1.message, "HTTP 500: it broke");
        assert_eq!(failures[1].0, "bad_request");
        assert_eq!(tally.duration_at(0.5), None);
    }

    #[test]
    fn durations_of_rows_that_succeeded_are_ranked() {
        let mut tally = Tally::default();
        for ms in 1..=100 {
            tally.note(&Event::RowFinished(&row("x", None, ms * 10)));
        }
        tally.note(&Event::RowFinished(&row("cut", None, 7_200_000)));
        assert_eq!(tally.duration_at(0.5), Some(Duration::from_millis(510)));
        assert!(tally.duration_at(1.0) >= Some(LONGEST));
        assert_eq!(tally.cut(), 1);
    }

    #[test]
    fn only_outages_stops_and_lists_are_notes() {
        let mut tally = Tally::default();
        let failure = Failure::new(FailureKind::RateLimited, "slow down");
        let retry = Event::AttemptFailedWillRetry {
            id: "a",
            failure: &failure,
            after: Duration::from_secs(1),
        };
        assert!(tally.note(&retry).is_empty());
        assert_eq!(tally.retries()["rate_limited"], 1);
        assert!(tally.note(&Event::OutageBegan).len() == 1);
        let lasted = Duration::from_secs(65);
        let note = tally.note(&Event::OutageEnded { lasted }).concat();
        assert_eq!(note, "outage over after 1 min 05 s; going on");
        assert_eq!(tally.outages(), (1, lasted));
        let note = tally.note(&Event::StopBegan(&StopReason::Cost)).concat();
        assert_eq!(
            note,
            "stopping: the cap on cost is reached; attempts in flight are finished"
        );
    }

    #[test]
    fn attempts_in_flight_are_a_table() {
        let list = [InFlight {
            id: "item-17\n".into(),
            attempt: 2,
            age: Duration::from_millis(12_400),
        }];
        let mut now = InForce {
            concurrency: Concurrency::DEFAULT,
            limit: 1_064,
            in_flight: 1,
            limits: Limits::default(),
            target_utilization: 1.0,
            learnt: LearntRates::default(),
        };
        assert_eq!(
            in_flight_table(&list, &now),
            "1 attempt in flight, limit 1,064 (auto:2000)\n         age  attempt  id\n\
             \x20     12.4 s        2  item-17\\n"
        );
        now.limits.rps = Some(2.5);
        now.learnt.rpm = Some(1_200.0);
        assert_eq!(
            in_flight_table(&[], &now),
            "0 attempts in flight, limit 1,064 (auto:2000)\nrates set: 2.5 rps\n\
             rates learnt: 1,200 rpm (found)"
        );
    }

    #[test]
    fn changed_limits_are_a_note() {
        let was = InForce {
            concurrency: Concurrency::DEFAULT,
            limit: 64,
            in_flight: 60,
            limits: Limits::default(),
            target_utilization: 1.0,
            learnt: LearntRates::default(),
        };
        let mut now = was;
        let note =
            |was: &InForce, now: &InForce| Tally::default().note(&Event::LimitsTuned { was, now });
        assert!(note(&was, &now).is_empty(), "nothing has changed");
        now.concurrency = Concurrency::Fixed(std::num::NonZeroUsize::MIN);
        assert_eq!(note(&was, &now), ["tuned: concurrency auto:2000 → 1"]);
    }
}
