//! Streams an answer, frame by frame, as its tokens come into being.
//!
//! Owns the order of the steps and when each is due. Never makes a frame; the dialects do.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::wire::Wire;
use super::{Connection, Flow, Stamp, spoil};
use crate::dialect::{ApiError, Dialect, Frames, Step, StreamForm};
use crate::http::Request;
use crate::log::DropReason;
use crate::plan::{Answer, Generation};
use crate::script::{Oddity, Spoil};
use crate::ticket::Ticket;

/// The comment that servers send while nothing else comes.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Characters of a token, as everywhere in the simulator.
const TOKEN_CHARS: usize = 4;

impl<'s, IO> Connection<'s, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Streams an answer.
    pub(super) async fn stream(
        &mut self,
        request: &Request,
        mut ticket: Ticket<'s>,
        mut generation: Generation<'s>,
    ) -> Flow {
        let silent = !matches!(
            generation.completion.oddity,
            Some(Oddity::Comments(_) | Oddity::CommentsOnly(_) | Oddity::CommentsFirst(..))
        );
        if silent && self.until(generation.pace.reach(0)).await.is_none() {
            ticket.dropped(DropReason::ClientGone);
            return Flow::Close;
        }
        let now = self.shared.since_start();
        let stamp = Stamp {
            id: self.shared.id(ticket.seq),
            now,
            took: now.saturating_sub(ticket.received),
        };
        self.build_head(&generation, stamp, request);
        let chunked = is_chunked(&generation.answer, request);
        let mut streamed = Streamed {
            operation: ticket.operation,
            wire: Wire::new(&mut self.input, &mut self.io, &generation.answer.shape),
            chunked,
            frames: Frames::default(),
            is_told: false,
        };
        let mut ended = streamed.wire.send(self.output.bytes()).await;
        let halt = generation.answer.shape.body_halt();
        if let Some((0.0, reason)) = halt {
            ended = ended.and(Err(reason));
        }
        if ended.is_ok() {
            let chunk = self.shared.config.chunk_tokens.max(1);
            let parts = Parts {
                completion: &mut generation.completion,
                pace: &mut generation.pace,
                form: generation.stream.unwrap_or(SSE),
                cut_at: generation.cut_at,
                halt,
                chunk,
            };
            ended = streamed.run(parts).await;
        }
        if streamed.is_told {
            ticket.told();
        }
        ticket.settle(self.shared.since_start());
        self.end(
            ended,
            ticket,
            &generation,
            chunked && request.head.keep_alive,
        )
        .await
    }

    /// Logs how a streamed answer ended, and closes or keeps the connection.
    async fn end(
        &mut self,
        ended: Result<(), DropReason>,
        ticket: Ticket<'s>,
        generation: &Generation<'s>,
        keep_alive: bool,
    ) -> Flow {
        match ended {
            Ok(()) => {
                ticket.answered(generation.completion.told_status());
                match keep_alive && !generation.answer.closes() {
                    true => Flow::KeepAlive,
                    false => Flow::Close,
                }
            }
            Err(reason) => self.halt(reason, ticket, &generation.answer.shape).await,
        }
    }

    fn build_head(&mut self, generation: &Generation<'s>, stamp: Stamp, request: &Request) {
        let answer = &generation.answer;
        let wall = self.shared.wall(stamp.now);
        let output = spoil::start(&mut self.output, answer, wall);
        let form = generation.stream.unwrap_or(SSE);
        let kind = match &answer.spoil {
            Some(Spoil::ContentType(kind)) => kind,
            _ => content_type(form, answer.dialect),
        };
        output.header_text("content-type", kind);
        output.header_text("cache-control", "no-cache");
        let chunked = is_chunked(answer, request);
        match chunked {
            true => output.header_text("transfer-encoding", "chunked"),
            false => output.header_text("connection", "close"),
        };
        if let Some(dialect) = answer.dialect {
            dialect.headers(output, stamp.id, stamp.took);
            if answer.rate_headers {
                let levels = self.shared.limiter.levels(stamp.now);
                dialect.rate_headers(output, &levels, self.shared.limiter.headers, wall);
            }
        }
        if chunked && !request.head.keep_alive {
            output.header_text("connection", "close");
        }
        for (name, value) in &answer.headers {
            output.header_text(name, value);
        }
        output.body(b"");
    }
}

/// The form of a stream that nobody asked for.
const SSE: StreamForm = StreamForm {
    usage: true,
    sse: true,
};

/// What the head calls a stream.
pub(super) fn content_type(form: StreamForm, dialect: Option<Dialect>) -> &'static str {
    match (form.sse, dialect) {
        (false, _) => "application/json; charset=UTF-8",
        (true, Some(Dialect::Gemini)) => "text/event-stream",
        (true, _) => "text/event-stream; charset=utf-8",
    }
}

/// Whether a stream comes in chunks; else it ends with the connection.
fn is_chunked(answer: &Answer, request: &Request) -> bool {
    request.head.is_1_1 && !spoil::ends_with_connection(answer)
}

/// What is streamed, and when.
struct Parts<'g, 's> {
    completion: &'g mut crate::dialect::Completion<'s>,
    pace: &'g mut crate::pace::Pace,
    form: StreamForm,
    /// Where a fault cuts it, as a share of its tokens.
    cut_at: Option<f64>,
    /// Where its shape ends it, as a share of its tokens.
    halt: Option<(f64, DropReason)>,
    /// Tokens of each frame.
    chunk: u64,
}

/// A streamed answer on its way.
struct Streamed<'c, IO> {
    operation: crate::dialect::Operation,
    wire: Wire<'c, IO>,
    chunked: bool,
    frames: Frames,
    /// Whether all frames of a good end were written.
    is_told: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Streamed<'_, IO> {
    async fn run(&mut self, parts: Parts<'_, '_>) -> Result<(), DropReason> {
        let Parts {
            completion,
            pace,
            form,
            cut_at,
            halt,
            chunk,
        } = parts;
        self.begin(completion.oddity.as_ref(), pace).await?;
        completion.cached_tokens = pace.cached_tokens();
        self.step(completion, form, Step::Open).await?;
        let text = std::mem::take(&mut completion.text);
        let tokens_of = |share: f64| (share * completion.output_tokens as f64) as u64;
        let cut_tokens = cut_at.map(tokens_of);
        let halt = halt.map(|(share, reason)| (tokens_of(share), reason));
        let error = match completion.oddity {
            Some(Oddity::ErrorAfter { tokens, status }) => Some((tokens, status)),
            _ => None,
        };
        let mut tokens = 0;
        let mut rest = &*text;
        while !rest.is_empty() {
            if cut_tokens.is_some_and(|at| tokens >= at) {
                return self.tear(form, rest.as_bytes()).await;
            }
            if let Some((at, reason)) = halt
                && tokens >= at
            {
                return Err(reason);
            }
            if let Some((at, status)) = error
                && tokens >= at
            {
                return self.fail(completion, form, status).await;
            }
            let (piece, after) = split(rest, chunk as usize * TOKEN_CHARS);
            rest = after;
            tokens += (piece.chars().count() as u64).div_ceil(TOKEN_CHARS as u64);
            let due = pace.reach(tokens.min(completion.output_tokens));
            self.wire.until(due).await?;
            self.step(completion, form, Step::Text(piece)).await?;
        }
        completion.text = text;
        if let Some((_, status)) = error {
            return self.fail(completion, form, status).await;
        }
        self.wire
            .until(pace.reach(completion.output_tokens))
            .await?;
        self.step(completion, form, Step::Close).await?;
        self.is_told = completion.oddity != Some(Oddity::NoFinish);
        self.terminate().await?;
        match completion.oddity {
            Some(Oddity::NoFinish) => Err(DropReason::Cut),
            _ => Ok(()),
        }
    }

    /// Waits for the first token, with comments meanwhile if it is to be so.
    async fn begin(
        &mut self,
        oddity: Option<&Oddity>,
        pace: &mut crate::pace::Pace,
    ) -> Result<(), DropReason> {
        let (every, until): (Duration, Option<Duration>) = match oddity {
            Some(Oddity::Comments(every)) => (*every, Some(Duration::ZERO)),
            Some(Oddity::CommentsFirst(every, first)) => (*every, Some(*first)),
            Some(Oddity::CommentsOnly(every)) => (*every, None),
            _ => return Ok(()),
        };
        let begun = Instant::now();
        loop {
            let first = async {
                match until {
                    None => std::future::pending().await,
                    Some(until) => {
                        tokio::time::sleep_until(begun + until).await;
                        pace.reach(0).await;
                    }
                }
            };
            let came = tokio::time::timeout(every, first);
            if self.wire.until(came).await?.is_ok() {
                return Ok(());
            }
            self.wire.frame(KEEP_ALIVE, self.chunked).await?;
        }
    }

    /// Makes and writes the frames of one step.
    async fn step(
        &mut self,
        completion: &crate::dialect::Completion<'_>,
        form: StreamForm,
        step: Step<'_>,
    ) -> Result<(), DropReason> {
        self.operation
            .frames(&mut self.frames, completion, form, step);
        let (bytes, ends) = self.frames.take();
        let mut from = 0;
        for end in ends {
            self.wire.frame(&bytes[from..end], self.chunked).await?;
            from = end;
        }
        Ok(())
    }

    /// An error takes the place of the rest.
    async fn fail(
        &mut self,
        completion: &crate::dialect::Completion<'_>,
        form: StreamForm,
        status: u16,
    ) -> Result<(), DropReason> {
        let error = ApiError::of(status);
        self.step(completion, form, Step::Error(&error)).await?;
        self.terminate().await
    }

    /// Ends the body as HTTP has it.
    async fn terminate(&mut self) -> Result<(), DropReason> {
        match self.chunked {
            true => self.wire.send(b"0\r\n\r\n").await,
            false => Ok(()),
        }
    }

    /// Writes half of a frame; the connection ends in it.
    async fn tear(&mut self, form: StreamForm, text: &[u8]) -> Result<(), DropReason> {
        let start = match form.sse {
            true => &b"data: {\""[..],
            false => b",\r\n{\"",
        };
        let torn = [start, &text[..text.len().min(TOKEN_CHARS)]].concat();
        self.wire.frame(&torn, self.chunked).await?;
        Err(DropReason::Cut)
    }
}

/// Splits a text after so many characters.
fn split(text: &str, chars: usize) -> (&str, &str) {
    match text.char_indices().nth(chars) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    }
}
