//! Answers that come late or never, and clocks that leap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use forebay::event::StopReason;
use forebay_sim::{Action, Latency, Sim};

use super::between::{Between, Step};
use crate::harness::{Ended, Scenario, fixed, prompts};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ten items; the first `n` answers to item 0 begin as they should and go on like this.
async fn after_half(n: u64, step: fn(&[u8]) -> Step) -> Ended {
    let mut scenario = Scenario::default();
    scenario.settings.concurrency = fixed(1);
    scenario.settings.timeouts.idle = s(60);
    scenario.settings.timeouts.total = s(300);
    let sim = Sim::new(scenario.sim.clone());
    let spoiled = AtomicU64::new(0);
    let between = Between::new(&sim, move |_, answer| {
        let whole = answer.whole();
        let is_first = String::from_utf8_lossy(&answer.body).contains("item 0");
        if !is_first || spoiled.fetch_add(1, Ordering::Relaxed) >= n {
            return vec![Step::Send(whole)];
        }
        let (first, rest) = whole.split_at(answer.head.len() + 10);
        vec![Step::Send(first.to_vec()), step(rest), Step::Silence]
    });
    scenario.run_over(sim, between.connector()).await
}

fn only_failure(ended: &Ended) -> (&'static str, u64) {
    let [(kind, n)] = ended.summary.failed_attempts[..] else {
        panic!("{:?}", ended.summary.failed_attempts)
    };
    (kind.label(), n)
}

/// Faults 11, 57: gives up an answer that stalls in the middle by the idle deadline, and tries again.
#[tokio::test(start_paused = true)]
async fn a_stall_in_the_middle_ends_by_the_idle_deadline() {
    let ended = after_half(1, |_| Step::Silence).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(only_failure(&ended), ("timeout_between_chunks", 1));
    assert!(ended.wall > s(60) && ended.wall < s(70), "{:?}", ended.wall);
}

/// Fault 13: gives up an answer that drips by the total deadline, and tries again.
#[tokio::test(start_paused = true)]
async fn a_drip_ends_by_the_total_deadline() {
    let ended = after_half(1, |rest| Step::Drip(rest.to_vec(), s(10))).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(only_failure(&ended), ("timeout_total", 1));
    assert!(
        ended.wall > s(300) && ended.wall < s(310),
        "{:?}",
        ended.wall
    );
}

/// Faults 11, 13: tries again twice at most after a deadline, as each attempt may be billed.
#[tokio::test(start_paused = true)]
async fn answers_that_never_end_are_asked_for_three_times() {
    for step in [(|_| Step::Silence) as fn(&[u8]) -> Step, |rest| {
        Step::Drip(rest.to_vec(), s(10))
    }] {
        let ended = after_half(3, step).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (9, 1));
        assert_eq!(ended.arrivals("item 0").len(), 3);
        assert_eq!(ended.summary.maybe_billed, 3);
    }
}

/// Fault 55: reads a date without the answer's own by the local clock, and never sleeps for a day.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_a_day_off_is_not_slept_for() {
    let day = s(86_400);
    let local = SystemTime::now();
    let refusal = |until: SystemTime, date: Option<SystemTime>| {
        let stamp = httpdate::fmt_http_date;
        let date = date.map_or(String::new(), |date| format!("date: {}\r\n", stamp(date)));
        let until = stamp(until);
        format!("HTTP/1.1 429 Slow\r\n{date}retry-after: {until}\r\ncontent-length: 2\r\n\r\n{{}}")
    };
    // Clocks of the provider that are ahead, behind, and again so but told by a date.
    let cases = [
        (refusal(local + day, None), None),
        (refusal(local - day, None), Some(0..2)),
        (refusal(local + day + s(6), Some(local + day)), Some(6..7)),
        (refusal(local - day + s(6), Some(local - day)), Some(6..7)),
    ];
    for (answer, waits) in cases {
        let mut scenario = Scenario::default();
        scenario.settings.concurrency = fixed(1);
        let raw = answer.clone().into_bytes();
        scenario.sim.script = Some(std::sync::Arc::new(move |call| match call.seq {
            1 => Action::Raw(raw.clone()),
            _ => Action::Answer,
        }));
        let ended = scenario.run().await;
        let arrivals = ended.arrivals("item 0");
        match waits {
            None => {
                let stopped = ended.summary.stopped;
                assert!(
                    matches!(stopped, Some(StopReason::RateLimited { .. })),
                    "{answer}: {stopped:?}"
                );
                assert_eq!((ended.summary.pending, ended.summary.failed), (10, 0));
                assert!(ended.wall < s(2), "{:?}", ended.wall);
            }
            Some(waits) => {
                assert_eq!(ended.summary.ok, 10, "{answer}");
                let waited = (arrivals[1] - arrivals[0]) as u64;
                assert!(waits.contains(&waited), "{answer}: {waited} s");
            }
        }
    }
}

/// Faults 51, 56: leaves the time asleep out of all deadlines, so that nothing in flight is given up on waking.
#[tokio::test(start_paused = true)]
async fn eight_hours_asleep_fail_no_row() {
    const DEAD: u64 = 5;
    let mut scenario = Scenario {
        prompts: prompts(100),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(20);
    scenario.settings.timeouts.first_byte = s(60);
    scenario.sim.latency = Latency::Fixed(s(30));
    // Some connections do not survive the night, some items were waiting for their rate.
    scenario.sim.script = Some(std::sync::Arc::new(|call| match (call.seq, call.seen) {
        (..=DEAD, _) => Action::Stall,
        (6..=10, _) => Action::status(429),
        (_, 2) if call.since_start < s(100) => Action::status(429),
        _ => Action::Answer,
    }));
    tokio::spawn(async {
        tokio::time::sleep(s(10)).await;
        tokio::time::advance(s(8 * 3600)).await;
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
    assert_eq!(ended.summary.stopped, None);
    let timeouts: Vec<_> = ended
        .summary
        .failed_attempts
        .iter()
        .filter(|(kind, _)| kind.label() != "rate_limited")
        .map(|(kind, n)| (kind.label(), *n))
        .collect();
    assert_eq!(
        timeouts,
        [("timeout_first_chunk", DEAD)],
        "the dead ones, once each"
    );
    assert_eq!(ended.summary.maybe_billed, DEAD);
    let awake = ended.wall - s(8 * 3600);
    assert!(awake < s(600), "{awake:?}");
}
