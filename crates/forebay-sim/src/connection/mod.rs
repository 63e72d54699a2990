//! Serves one connection: reads a request, carries out its plan, reads the next.
//!
//! Owns the connection and its buffers. Never decides what an answer says; `plan` does.

mod page;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use xxhash_rust::xxh3::xxh3_128;

use crate::dialect::Dialect;
use crate::http::{Input, Method, Output, ReadError, Request, Route};
use crate::log::DropReason;
use crate::plan::{Answer, Order, Plan, Planner};
use crate::script::{Action, Call};
use crate::sim::Shared;
use crate::ticket::Ticket;

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    KeepAlive,
    Close,
    Reset,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection<'s, IO> {
    shared: &'s Shared,
    io: IO,
    /// Makes dropping `io` a reset.
    abort: fn(&IO),
    /// Its number, from 1.
    id: u64,
    /// The requests received on it.
    requests: u64,
    input: Input,
    output: Output,
    /// The body of the answer being made.
    body: Vec<u8>,
}

impl<'s, IO> Connection<'s, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    pub(crate) fn new(shared: &'s Shared, io: IO, abort: fn(&IO)) -> Self {
        Connection {
            shared,
            io,
            abort,
            id: shared.counters.connection(),
            requests: 0,
            input: Input::default(),
            output: Output::default(),
            body: Vec::new(),
        }
    }

    /// Serves requests until either side closes the connection.
    pub(crate) async fn run(mut self) {
        loop {
            let request = match self.input.request(&mut self.io).await {
                Ok(Some(request)) => request,
                Ok(None) | Err(ReadError::Gone) => return,
                Err(ReadError::Bad(status, message)) => return self.reject(status, message).await,
            };
            self.requests += 1;
            let flow = match (request.head.route, request.head.method) {
                (Route::ChatCompletions, Method::Post) => {
                    self.call(&request, Dialect::OpenAi).await
                }
                (Route::Messages, Method::Post) => self.call(&request, Dialect::Anthropic).await,
                _ => self.page(&request).await,
            };
            match flow {
                Flow::KeepAlive => self.input.finish(&request),
                // The client may be gone already; then there is nothing to close.
                Flow::Close => return drop(self.io.shutdown().await),
                Flow::Reset => return (self.abort)(&self.io),
            }
        }
    }

    /// Serves a request to a dialect's path.
    async fn call(&mut self, request: &Request, dialect: Dialect) -> Flow {
        let mut ticket = Ticket::open(self.shared, dialect);
        let Plan { delay, order } = self.plan(request, &mut ticket);
        if !delay.is_zero() && !self.wait(delay).await {
            ticket.dropped(DropReason::ClientGone);
            return Flow::Close;
        }
        match order {
            Order::Answer(answer) => self.answer(request, ticket, answer).await,
            Order::Raw(bytes) => {
                ticket.dropped(match write(&mut self.io, &bytes).await {
                    Ok(()) => DropReason::Raw,
                    Err(_) => DropReason::ClientGone,
                });
                Flow::Close
            }
            Order::Reset => {
                ticket.dropped(DropReason::Reset);
                Flow::Reset
            }
            Order::Stall => {
                self.input.hang_up(&mut self.io).await;
                ticket.dropped(DropReason::Stalled);
                Flow::Close
            }
        }
    }

    fn plan(&mut self, request: &Request, ticket: &mut Ticket<'s>) -> Plan {
        let config = &self.shared.config;
        let body = self.input.body(request);
        let parsed = ticket.dialect.parse(&request.head, &self.input, body);
        let mut action = Action::Answer;
        if config.script.is_some() || self.shared.log.is_on() {
            let key = xxh3_128(body);
            let seen = self.shared.seen.count(key);
            ticket.log(self.id, &parsed.ask, key, seen);
            if let Some(script) = &config.script {
                action = script(&Call {
                    seq: ticket.seq,
                    seen,
                    prompt: &parsed.ask.prompt,
                    model: &parsed.ask.model,
                    since_start: ticket.received,
                    dialect: ticket.dialect,
                    connection: self.id,
                    nth_on_connection: self.requests,
                });
            }
        }
        let required_key = config.required_key.as_deref();
        let bad_key = ticket
            .dialect
            .check_key(&request.head, &self.input, required_key);
        let mut planner = Planner {
            shared: self.shared,
            ticket,
            parsed: &parsed,
            bad_key,
            body: &mut self.body,
        };
        planner.plan(action)
    }

    /// Waits; `false` if the client hangs up first.
    async fn wait(&mut self, delay: Duration) -> bool {
        tokio::select! {
            biased;
            () = tokio::time::sleep(delay) => true,
            () = self.input.hang_up(&mut self.io) => false,
        }
    }

    async fn answer(&mut self, request: &Request, mut ticket: Ticket<'s>, answer: Answer) -> Flow {
        let now = self.shared.since_start();
        ticket.settle(now);
        let stamp = Stamp {
            id: self.shared.id(ticket.seq),
            now,
            took: now.saturating_sub(ticket.received),
        };
        self.build(&answer, stamp, request.head.keep_alive);
        let bytes = self.output.bytes();
        let len = answer.cut.map_or(bytes.len(), |cut| cut.of(bytes.len()));
        if write(&mut self.io, &bytes[..len]).await.is_err() {
            ticket.dropped(DropReason::ClientGone);
            return Flow::Close;
        }
        if len < bytes.len() {
            ticket.dropped(DropReason::Cut);
            return Flow::Close;
        }
        ticket.answered(answer.status);
        match request.head.keep_alive && !answer.closes() {
            true => Flow::KeepAlive,
            false => Flow::Close,
        }
    }

    /// Builds an answer's bytes around the body.
    fn build(&mut self, answer: &Answer, stamp: Stamp, keep_alive: bool) {
        let wall = self.shared.wall(stamp.now);
        let output = self.output.start(answer.status, wall);
        if answer.dialect.is_some() || !answer.has("content-type") {
            output.header_text("content-type", "application/json");
        }
        if !answer.has("content-length") && !answer.has("transfer-encoding") {
            output.header("content-length", self.body.len());
        }
        if let Some(dialect) = answer.dialect {
            dialect.headers(output, stamp.id, stamp.took);
            if answer.rate_headers {
                let levels = self.shared.limiter.levels(stamp.now);
                dialect.rate_headers(output, &levels, wall);
            }
        }
        if !keep_alive {
            output.header_text("connection", "close");
        }
        for (name, value) in &answer.headers {
            output.header_text(name, value);
        }
        output.body(&self.body);
    }
}

/// When an answer is sent and what it is called.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    id: u64,
    /// Since the simulator started.
    now: Duration,
    /// Since the request was received.
    took: Duration,
}

async fn write<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}
