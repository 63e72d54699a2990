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
    /// Waits, then does something else.
    DelayThen(Duration, Box<Action>),
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
    /// Writes so many bytes at a time, at this distance.
    pub drip: Option<(usize, Duration)>,
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

    /// Waits before this action.
    pub fn after(self, delay: Duration) -> Action {
        Action::DelayThen(delay, Box::new(self))
    }
}
