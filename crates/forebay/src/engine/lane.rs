//! One request at a time, made in the caller's own task.
//!
//! Owns what all callers of one endpoint and model share: its limits, what was learnt, the budget
//! of retries. The other driver, [`run`](super::run), sends a whole file from one task; both use
//! the same policy and the same attempts. Never starts a task: nothing goes on when nobody waits.
//!
//! ```text
//! call ─► turnstile (first come, first served; retries before fresh ones)
//!       ─► limiter.admit ─► Held permit ─► attempt ─► settle exactly once (drop = ignore)
//!       ─► retry.decide: wait holding no permit, and again | the outcome
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turnstile, Notify};
use tokio::time::{Instant, sleep_until};

use super::attempt::{End, Trace, Way};
use super::calls::Calls;
use crate::config::EngineSettings;
use crate::endpoint::Endpoint;
use crate::limit::{Estimator, LimitedBy, Limiter, Need, Permit, Refusal, input_tokens_of};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Reply, Signal};
use crate::price::ModelInfo;
use crate::provider::{Delta, Encoded};
use crate::retry::{self, Budget, Decision, Tries};
use crate::transport::Transport;

/// What a call gives besides its reply.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// What the answer cost; `None` when the price or the usage is not known.
    pub(crate) cost: Option<Usd>,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// Duration of the attempt that succeeded.
    pub(crate) duration: Duration,
    /// From its start to the first content of a streamed answer.
    pub(crate) first_chunk: Option<Duration>,
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
}

impl Lane {
    /// A lane on which nothing was sent yet.
    pub(crate) fn new(
        endpoint: Endpoint,
        transport: Arc<Transport>,
        settings: EngineSettings,
        model: Option<ModelInfo>,
    ) -> Lane {
        Lane {
            state: Mutex::new(State {
                limiter: Limiter::new(&settings),
                estimator: Estimator::new(settings.max_tokens),
                budget: Budget::default(),
                calls: Calls::new(&endpoint),
                rng: fastrand::Rng::with_seed(settings.seed),
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
    /// The failure of the last attempt. When a part of a streamed answer was told already, the
    /// first failure is the last one: the caller cannot take the part back.
    ///
    /// # Cancel safety
    /// Dropping the future gives its permit back and closes its connection; the provider may
    /// bill an attempt that was under way.
    pub(crate) async fn call(
        &self,
        request: &Encoded,
        on: &mut (dyn FnMut(Told<'_>) + Send),
    ) -> Result<Answered, Failure> {
        let guess = input_tokens_of(&request.body);
        let call = self.state().calls.of(&self.transport, &request.path)?;
        let way = Way {
            transport: &self.transport,
            endpoint: &self.endpoint,
            call: &call,
        };
        let mut tries = Tries::default();
        let mut first_attempt = None;
        loop {
            let held = self.admit(guess, tries.attempts > 0).await?;
            let first = *first_attempt.get_or_insert(self.now());
            let mut has_told = false;
            let end = way
                .attempt(request, &mut |delta| {
                    has_told = true;
                    on(Told::Delta(delta));
                })
                .await;
            match self.settle(held, guess, end) {
                Ok((reply, trace)) => {
                    return Ok(Answered {
                        cost: self.cost_of(&reply),
                        reply,
                        attempts: tries.attempts + 1,
                        duration: trace.duration.unwrap_or_default(),
                        first_chunk: trace.first_chunk,
                    });
                }
                Err((mut failure, stale)) => {
                    tries.age = self.now().saturating_sub(first);
                    retry::count(&mut tries, &failure, stale, false);
                    failure.attempts = tries.attempts;
                    let decision = self.decide(&failure, &tries, stale);
                    let Decision::Retry { after, spends } = decision else {
                        return Err(failure);
                    };
                    if has_told {
                        return Err(failure);
                    }
                    on(Told::WillRetry(&failure, after));
                    tokio::time::sleep(after).await;
                    if spends {
                        self.spend_retry().await;
                    }
                }
            }
        }
    }

    fn decide(&self, failure: &Failure, tries: &Tries, stale: bool) -> Decision {
        let rng = &mut self.state().rng;
        retry::decide(&self.settings.retry, failure, tries, stale, rng)
    }

    /// Waits until the limits allow an attempt.
    async fn admit(&self, guess: f64, is_retry: bool) -> Result<Held<'_>, Failure> {
        let waits = is_retry.then(|| Waits::begin(self));
        let turnstile = if is_retry { &self.again } else { &self.fresh };
        let turn = turnstile.lock().await;
        loop {
            // Registered before the look, so that nothing that settles meanwhile is missed.
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            let refusal = if !is_retry && self.n_again.load(Ordering::Acquire) > 0 {
                None
            } else {
                match self.try_admit(guess) {
                    Ok(permit) => {
                        drop((waits, turn));
                        // Whoever waited for this one to pass may try now.
                        self.settled.notify_waiters();
                        return Ok(Held {
                            lane: self,
                            permit: Some(permit),
                        });
                    }
                    Err(refusal) => Some(refusal),
                }
            };
            if let Some(refusal) = refusal {
                self.refuse_for_good(&refusal)?;
            }
            match refusal.and_then(|refusal| refusal.until) {
                None => settled.await,
                Some(until) => {
                    let until = self.began + until;
                    tokio::select! {
                        () = settled => {}
                        () = sleep_until(until) => {}
                    }
                }
            }
        }
    }

    fn try_admit(&self, guess: f64) -> Result<Permit, Refusal> {
        let now = self.now();
        let mut state = self.state();
        let need = Need {
            input_tokens: state.estimator.input(guess),
            output_tokens: state.estimator.output(),
            worst_cost: None,
        };
        state.limiter.admit(now, &need)
    }

    /// A refusal that is too long to wait for is a failure.
    fn refuse_for_good(&self, refusal: &Refusal) -> Result<(), Failure> {
        let now = self.now();
        let wait = refusal.until.map(|until| until.saturating_sub(now));
        let is_asked =
            refusal.by == LimitedBy::Rpd || self.state().limiter.parked_until(now).is_some();
        match wait {
            Some(wait) if is_asked && wait > self.settings.retry.max_wait => {
                let what = match refusal.by {
                    LimitedBy::Rpd => "the limit of requests per day is reached",
                    _ => "the provider asks for a longer wait than is allowed",
                };
                let mut failure = Failure::new(FailureKind::RateLimited, what);
                failure.retry_after = Some(wait);
                Err(failure)
            }
            _ => Ok(()),
        }
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

    /// Tells the limiter how an attempt ended.
    fn settle(
        &self,
        mut held: Held<'_>,
        guess: f64,
        end: End,
    ) -> Result<(Reply, Trace), (Failure, bool)> {
        let Some(permit) = held.permit.take() else {
            let failure = Failure::new(FailureKind::Cancelled, "the attempt was given up");
            return Err((failure, false));
        };
        let now = self.now();
        let mut state = self.state();
        let settled = match end.outcome {
            Ok(reply) => {
                let cost = self.cost_of(&reply).unwrap_or_default();
                state
                    .limiter
                    .success(now, permit, reply.usage.as_ref(), cost);
                if let Some(usage) = &reply.usage {
                    state.estimator.learn(guess, usage);
                }
                state.budget.success();
                Ok((reply, end.trace))
            }
            Err(failure) => {
                let usage = failure.usage.as_deref();
                let cost = self.model.as_ref().zip(usage);
                let cost = cost.map(|(model, usage)| model.price.cost(usage));
                match failure.kind.signal() {
                    Signal::Success => {
                        let cost = cost.unwrap_or_default();
                        state.limiter.success(now, permit, usage, cost);
                    }
                    Signal::Overload => state.limiter.overload(now, permit, &failure),
                    Signal::Ignore => state.limiter.ignore(now, permit, &failure, cost),
                }
                Err((failure, end.stale))
            }
        };
        drop(state);
        self.settled.notify_waiters();
        settled
    }

    fn cost_of(&self, reply: &Reply) -> Option<Usd> {
        let model = self.model.as_ref()?;
        Some(model.price.cost(reply.usage.as_ref()?))
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
            .finish_non_exhaustive()
    }
}

/// A permit that settles as *ignore* when its call is dropped.
struct Held<'a> {
    lane: &'a Lane,
    permit: Option<Permit>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let now = self.lane.now();
            let failure = Failure::new(FailureKind::Cancelled, "the call was dropped");
            self.lane
                .state()
                .limiter
                .ignore(now, permit, &failure, None);
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
        lane.n_again.fetch_add(1, Ordering::AcqRel);
        Waits { lane }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.lane.n_again.fetch_sub(1, Ordering::AcqRel);
        self.lane.settled.notify_waiters();
    }
}
