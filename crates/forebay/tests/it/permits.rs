//! Permits, places in the queue and money under random ends: everything comes back.
//!
//! First the policy by itself, by plain numbers; then whole runs against the simulator.

use std::time::Duration;

use forebay::config::{EngineSettings, Limits, RetrySettings, Timeouts};
use forebay::engine::Command;
use forebay::limit::{Limiter, Need, Permit};
use forebay::money::Usd;
use forebay::outcome::{Failure, FailureKind, Phase};
use forebay::queue::Queue;
use forebay::retry::{self, Budget, Decision, Tries};
use forebay_sim::{Action, Call};

use crate::harness::{Scenario, fixed};

/// Items that go through the policy layer.
const ITEMS: u32 = 100_000;
/// Attempts in flight there.
const IN_FLIGHT: usize = 64;
/// The most that an attempt costs there, in pico-dollars.
const WORST: i128 = 1_000;

/// An item that waits or is in flight.
struct Work {
    id: u32,
    tries: Tries,
}

/// The policy of a run without the run: no clock, no wire.
struct Policy {
    limiter: Limiter,
    queue: Queue<Work>,
    budget: Budget,
    retry: RetrySettings,
    flying: Vec<(Permit, Work)>,
    rng: fastrand::Rng,
    now: Duration,
    /// How often each item ended.
    ends: Vec<u8>,
    attempts: u64,
    retries: u64,
    spent: i128,
}

/// What attempts end with here; `None` is a success.
fn any_end(rng: &mut fastrand::Rng) -> Option<FailureKind> {
    let phases = [
        Phase::Connect,
        Phase::FirstChunk,
        Phase::BetweenChunks,
        Phase::Total,
    ];
    match rng.u8(..20) {
        0 | 1 => Some(FailureKind::Cancelled),
        2 => Some(FailureKind::Connect),
        3 => Some(FailureKind::Truncated),
        4 => Some(FailureKind::Malformed),
        5 => Some(FailureKind::ServerError),
        6 => Some(FailureKind::Timeout {
            phase: phases[rng.usize(..phases.len())],
        }),
        7 => Some(FailureKind::BadRequest),
        8 if rng.u8(..20) == 0 => Some(FailureKind::RateLimited),
        9 if rng.u8(..20) == 0 => Some(FailureKind::Overloaded),
        _ => None,
    }
}

impl Policy {
    fn new(seed: u64) -> Policy {
        let settings = EngineSettings {
            concurrency: fixed(IN_FLIGHT),
            limits: Limits {
                rps: Some(500.0),
                tpm: Some(20_000_000.0),
                ..Limits::default()
            },
            max_cost: Some(Usd::from_picos(10 * i128::from(ITEMS) * WORST)),
            seed,
            ..EngineSettings::default()
        };
        Policy {
            limiter: Limiter::new(&settings),
            queue: Queue::new(IN_FLIGHT),
            budget: Budget::default(),
            retry: settings.retry,
            flying: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            ends: vec![0; ITEMS as usize],
            attempts: 0,
            retries: 0,
            spent: 0,
        }
    }

    fn run(&mut self) {
        let mut next = 0;
        while next < ITEMS || !self.queue.is_empty() || !self.flying.is_empty() {
            while next < ITEMS && self.queue.wants_fresh() {
                let tries = Tries::default();
                self.queue.push_fresh(Work { id: next, tries });
                next += 1;
            }
            let until = self.admit();
            assert!(self.flying.len() <= IN_FLIGHT);
            assert_eq!(self.limiter.in_flight(), self.flying.len());
            // Fresh ones and retries are bounded each, and what is in flight may come back.
            assert!(self.queue.len() <= 1_000 + 2 * IN_FLIGHT);
            for _ in 0..self.rng.usize(..IN_FLIGHT) {
                self.settle();
            }
            let due = self.queue.next_due().filter(|_| self.flying.is_empty());
            let step = Duration::from_millis(self.rng.u64(1..50));
            self.now = match [until, due].into_iter().flatten().min() {
                Some(at) if self.flying.is_empty() => at.max(self.now + step),
                Some(_) | None => self.now + step,
            };
        }
    }

    /// Admits as many as may be; tells when to ask again.
    fn admit(&mut self) -> Option<Duration> {
        let need = Need {
            input_tokens: 100,
            output_tokens: 100,
            worst_cost: Some(Usd::from_picos(WORST)),
            ..Need::default()
        };
        loop {
            let is_retry = self.queue.due_retry(self.now).is_some();
            if !is_retry && self.queue.first_fresh().is_none() {
                return None;
            }
            let permit = match self.limiter.admit(self.now, &need) {
                Ok(permit) => permit,
                Err(refusal) => return refusal.until,
            };
            let work = match is_retry {
                true => self.queue.pop_retry(),
                false => self.queue.pop_fresh(),
            };
            self.attempts += 1;
            self.flying.push((permit, work.unwrap()));
        }
    }

    /// Ends a random attempt in a random way.
    fn settle(&mut self) {
        if self.flying.is_empty() {
            return;
        }
        let (permit, mut work) = self.flying.swap_remove(self.rng.usize(..self.flying.len()));
        let Some(kind) = any_end(&mut self.rng) else {
            self.spent += WORST / 2;
            let cost = Usd::from_picos(WORST / 2);
            self.limiter.success(self.now, permit, None, cost);
            self.budget.success();
            self.ends[work.id as usize] += 1;
            return;
        };
        let mut failure = Failure::new(kind, "");
        failure.retry_after = (self.rng.u8(..50) == 0).then(|| Duration::from_millis(200));
        let is_down = self.limiter.down_since().is_some();
        if failure.may_have_been_billed() {
            self.spent += WORST;
        }
        self.limiter.failed(self.now, permit, &failure, None);
        retry::count(&mut work.tries, &failure, false, is_down);
        match retry::decide(&self.retry, &failure, &work.tries, false, &mut self.rng) {
            Decision::Retry { after, spends } => {
                self.retries += 1;
                let paid = match spends {
                    true => self.budget.take(self.now).err(),
                    false => None,
                };
                let due = paid.unwrap_or(self.now).max(self.now + after);
                self.queue.push_retry(due, work);
            }
            Decision::GiveUp => self.ends[work.id as usize] += 1,
        }
    }
}

/// Fault 60: gives the place in flight, the reservation and the money of 100,000 items back,
/// however their attempts end.
#[test]
fn a_hundred_thousand_random_ends_leave_nothing_behind() {
    let mut policy = Policy::new(60);
    policy.run();
    assert_eq!(policy.limiter.in_flight(), 0);
    assert!(policy.ends.iter().all(|n| *n == 1), "each item ends once");
    assert_eq!(policy.attempts, u64::from(ITEMS) + policy.retries);
    assert!(policy.retries > 10_000, "{}", policy.retries);
    // All places can be taken at once again, and all that was not spent can be spent.
    let later = policy.now + Duration::from_secs(3_600);
    let rest = 10 * i128::from(ITEMS) * WORST - policy.spent;
    let need = |cost: i128| Need {
        worst_cost: Some(Usd::from_picos(cost)),
        ..Need::default()
    };
    if policy.limiter.down_since().is_some() {
        let probe = policy.limiter.admit(later, &need(0)).unwrap();
        policy.limiter.success(later, probe, None, Usd::ZERO);
    }
    let first = policy.limiter.admit(later, &need(rest)).unwrap();
    assert!(
        policy.limiter.admit(later, &need(1)).is_err(),
        "all is set aside"
    );
    let cancelled = Failure::new(FailureKind::Cancelled, "");
    policy.limiter.failed(later, first, &cancelled, None);
    let mut permits = Vec::new();
    let mut at = later;
    while permits.len() < IN_FLIGHT {
        // The rate of requests lets half a second's worth through at once.
        at += Duration::from_millis(2);
        permits.extend(policy.limiter.admit(at, &need(1)));
        assert!(at < later + Duration::from_secs(1), "{}", permits.len());
    }
}

/// Items of the run below: as many as a few seconds of a debug build allow.
const ENGINE_ITEMS: usize = 10_000;

/// What a hostile provider does to a request: nothing, in most cases.
fn any_action(call: &Call<'_>) -> Action {
    let mut rng = fastrand::Rng::with_seed(call.seq);
    match rng.u8(..32) {
        0 | 1 => Action::Stall,
        2 => Action::Reset,
        3 => Action::CutAfter(rng.usize(..400)),
        4 => Action::status(500),
        5 => Action::Answer.after(Duration::from_secs(rng.u64(..20))),
        6 => Action::CloseAfterAnswer,
        7 => Action::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()),
        _ => Action::Answer,
    }
}

fn hostile(items: usize) -> Scenario {
    let mut scenario = Scenario {
        prompts: (0..items).map(|n| format!("item {n}")).collect(),
        settings: EngineSettings {
            concurrency: fixed(IN_FLIGHT),
            timeouts: Timeouts {
                first_byte: Duration::from_secs(5),
                idle: Duration::from_secs(2),
                total: Duration::from_secs(10),
                ..Timeouts::default()
            },
            ..EngineSettings::default()
        },
        ..Scenario::default()
    };
    scenario.sim.script = Some(std::sync::Arc::new(any_action));
    scenario
}

/// Fault 60: gives the place of each attempt back that times out, is cut or is reset, so that as
/// many are in flight at the end of a long run as at its start.
#[tokio::test(start_paused = true)]
async fn the_engine_gets_every_permit_back() {
    let ended = hostile(ENGINE_ITEMS).run().await;
    let summary = &ended.summary;
    assert_eq!(summary.ok + summary.failed, ENGINE_ITEMS as u64);
    assert!(
        summary.failed < ENGINE_ITEMS as u64 / 50,
        "{}",
        summary.failed
    );
    let at_rest = ended.stats;
    assert_eq!((at_rest.in_flight, at_rest.waiting), (0, 0));
    assert_eq!(at_rest.limit, IN_FLIGHT as u64);
    let arrivals: Vec<f64> = ended.sim.log().iter().map(|record| record.t_s).collect();
    let [first, _, last] = [0, 1, 2].map(|third| pace(&arrivals, third));
    assert!(last > 0.8 * first, "{last} after {first} requests a second");
}

/// Requests a second in a third of a run, its first and last seconds left out.
fn pace(arrivals: &[f64], third: usize) -> f64 {
    let end = arrivals.iter().fold(0.0f64, |a, b| a.max(*b)) - 20.0;
    let (from, to) = (end * third as f64 / 3.0, end * (third + 1) as f64 / 3.0);
    let n = arrivals
        .iter()
        .filter(|at| (from..to).contains(*at))
        .count();
    n as f64 / (to - from)
}

/// Fault 60: gives up what is in flight when it is told to, at any moment, and keeps count.
#[tokio::test(start_paused = true)]
async fn an_abort_at_any_moment_leaves_nothing_in_flight() {
    for seed in 0..25 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut scenario = hostile(300);
        let drain = Duration::from_millis(rng.u64(..4_000));
        let abort = drain + Duration::from_millis(rng.u64(..2_000));
        scenario.orders = vec![(drain, Command::Drain), (abort, Command::Abort)];
        let ended = scenario.run().await;
        assert_eq!(
            (ended.stats.in_flight, ended.stats.waiting),
            (0, 0),
            "seed {seed}"
        );
        assert!(
            ended.wall <= abort + Duration::from_millis(100),
            "{:?}",
            ended.wall
        );
    }
}
