//! What is known of an endpoint's limits before a run sends anything.
//!
//! Owns who is believed: the settings, else what earlier sessions learnt, else what the endpoint
//! tells of itself, which is asked once and never waited for long. Looks at a server's queue
//! during a run, too. Never judges what it sees; the limiter does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::catalogue::Seed;
use crate::config::{Concurrency, EngineSettings, Learnt};
use crate::endpoint::Endpoint;
use crate::provider::{self, Answer, ServerQueue};
use crate::transport::Transport;

/// The longest that a run waits for a server's word on itself: it is a page from memory, and the
/// input is being read meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a server's queue is looked at: often enough to see one that grows before its requests
/// wait for long, and seldom enough to cost the server nothing.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Looks that see nothing, in a row, after which there are no more: the page is hidden.
const MOST_FAILED: u32 = 3;

/// What a session begins with; `earlier` is what sessions before it learnt.
pub(super) async fn begin(
    transport: &Transport,
    endpoint: &Endpoint,
    settings: &EngineSettings,
    earlier: Option<Learnt>,
) -> Learnt {
    if settings.learnt != Learnt::default() {
        return settings.learnt;
    }
    if let Some(earlier) = earlier {
        return earlier;
    }
    let told = match settings.concurrency {
        Concurrency::Auto { .. } => ask(transport, endpoint, provider::read_seed).await,
        Concurrency::Fixed(_) | Concurrency::Rule(_) => None,
    };
    Learnt {
        in_flight: endpoint.seed.known().or(told),
        ..Learnt::default()
    }
}

/// Reads the page on which an endpoint tells of itself, if it has one. Whatever goes wrong, it is
/// no concern of the run's: calls find out for themselves.
async fn ask<T>(
    transport: &Transport,
    endpoint: &Endpoint,
    read: impl Fn(Seed, &Answer<'_>) -> Option<T>,
) -> Option<T> {
    let path = provider::server_path(endpoint)?;
    let call = transport.call(&path, &provider::headers(endpoint)).ok()?;
    let call = call.get();
    let asked = timeout(PATIENCE, transport.exchange(&call, &Bytes::new())).await;
    let answer = asked.ok()?.ok()?;
    let answer = Answer {
        status: answer.status,
        headers: &answer.headers,
        body: &answer.body,
        now: answer.arrived,
    };
    read(endpoint.seed, &answer)
}

/// Looks at a server's queue from time to time while a run goes on.
pub(super) struct Watch<'a> {
    transport: &'a Transport,
    endpoint: &'a Endpoint,
    due: Duration,
    /// Looks in a row that saw nothing.
    failed: u32,
    looking: Option<Pin<Box<dyn Future<Output = Option<ServerQueue>> + Send + 'a>>>,
}

impl<'a> Watch<'a> {
    /// A watch of an endpoint whose queue can be read; `None` where it cannot, or where the limit
    /// is the user's own.
    pub(super) fn new(
        transport: &'a Transport,
        endpoint: &'a Endpoint,
        settings: &EngineSettings,
    ) -> Option<Watch<'a>> {
        let is_auto = matches!(settings.concurrency, Concurrency::Auto { .. });
        (is_auto && endpoint.seed == Seed::VllmMetrics).then_some(Watch {
            transport,
            endpoint,
            due: LOOK_EVERY,
            failed: 0,
            looking: None,
        })
    }

    /// What was seen, when a look has ended.
    pub(super) fn poll(&mut self, now: Duration, cx: &mut Context<'_>) -> Option<ServerQueue> {
        if self.looking.is_none() && now >= self.due && self.failed < MOST_FAILED {
            let read = |_, answer: &Answer<'_>| provider::read_queue(answer);
            self.looking = Some(Box::pin(ask(self.transport, self.endpoint, read)));
        }
        let Poll::Ready(seen) = self.looking.as_mut()?.as_mut().poll(cx) else {
            return None;
        };
        self.looking = None;
        self.due = now + LOOK_EVERY;
        self.failed = match seen {
            Some(_) => 0,
            None => self.failed + 1,
        };
        seen
    }
}

#[cfg(test)]
mod tests;
