//! One request at a time, made in the caller's own task.
//!
//! Owns what all callers of one endpoint and model share: its limits, what was learnt, the budget
//! of retries. The other driver, [`run`](super::run), sends a whole file from one task; both use
//! the same policy and the same attempts. Never starts a task: nothing goes on when nobody waits.
//!
//! ```text
//! call ─► turnstile (first come, first served; retries before fresh ones)
//!       ─► limiter.admit ─► Held permit ─► attempt ─► settle exactly once (dropped: abandon)
//!       ─► retry.decide: wait holding no permit, and again | the outcome
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as Turnstile, Notify};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::attempt::{End, Trace, Way};
use super::calls::Calls;
use crate::config::{EngineSettings, Learnt};
use crate::endpoint::Endpoint;
use crate::limit::{
    Estimate, Estimator, LimitedBy, Limiter, Permit, Refusal, Sketch, input_tokens_of,
};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Reply, Usage};
use crate::price::{ModelInfo, Price};
use crate::provider::{Delta, Encoded};
use crate::retry::{self, Budget, Decision, Tries};
use crate::transport::{Timings, Transport};

/// The runtime's timers fire to the millisecond; waking sooner would only spin.
const TIMER_GRAIN: Duration = Duration::from_millis(1);

/// How long an outage is waited for while nothing has ever succeeded: more likely the address is
/// wrong. A run stops after the same time.
const NEVER_UP: Duration = Duration::from_secs(30);

/// What a call gives besides its reply.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// The vectors after the first, when embeddings of several texts were asked for.
    pub(crate) more: Vec<Vec<f32>>,
    /// What all attempts cost; `None` when the price or the answer's usage is not known.
    pub(crate) cost: Option<Usd>,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// Duration of the attempt that succeeded.
    pub(crate) duration: Duration,
    /// From its start to the first content of a streamed answer.
    pub(crate) first_chunk: Option<Duration>,
    /// How long the steps to its head took.
    pub(crate) timings: Timings,
    /// The name that the provider gave the exchange.
    pub(crate) request_id: Option<String>,
    /// The provider's own body.
    pub(crate) raw: Bytes,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Encoded,
    /// The most output tokens, when the request says.
    pub(crate) max_tokens: Option<u32>,
}

/// What a caller is told while a call goes on.
pub(crate) enum Told<'a> {
    /// An attempt failed and another one follows after this wait.
    WillRetry(&'a Failure, Duration),
    /// A streamed answer goes on.
    Delta(Delta<'a>),
}

/// The way to one model at one endpoint, shared by all who call it.
pub(crate) struct Lane {
    endpoint: Endpoint,
    transport: Arc<Transport>,
    settings: EngineSettings,
    model: Option<ModelInfo>,
    state: Mutex<State>,
    fresh: Turnstile<()>,
    again: Turnstile<()>,
    /// Retries that wait to be admitted: fresh calls let them go first.
    n_again: AtomicUsize,
    settled: Notify,
    began: Instant,
}

struct State {
    limiter: Limiter,
    estimator: Estimator,
    budget: Budget,
    calls: Calls,
    rng: fastrand::Rng,
    any_success: bool,
}

/// What the limits say to the call whose turn it is.
enum Look {
    Admitted(Permit, Estimate),
    /// Something has to be settled first, or this time to come.
    Wait(Option<Duration>),
    /// Waiting makes no sense.
    GiveUp(Failure),
}

/// Tokens and cost of a call's failed attempts, as far as the provider told them.
#[derive(Debug, Default)]
struct Spent {
    usage: Usage,
    cost: Usd,
}

impl Spent {
    fn add(&mut self, usage: Option<&Usage>, price: Option<&Price>) {
        let Some(usage) = usage else { return };
        self.usage.add(usage);
        if let Some(price) = price {
            self.cost += price.cost(usage);
        }
    }
}

impl Lane {
    /// A lane on which nothing was sent yet.
    pub(crate) fn new(
        endpoint: Endpoint,
        transport: Arc<Transport>,
        settings: EngineSettings,
        model: Option<ModelInfo>,
    ) -> Lane {
        let mut settings = settings;
        if settings.learnt == Learnt::default() {
            settings.learnt.in_flight = endpoint.seed.known();
        }
        Lane {
            state: Mutex::new(State {
                limiter: Limiter::new(&settings),
                estimator: Estimator::default(),
                budget: Budget::default(),
                calls: Calls::new(&endpoint),
                rng: fastrand::Rng::with_seed(settings.seed),
                any_success: false,
            }),
            endpoint,
            transport,
            settings,
            model,
            fresh: Turnstile::new(()),
            again: Turnstile::new(()),
            n_again: AtomicUsize::new(0),
            settled: Notify::new(),
            began: Instant::now(),
        }
    }

    /// Where requests go.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request as often as needed.
    ///
    /// # Errors
    /// The failure of the last attempt, or why there was none. When a part of a streamed answer
    /// was told already, the first failure is the last one: the caller cannot take the part back.
    ///
    /// # Cancel safety
    /// Dropping the future gives its permit back and closes its connection; the provider may
    /// bill an attempt that was under way.
    pub(crate) async fn call(
        &self,
        asked: Asked<'_>,
        on: &mut (dyn FnMut(Told<'_>) + Send),
    ) -> Result<Answered, Failure> {
        let request = asked.request;
        let call = self.state().calls.of(&self.transport, &request.path)?;
        let way = Way {
            transport: &self.transport,
            endpoint: &self.endpoint,
            call: &call,
        };
        // Connections that nobody used for long are closed whenever the next one is needed.
        self.transport.sweep();
        let most = [asked.max_tokens.map(u64::from), request.max_output];
        let sketch = Sketch {
            template: request.template,
            guess: input_tokens_of(&request.body),
            most_output: most.into_iter().flatten().min(),
        };
        let mut tries = Tries::default();
        let mut spent = Spent::default();
        let mut first_attempt = None;
        loop {
            let held = self.admit(&sketch, tries.attempts).await?;
            let first = *first_attempt.get_or_insert(self.now());
            let mut has_told = false;
            let mut end = way
                .attempt(request, &mut |delta| {
                    has_told = true;
                    on(Told::Delta(delta));
                })
                .await;
            let is_down = self.settle(held, &end);
            let mut failure = match end.outcome {
                Ok(reply) => {
                    let vectors = std::mem::take(&mut end.more);
                    let ended = (reply, vectors, end.trace);
                    return Ok(self.answered(ended, &spent, tries.attempts + 1));
                }
                Err(failure) => failure,
            };
            tries.age = self.now().saturating_sub(first);
            retry::count(&mut tries, &failure, end.stale, false);
            failure.attempts = tries.attempts;
            spent.add(failure.usage.as_deref(), self.price());
            let decision = self.decide(&failure, &tries, end.stale);
            let Decision::Retry { after, spends } = decision else {
                return Err(failure);
            };
            if has_told {
                return Err(failure);
            }
            on(Told::WillRetry(&failure, after));
            sleep(after).await;
            // An endpoint that is down lets few attempts through as it is.
            if spends && !is_down {
                self.spend_retry().await;
            }
        }
    }

    fn answered(
        &self,
        (mut reply, more, trace): (Reply, Vec<Vec<f32>>, Trace),
        spent: &Spent,
        attempts: u32,
    ) -> Answered {
        let cost = self.cost_of(reply.usage.as_ref());
        if let Some(usage) = &mut reply.usage {
            usage.add(&spent.usage);
        }
        Answered {
            cost: cost.map(|cost| cost + spent.cost),
            reply,
            more,
            attempts,
            duration: trace.duration.unwrap_or_default(),
            first_chunk: trace.first_chunk,
            timings: trace.timings.unwrap_or_default(),
            request_id: trace.request_id,
            raw: trace.raw,
        }
    }

    fn decide(&self, failure: &Failure, tries: &Tries, stale: bool) -> Decision {
        let rng = &mut self.state().rng;
        retry::decide(&self.settings.retry, failure, tries, stale, rng)
    }

    /// Waits until the limits allow an attempt, after so many of the same call.
    async fn admit(&self, sketch: &Sketch, attempts: u32) -> Result<Held<'_>, Failure> {
        let is_retry = attempts > 0;
        let waits = is_retry.then(|| Waits::begin(self));
        let turnstile = if is_retry { &self.again } else { &self.fresh };
        let turn = turnstile.lock().await;
        loop {
            // Registered before the look, so that nothing that settles meanwhile is missed.
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            let retries_first = !is_retry && self.n_again.load(Ordering::SeqCst) > 0;
            let look = match retries_first {
                true => Look::Wait(None),
                false => self.look(sketch),
            };
            match look {
                Look::Admitted(permit, estimate) => {
                    let held = Held {
                        lane: self,
                        permit: Some(permit),
                        estimate,
                    };
                    // A retry that leaves its place wakes whoever waited for it to pass.
                    drop((turn, waits));
                    return Ok(held);
                }
                Look::GiveUp(failure) => {
                    return Err(Failure {
                        attempts,
                        ..failure
                    });
                }
                Look::Wait(None) => settled.await,
                Look::Wait(Some(until)) => {
                    // Whichever comes first, it is looked again; sooner than timers fire would spin.
                    let until = until.max(self.now() + TIMER_GRAIN);
                    let _ = timeout_at(self.began + until, settled).await;
                }
            }
        }
    }

    fn look(&self, sketch: &Sketch) -> Look {
        let now = self.now();
        let mut state = self.state();
        let estimate = state.estimator.estimate(sketch);
        let need = estimate.need(self.endpoint.dialect.charges_cap(), None);
        match state.limiter.admit(now, &need) {
            Ok(permit) => Look::Admitted(permit, estimate),
            Err(refusal) => self.refused(&state, now, refusal),
        }
    }

    /// Whether a refusal is worth waiting for, and until when.
    fn refused(&self, state: &State, now: Duration, refusal: Refusal) -> Look {
        let retry = &self.settings.retry;
        let too_long = |wait, what: &str| {
            Look::GiveUp(Failure {
                retry_after: Some(wait),
                ..Failure::new(FailureKind::RateLimited, what)
            })
        };
        if let Some(until) = state.limiter.parked_until(now) {
            let what = "the provider asks for a longer wait than is allowed";
            return too_long(until.saturating_sub(now), what);
        }
        if let (LimitedBy::Rpd, Some(until)) = (refusal.by, refusal.until)
            && until.saturating_sub(now) > retry.max_wait
        {
            let what = "the limit of requests per day is used up";
            return too_long(until.saturating_sub(now), what);
        }
        let Some(since) = state.limiter.down_since() else {
            return Look::Wait(refusal.until);
        };
        let patience = match state.any_success {
            true => retry.max_outage,
            false => retry.max_outage.min(NEVER_UP),
        };
        let end = since.saturating_add(patience);
        if now >= end {
            let seconds = now.saturating_sub(since).as_secs();
            let what = format!("the endpoint has been down for {seconds} s");
            return Look::GiveUp(Failure::new(FailureKind::ServerError, what));
        }
        Look::Wait(Some(refusal.until.map_or(end, |until| until.min(end))))
    }

    /// Waits until the budget pays for a retry.
    async fn spend_retry(&self) {
        loop {
            let taken = self.state().budget.take(self.now());
            match taken {
                Ok(()) => return,
                Err(until) => sleep_until(self.began + until).await,
            }
        }
    }

    /// Tells the limiter how an attempt ended; whether the endpoint was down before.
    fn settle(&self, mut held: Held<'_>, end: &End) -> bool {
        let now = self.now();
        let mut state = self.state();
        let was_down = state.limiter.down_since().is_some();
        let Some(permit) = held.permit.take() else {
            return was_down;
        };
        if let Some(told) = &end.told {
            state.limiter.told(now, &permit, told);
        }
        match &end.outcome {
            Ok(reply) => {
                let usage = reply.usage.as_ref();
                let cost = self.cost_of(usage).unwrap_or_default();
                state.limiter.success(now, permit, usage, cost);
                if let Some(usage) = usage {
                    state.estimator.learn(&held.estimate, usage);
                }
                state.budget.success();
                state.any_success = true;
            }
            Err(failure) => {
                let usage = failure.usage.as_deref();
                let cost = self.cost_of(usage);
                state.limiter.failed(now, permit, failure, cost);
            }
        }
        drop(state);
        self.settled.notify_waiters();
        was_down
    }

    fn price(&self) -> Option<&Price> {
        self.model.as_ref().map(|model| &model.price)
    }

    fn cost_of(&self, usage: Option<&Usage>) -> Option<Usd> {
        Some(self.price()?.cost(usage?))
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What the lock guards is numbers, which a panic elsewhere leaves usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("endpoint", &self.endpoint.name)
            .field("in_flight", &self.state().limiter.in_flight())
            .finish_non_exhaustive()
    }
}

/// A permit that is settled in any case: dropped with its call, it is abandoned.
struct Held<'a> {
    lane: &'a Lane,
    permit: Option<Permit>,
    estimate: Estimate,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let now = self.lane.now();
            self.lane.state().limiter.abandon(now, permit);
            self.lane.settled.notify_waiters();
        }
    }
}

/// A retry that waits, for as long as it does.
struct Waits<'a> {
    lane: &'a Lane,
}

impl<'a> Waits<'a> {
    fn begin(lane: &'a Lane) -> Waits<'a> {
        lane.n_again.fetch_add(1, Ordering::SeqCst);
        Waits { lane }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.lane.n_again.fetch_sub(1, Ordering::SeqCst);
        self.lane.settled.notify_waiters();
    }
}
