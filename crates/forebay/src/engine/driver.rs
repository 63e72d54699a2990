//! The driver of a run: one task that does whatever is ready, turn by turn.
//!
//! Owns the order within a turn, and the one timer. Never decides about an item; the dispatcher
//! does.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::attempts::Attempts;
use super::calls::Calls;
use super::clock::Clock;
use super::control::ControlReceiver;
use super::dispatcher::Dispatcher;
use super::feed::Feed;
use super::memory::Memory;
use super::output::Output;
use super::seeds::Watch;
use super::speakers::Speakers;
use super::stats::Stats;
use super::{pack, seeds, start};
use crate::config::EngineSettings;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::event::{Event, Summary};
use crate::journal::Journal;
use crate::price::ModelInfo;
use crate::sink::Sink;
use crate::transport::Transport;

/// The most ends handled in one turn, so that a turn stays short.
const ENDS_PER_TURN: usize = 256;
/// The most chunks of input taken in one turn, so that a long stretch of kept rows does not hold
/// up answers and orders.
const CHUNKS_PER_TURN: usize = 4;
/// How often a run looks at deadlines of its own when nothing else happens.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// Everything that one run of the engine works with.
pub struct Run<'a> {
    /// Where requests go.
    pub endpoint: &'a Endpoint,
    /// The connections to it.
    pub transport: &'a Transport,
    /// Limits, deadlines and the like.
    pub settings: &'a EngineSettings,
    /// Price and size of the model, when they are known.
    pub model: Option<&'a ModelInfo>,
    /// Where items come from.
    pub feed: Feed,
    /// What was sent and what came back.
    pub journal: &'a mut Journal,
    /// Where rows go as they finish.
    pub sink: &'a mut dyn Sink,
    /// Who is told.
    pub observer: &'a mut (dyn FnMut(&Event<'_>) + Send),
    /// Who may interrupt.
    pub control: ControlReceiver,
    /// Numbers that others may read at any time.
    pub stats: &'a Stats,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("endpoint", &self.endpoint.name)
            .finish_non_exhaustive()
    }
}

/// Sends every item of the feed and records one row for each.
///
/// Returns when each item has its row, or when the run had to stop; nothing that was finished
/// is lost either way.
///
/// ```no_run
/// use forebay::config::EngineSettings;
/// use forebay::endpoint::{BaseUrl, Dialect, Endpoint, TokenField};
/// use forebay::engine::{self, Stats};
/// use forebay::source::{InputSpec, Location, Prompting, Source};
/// use forebay::transport::{Connector, Transport, tls_config};
/// use forebay::{item::Parameters, journal::Journal, sink::Collect};
///
/// # async fn label() -> Result<(), forebay::error::Error> {
/// let endpoint = Endpoint {
///     name: "local".into(),
///     dialect: Dialect::Chat,
///     base_url: BaseUrl::parse("http://localhost:8000/v1")?,
///     key: None,
///     headers: Vec::new(),
///     token_field: TokenField::MaxTokens,
///     rate_headers: forebay::catalogue::RateHeaders::Unknown,
///     seed: forebay::catalogue::Seed::None,
///     http: forebay::endpoint::HttpVersion::Auto,
/// };
/// let input = InputSpec { locations: vec![Location::Path("tickets.txt".into())], ..Default::default() };
/// let parameters = Parameters { model: "llama3".into(), ..Default::default() };
/// let prompt = Some("Label as bug or other: {{ text }}".into());
/// let prompting = Prompting { prompt, parameters: parameters.into(), ..Default::default() };
/// let settings = EngineSettings::default();
/// let tls = Connector::Net(tls_config(None)?);
/// let transport = Transport::new(endpoint.base_url.clone(), tls, settings.timeouts)?;
/// let source = Source::open(input, prompting)?;
/// let feed = engine::feed_in_thread(source, endpoint.clone(), Default::default())?;
/// let mut rows = Collect::default();
/// let (_control, control) = engine::control();
/// let summary = engine::run(engine::Run {
///     endpoint: &endpoint,
///     transport: &transport,
///     settings: &settings,
///     model: None,
///     feed,
///     journal: &mut Journal::none(),
///     sink: &mut rows,
///     observer: &mut |_| {},
///     control,
///     stats: &Stats::default(),
/// })
/// .await?;
/// assert_eq!(summary.ok + summary.failed + summary.pending, summary.items);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the endpoint cannot be asked at all; nothing was sent then.
///
/// # Cancel safety
/// Dropping the future abandons attempts in flight. What was recorded stays recorded, and the
/// next session reports the abandoned ones as possibly billed.
pub async fn run(run: Run<'_>) -> Result<Summary, Error> {
    // The loop yields whenever nothing is ready; counting each socket's readiness against the
    // task's budget would only wake it again and again when many are in flight.
    tokio::task::coop::unconstrained(drive(run)).await
}

async fn drive(run: Run<'_>) -> Result<Summary, Error> {
    let mut clock = Clock::start();
    let Run {
        endpoint,
        transport,
        settings,
        model,
        mut feed,
        journal,
        sink,
        observer,
        mut control,
        stats,
    } = run;
    let memory = Memory::new(&endpoint.base_url, journal.history());
    let learnt = seeds::begin(transport, endpoint, settings, memory.written()).await;
    let settings = &EngineSettings {
        learnt,
        ..settings.clone()
    };
    let mut watch = Watch::new(transport, endpoint, settings);
    let mut calls = Calls::new(endpoint);
    let speakers = Speakers::of(endpoint);
    let output = Output::new(journal, sink);
    let mut dispatcher = Dispatcher::new((endpoint, settings), model, output, observer, stats);
    let mut attempts = Attempts::new();
    let mut timer = Timer::new(&clock);
    let mut ends = Vec::new();
    let mut swept_at = Duration::ZERO;
    let most_ends = pack::ends_per_turn(ENDS_PER_TURN, settings.embed.as_ref());
    loop {
        let now = clock.now();
        dispatcher.output.journal.stamp();
        dispatcher.admit(now);
        if dispatcher.turn_ended(now).await {
            for start in dispatcher.take_starts() {
                let call = calls.of(transport, &start.request.path);
                let endpoint = speakers.speaking(start.request.dialect);
                attempts.push(start::make(transport, endpoint, call, start));
            }
        }
        if dispatcher.is_over() {
            break;
        }
        timer.set(clock.instant(dispatcher.next_wake(now).min(now + HEARTBEAT)));
        poll_fn(|cx| {
            // Before the attempts look at their deadlines.
            if let Some(slept) = clock.look() {
                transport.slept(slept);
            }
            let mut ready = timer.poll(cx);
            ready |= dispatcher.poll_output(cx);
            if let Some(watch) = &mut watch
                && let Some(queue) = watch.poll(clock.now(), cx)
            {
                (dispatcher.limiter).queue_seen(queue.running, queue.waiting);
                ready = true;
            }
            while let Poll::Ready(Some(command)) = control.poll(cx) {
                dispatcher.on_command(clock.now(), command);
                ready = true;
            }
            let mut chunks = 0;
            while chunks < CHUNKS_PER_TURN
                && dispatcher.wants_input()
                && let Poll::Ready(chunk) = feed.poll(cx)
            {
                dispatcher.on_input(chunk);
                chunks += 1;
                ready = true;
            }
            while ends.len() < most_ends
                && let Poll::Ready(end) = attempts.poll_next(cx)
            {
                ends.push(end);
                ready = true;
            }
            if ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let now = clock.now();
        if now >= swept_at + HEARTBEAT {
            swept_at = now;
            transport.sweep();
        }
        // What has arrived is kept, even when the rest is given up in this very turn.
        for (place, end) in ends.drain(..) {
            dispatcher.on_end(now, place, end);
        }
        if dispatcher.gives_up_in_flight(now) {
            attempts = Attempts::new();
        }
    }
    Ok(dispatcher.close(clock.now()).await)
}

/// One timer for the whole run, moved as needed.
struct Timer {
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    fn new(clock: &Clock) -> Timer {
        Timer {
            sleep: Box::pin(tokio::time::sleep_until(clock.instant(Duration::ZERO))),
        }
    }

    fn set(&mut self, at: Instant) {
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        self.sleep.as_mut().poll(cx).is_ready()
    }
}
