//! Serves one connection: reads a request, carries out its plan, reads the next.
//!
//! Owns the connection and its buffers. Never decides what an answer says; `plan` does.

mod endless;
mod front;
mod page;
mod spoil;
mod stream;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::dialect::{Around, Dialect, Frames, Operation, Step};
use crate::faults::decide;
use crate::http::{Input, Method, Output, ReadError, Request, unescape};
use crate::log::{DropReason, key_of};
use crate::plan::{Answer, Generation, Order, Plan, Planner};
use crate::route::Route;
use crate::script::{Action, Call, Oddity, Shape};
use crate::sim::Shared;
use crate::ticket::Ticket;
pub use front::Http2;
use wire::Wire;

/// The bytes of an answer's head, roughly.
const HEAD_ESTIMATE: usize = 300;

/// The first bytes of a connection that are read to see what it speaks; most requests fit.
const FIRST_READ: usize = 8 * 1024;

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    KeepAlive,
    Close,
    Reset,
}

/// Serves a connection until either side closes it: HTTP/2 if it begins like that, else HTTP/1.1.
pub(crate) async fn serve<IO>(shared: &Arc<Shared>, mut io: IO, abort: fn(&IO))
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let id = shared.counters.connection();
    let mut begun = Vec::with_capacity(FIRST_READ);
    while begun.len() < front::PREFACE.len() && front::PREFACE.starts_with(&begun) {
        match io.read_buf(&mut begun).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    }
    if begun.starts_with(front::PREFACE) {
        return front::serve(shared, io, begun, id).await;
    }
    let mut connection = Connection::numbered(shared, io, abort, id);
    connection.input = Input::begun(begun);
    connection.run().await;
}

/// One connection of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Connection<'s, IO> {
    shared: &'s Arc<Shared>,
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
    fn numbered(shared: &'s Arc<Shared>, io: IO, abort: fn(&IO), id: u64) -> Self {
        Connection {
            shared,
            io,
            abort,
            id,
            requests: 0,
            input: Input::default(),
            output: Output::default(),
            body: Vec::new(),
        }
    }

    /// Serves requests until either side closes the connection.
    async fn run(mut self) {
        loop {
            let request = match self.input.request(&mut self.io).await {
                Ok(Some(request)) => request,
                Ok(None) | Err(ReadError::Gone) => return,
                Err(ReadError::Bad(status, message)) => return self.reject(status, message).await,
            };
            self.requests += 1;
            let flow = match (Route::of(self.path(&request)), request.head.method) {
                (Route::Call(operation, _), Method::Post) => self.call(&request, operation).await,
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

    /// Serves a call.
    async fn call(&mut self, request: &Request, operation: Operation) -> Flow {
        let network = self.shared.config.network;
        if !network.is_zero() && self.until(tokio::time::sleep(network)).await.is_none() {
            return Flow::Close;
        }
        let mut ticket = Ticket::open(self.shared, operation);
        let Plan { delay, order } = self.plan(request, &mut ticket);
        if !delay.is_zero() && self.until(tokio::time::sleep(delay)).await.is_none() {
            ticket.dropped(DropReason::ClientGone);
            return Flow::Close;
        }
        match order {
            Order::Answer(answer) => self.answer(request, ticket, *answer).await,
            Order::Generate(generation) if generation.streams() => {
                self.stream(request, ticket, *generation).await
            }
            Order::Generate(generation) => self.generate(request, ticket, *generation).await,
            Order::Raw(bytes) => {
                let wire = Shape::default();
                let sent = Wire::new(&mut self.input, &mut self.io, &wire)
                    .send(&bytes)
                    .await;
                ticket.dropped(sent.err().unwrap_or(DropReason::Raw));
                Flow::Close
            }
            Order::Reset => {
                ticket.dropped(DropReason::Reset);
                Flow::Reset
            }
            Order::Endless(endless) => self.endless(ticket, endless).await,
            Order::Stall => {
                self.input.hang_up(&mut self.io).await;
                ticket.dropped(DropReason::Stalled);
                Flow::Close
            }
        }
    }

    fn path(&self, request: &Request) -> &str {
        self.input.text(request.head.path)
    }

    fn plan(&mut self, request: &Request, ticket: &mut Ticket<'s>) -> Plan<'s> {
        let config = &self.shared.config;
        let head = &request.head;
        let body = self.input.body(request);
        let model = match Route::of(self.input.text(head.path)) {
            Route::Call(_, model) => model.map(unescape),
            Route::Resource(_) | Route::Health | Route::Metrics | Route::Props | Route::Unknown => {
                None
            }
        };
        let around = Around {
            anthropic_version: head.anthropic_version.map(|span| self.input.bytes(span)),
            model: model.as_deref(),
            query: self.input.text(head.query),
        };
        let parsed = ticket.operation.parse(around, body);
        let mut action = Action::Answer;
        if self.shared.needs_key(&parsed.ask.model) {
            let key = key_of(body);
            let sighting = self.shared.seen.count(key);
            ticket.body = Some((key, sighting.seen));
            ticket.note_inputs(body);
            action = decide(
                self.shared,
                &Call {
                    seq: ticket.seq,
                    seen: sighting.seen,
                    prompt: &parsed.ask.prompt,
                    answers: parsed.ask.answers,
                    model: &parsed.ask.model,
                    since_start: ticket.received,
                    dialect: ticket.operation.dialect(),
                    operation: ticket.operation,
                    connection: self.id,
                    nth_on_connection: self.requests,
                    key,
                    row: sighting.row,
                    streamed: parsed.ask.stream.is_some(),
                    wall: self.shared.wall(ticket.received),
                },
            );
        }
        let required_key = config.required_key.as_deref();
        let dialect = ticket.operation.dialect();
        let bad_key = dialect.check_key(head, &self.input, required_key);
        let mut planner = Planner {
            shared: self.shared,
            ticket,
            parsed: &parsed,
            bad_key,
            metered: true,
            body: &mut self.body,
        };
        let plan = planner.plan(action);
        ticket.log(self.id, &parsed.ask);
        plan
    }

    /// Waits; `None` if the client hangs up first.
    async fn until<T>(&mut self, due: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = due => Some(done),
            () = self.input.hang_up(&mut self.io) => None,
        }
    }

    /// Serves an answer in one piece, once it is whole.
    async fn generate(
        &mut self,
        request: &Request,
        ticket: Ticket<'s>,
        mut generation: Generation<'s>,
    ) -> Flow {
        let tokens = generation.completion.output_tokens;
        if self.until(generation.pace.reach(tokens)).await.is_none() {
            ticket.dropped(DropReason::ClientGone);
            return Flow::Close;
        }
        let Generation {
            mut answer,
            mut completion,
            pace,
            cut_at,
            stream,
        } = generation;
        completion.cached_tokens = pace.cached_tokens();
        match (&completion.oddity, stream) {
            (Some(Oddity::ErrorInside(status)), _) => {
                let (operation, status) = (ticket.operation, *status);
                operation.error_inside(stream, &mut self.body, &completion, status);
            }
            (_, Some(form)) => {
                let mut frames = Frames::default();
                for step in [Step::Open, Step::Text(&completion.text), Step::Close] {
                    ticket
                        .operation
                        .frames(&mut frames, &completion, form, step);
                }
                self.body = frames.take().0;
                let kind = stream::content_type(form, answer.dialect);
                let kind = ("content-type".to_owned(), kind.to_owned());
                answer.headers.push(kind);
            }
            _ => ticket.operation.completion(&mut self.body, &completion),
        }
        spoil::spoil(&mut answer, &mut self.body);
        if let Some(share) = cut_at {
            // The head is about as long as the body of a short answer; both can be cut.
            let len = self.body.len() + HEAD_ESTIMATE;
            answer.shape.cut_after = Some((share * len as f64) as usize);
        }
        let told = completion.told_status();
        self.answer_telling(request, ticket, answer, told).await
    }

    async fn answer(&mut self, request: &Request, ticket: Ticket<'s>, answer: Answer) -> Flow {
        let told = answer.status;
        self.answer_telling(request, ticket, answer, told).await
    }

    /// Writes an answer with the body in the buffer, and logs it under the status it tells.
    async fn answer_telling(
        &mut self,
        request: &Request,
        mut ticket: Ticket<'s>,
        answer: Answer,
        told: u16,
    ) -> Flow {
        let now = self.shared.since_start();
        ticket.settle(now);
        let stamp = Stamp {
            id: self.shared.id(ticket.seq),
            now,
            took: now.saturating_sub(ticket.received),
        };
        self.build(&answer, stamp, request.head.keep_alive);
        let bytes = self.output.bytes();
        let shape = answer
            .shape
            .of_whole(bytes.len() - self.body.len(), bytes.len());
        let sent = Wire::new(&mut self.input, &mut self.io, &shape)
            .send(bytes)
            .await;
        if let Err(reason) = sent {
            return self.halt(reason, ticket, &answer.shape).await;
        }
        ticket.answered(told);
        match request.head.keep_alive && !answer.closes() {
            true => Flow::KeepAlive,
            false => Flow::Close,
        }
    }

    /// Ends a request whose answer was not written to its end.
    async fn halt(&mut self, reason: DropReason, ticket: Ticket<'s>, shape: &Shape) -> Flow {
        if reason == DropReason::Stalled {
            self.input.hang_up(&mut self.io).await;
        }
        ticket.dropped(reason);
        match shape.reset && reason != DropReason::ClientGone {
            true => Flow::Reset,
            false => Flow::Close,
        }
    }

    /// Builds an answer's bytes around the body.
    fn build(&mut self, answer: &Answer, stamp: Stamp, keep_alive: bool) {
        let wall = self.shared.wall(stamp.now);
        let output = spoil::start(&mut self.output, answer, wall);
        if !answer.has("content-type") {
            let kind = match answer.dialect {
                Some(Dialect::Gemini) => "application/json; charset=UTF-8",
                Some(Dialect::OpenAi | Dialect::Anthropic) | None => "application/json",
            };
            output.header_text("content-type", kind);
        }
        let ends_with_connection = spoil::ends_with_connection(answer);
        if !answer.has("content-length")
            && !answer.has("transfer-encoding")
            && !ends_with_connection
        {
            output.header("content-length", self.body.len());
        }
        if let Some(dialect) = answer.dialect {
            dialect.headers(output, stamp.id, stamp.took);
            if answer.rate_headers {
                let levels = self.shared.limiter.levels(stamp.now);
                dialect.rate_headers(output, &levels, self.shared.limiter.headers, wall);
            }
        }
        if !keep_alive || ends_with_connection {
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
