//! What a script sees of a request and what it may order.
//!
//! Owns the words of the script. Never carries an order out; `connection` does.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::{Dialect, Operation};

/// Decides what happens to each request; called once for each, as it arrives.
///
/// Connections on several threads may call it at the same time.
pub type Script = Arc<dyn Fn(&Call<'_>) -> Action + Send + Sync>;

/// One request, as a script sees it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Counts the requests received, from 1.
    pub seq: u64,
    /// Counts the times this very body was received, from 1.
    pub seen: u32,
    /// The text of the last user message; empty if the body has none.
    pub prompt: &'a str,
    /// The model's own messages in the conversation so far.
    pub answers: u32,
    /// The model as the request names it; empty if the body has none.
    pub model: &'a str,
    /// The time since the simulator started.
    pub since_start: Duration,
    /// The dialect of the path.
    pub dialect: Dialect,
    /// What the path asks for.
    pub operation: Operation,
    /// The connection's number, from 1.
    pub connection: u64,
    /// Counts the requests on this connection, from 1.
    pub nth_on_connection: u64,
    /// The body's XXH3-128 hash: what the log calls its key.
    pub key: u128,
    /// Numbers the different bodies, from 1, in the order in which they first came.
    pub row: u64,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// The simulator's wall clock, since the Unix epoch.
    pub wall: Duration,
}

/// What a script orders for one request.
///
/// Orders that answer normally pass the key check, validation, limits, faults and latency; the
/// others act at once and ignore all of these. [`Action::DelayThen`] adds a wait to any.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answers normally.
    Answer,
    /// Answers normally, with this text.
    AnswerText(String),
    /// Answers with exactly this status, these headers and this body.
    ///
    /// `date` is added, and `content-length` and `content-type: application/json` unless given.
    Reply {
        /// The HTTP status.
        status: u16,
        /// Header names and values, written as they are, repeats included.
        headers: Vec<(String, String)>,
        /// The body's bytes.
        body: Vec<u8>,
    },
    /// Answers with an error in the dialect's own body form.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's `type`; empty: the dialect's own for this status.
        kind: Cow<'static, str>,
        /// The error's `code` (OpenAI) or `details.error_code` (Anthropic).
        code: Option<Cow<'static, str>>,
        /// The error's message; empty: the dialect's own for this status.
        message: String,
        /// Further headers, written as they are, repeats included.
        headers: Vec<(String, String)>,
    },
    /// Resets the connection before the first byte of an answer.
    Reset,
    /// Answers normally, but closes after this many bytes of the raw answer, head included.
    CutAfter(usize),
    /// Answers normally, but not in this way.
    Odd(Oddity),
    /// Answers normally, but this is what the network makes of it.
    Shaped(Shape),
    /// Never answers; waits until the client hangs up.
    Stall,
    /// Answers normally, says nothing of closing, then closes.
    CloseAfterAnswer,
    /// Writes these bytes as they are, then closes.
    Raw(Vec<u8>),
    /// Answers normally, but the answer is spoilt on its way out.
    Spoilt(Spoil),
    /// Answers with status 200 and never comes to an end, or only after a GiB.
    Endless(Endless),
    /// Waits, then does something else.
    DelayThen(Duration, Box<Action>),
    /// Does something under a fault's name, which the log then tells.
    Named {
        /// The fault's name.
        fault: Cow<'static, str>,
        /// Whether no client may take the answer for a good one, whatever its status.
        spoils: bool,
        /// What is done.
        then: Box<Action>,
    },
}

/// What is wrong with an answer that is a correct HTTP answer with status 200.
#[derive(Clone, Debug, PartialEq)]
pub enum Oddity {
    /// The usage is missing.
    NoUsage,
    /// Another model answered.
    OtherModel(String),
    /// There are no choices, no content blocks, no candidates.
    NoChoices,
    /// The content is null or missing, without a refusal or a function call.
    NullContent,
    /// The text is empty.
    EmptyText,
    /// A filter held the text back.
    Filtered,
    /// The model refused.
    Refused,
    /// The token cap cut the text.
    Length,
    /// The body is an error with this code, in place of an answer.
    ErrorInside(u16),
    /// Streamed: the stream ends well formed but for the end's reason and all after it.
    NoFinish,
    /// Streamed: the stream ends after the end's reason, without its terminator.
    NoTerminator,
    /// Streamed: after this many tokens an error with this status takes the place of the rest.
    ErrorAfter {
        /// Output tokens before it.
        tokens: u64,
        /// The status that the error has elsewhere.
        status: u16,
    },
    /// Streamed: comments at this distance before the first token, for ever.
    CommentsOnly(Duration),
    /// Streamed: comments at this distance while nothing else comes.
    Comments(Duration),
    /// Streamed: comments at this distance for so long before all else.
    CommentsFirst(Duration, Duration),
}

/// What spoils a correct answer on its way out of the server.
///
/// A body that is spoilt is that of a streamed answer if a stream was asked for; it is then
/// written in one piece once the last token exists.
#[derive(Clone, Debug, PartialEq)]
pub enum Spoil {
    /// The head names this content type.
    ContentType(String),
    /// This body takes the place of the answer's.
    Body {
        /// What the head calls it.
        content_type: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The body ends after this share of its bytes, and its length says so too.
    Truncated(f64),
    /// The body is compressed, unasked, and this share of the compressed bytes is sent.
    Gzip(f64),
    /// The body is so many spaces, compressed to about a thousandth.
    GzipBomb(u64),
    /// `content-length` is off by so many bytes; the connection closes after too long a one.
    Length(i64),
    /// The second chunk's size is no number.
    BadChunk,
    /// The head tells no length; the body ends with the connection.
    ToClose,
    /// The answer is one of HTTP/1.0 and ends with the connection.
    Http10,
    /// The status line has no words after the status.
    NoReason,
    /// These bytes come before the head, such as those of a 103.
    Before(Vec<u8>),
    /// These headers come in place of the dialect's rate headers.
    RateHeaders(Vec<(String, String)>),
    /// The answer is streamed, or is not, whatever was asked for.
    Streamed(bool),
}

/// What never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// The body: one JSON string in chunks.
    Body,
    /// The headers.
    Headers,
    /// A line of a stream of server-sent events.
    Line,
}

/// What the network makes of an answer's bytes, head included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Closes after so many bytes.
    pub cut_after: Option<usize>,
    /// Closes after so many frames of a streamed answer.
    pub cut_after_frames: Option<u64>,
    /// Resets the connection where it would close.
    pub reset: bool,
    /// Writes nothing more after so many bytes and waits until the client hangs up.
    pub stall_after: Option<usize>,
    /// Closes after this share of the body, or of a streamed answer's tokens; 0 is after the head.
    pub cut_body: Option<f64>,
    /// The same, but writes nothing more and waits until the client hangs up.
    pub stall_body: Option<f64>,
    /// Stalls after so many frames of a streamed answer.
    pub stall_after_frames: Option<u64>,
    /// Writes so many bytes at a time, at this distance.
    pub drip: Option<(usize, Duration)>,
    /// Drips no longer than for so many bytes; the rest comes at once.
    pub drip_first: Option<usize>,
}

impl Oddity {
    /// Whether no client may take the answer for a good one.
    pub(crate) fn spoils(&self) -> bool {
        match self {
            Oddity::NoChoices
            | Oddity::NullContent
            | Oddity::Filtered
            | Oddity::Refused
            | Oddity::ErrorInside(_)
            | Oddity::NoFinish
            | Oddity::ErrorAfter { .. }
            | Oddity::CommentsOnly(_) => true,
            // A model may have nothing to say; it says so by an end of its own.
            Oddity::EmptyText
            | Oddity::NoUsage
            | Oddity::OtherModel(_)
            | Oddity::Length
            | Oddity::NoTerminator
            | Oddity::Comments(_)
            | Oddity::CommentsFirst(..) => false,
        }
    }

    /// Whether only a stream can be so; an answer in one piece is then like any other.
    pub(crate) fn only_in_streams(&self) -> bool {
        match self {
            Oddity::NoFinish
            | Oddity::NoTerminator
            | Oddity::ErrorAfter { .. }
            | Oddity::CommentsOnly(_)
            | Oddity::Comments(_)
            | Oddity::CommentsFirst(..) => true,
            Oddity::NoUsage
            | Oddity::OtherModel(_)
            | Oddity::NoChoices
            | Oddity::NullContent
            | Oddity::EmptyText
            | Oddity::Filtered
            | Oddity::Refused
            | Oddity::Length
            | Oddity::ErrorInside(_) => false,
        }
    }
}

impl Spoil {
    /// Whether no client may take the answer for a good one.
    pub(crate) fn spoils(&self) -> bool {
        match self {
            Spoil::Body { .. }
            | Spoil::Truncated(_)
            | Spoil::GzipBomb(_)
            | Spoil::Length(_)
            | Spoil::BadChunk => true,
            Spoil::Gzip(share) => *share < 1.0,
            Spoil::ContentType(_)
            | Spoil::ToClose
            | Spoil::Http10
            | Spoil::NoReason
            | Spoil::Before(_)
            | Spoil::RateHeaders(_)
            | Spoil::Streamed(_) => false,
        }
    }

    /// Whether the connection ends with the answer.
    pub(crate) fn closes(&self) -> bool {
        match self {
            Spoil::BadChunk | Spoil::ToClose | Spoil::Http10 => true,
            Spoil::Length(by) => *by > 0,
            Spoil::ContentType(_)
            | Spoil::Body { .. }
            | Spoil::Truncated(_)
            | Spoil::Gzip(_)
            | Spoil::GzipBomb(_)
            | Spoil::NoReason
            | Spoil::Before(_)
            | Spoil::RateHeaders(_)
            | Spoil::Streamed(_) => false,
        }
    }

    /// Whether it alters the body, so that the body has to be whole first.
    pub(crate) fn alters_body(&self) -> bool {
        match self {
            Spoil::Body { .. }
            | Spoil::Truncated(_)
            | Spoil::Gzip(_)
            | Spoil::GzipBomb(_)
            | Spoil::Length(_)
            | Spoil::BadChunk => true,
            Spoil::ContentType(_)
            | Spoil::ToClose
            | Spoil::Http10
            | Spoil::NoReason
            | Spoil::Before(_)
            | Spoil::RateHeaders(_)
            | Spoil::Streamed(_) => false,
        }
    }
}

impl Action {
    /// Answers with the dialect's own error for a status, such as 500, 503 or 529.
    pub fn status(status: u16) -> Action {
        Action::Error {
            status,
            kind: Cow::Borrowed(""),
            code: None,
            message: String::new(),
            headers: Vec::new(),
        }
    }

    /// Does it under a fault's name.
    pub(crate) fn named(self, fault: impl Into<Cow<'static, str>>, spoils: bool) -> Action {
        Action::Named {
            fault: fault.into(),
            spoils,
            then: Box::new(self),
        }
    }

    /// Waits before this action.
    pub fn after(self, delay: Duration) -> Action {
        Action::DelayThen(delay, Box::new(self))
    }
}
