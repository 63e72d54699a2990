//! Judging answers: whether one will do, is asked for again, or fails its item.
//!
//! Owns what a cut answer and one that does not fit the schema lead to. Never sends: what is
//! asked again goes through the queue like any other request, without a wait.

use std::time::Duration;

use super::attempt::Trace;
use super::dispatcher::Dispatcher;
use super::flight::Work;
use crate::config::OnLength;
use crate::event::Event;
use crate::outcome::{Failure, FailureKind, FinishReason, Reply};
use crate::provider::{self, Encoded};

/// How often a cut answer is asked for again with more room: eight times the first room in the
/// end.
const MOST_RAISES: u32 = 3;

/// What an answer is worth.
enum Verdict {
    /// It is the item's outcome.
    Good(Reply),
    /// It fails its item.
    Failed(Failure),
    /// It will not do, and the item is asked again.
    Again(Failure, Again),
}

/// What is asked after an answer that will not do.
struct Again {
    request: Encoded,
    /// The cap on output tokens, when it was raised.
    cap: Option<u64>,
}

/// What was asked of an item beyond its own request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// Answers that did not fit the schema.
    misfits: u32,
    /// Times that the cap on output tokens was raised.
    raises: u32,
}

impl Dispatcher<'_> {
    /// Takes an answer that arrived whole and is paid for.
    pub(super) fn answered(&mut self, now: Duration, mut work: Box<Work>, end: (Reply, Trace)) {
        let (reply, trace) = end;
        match judge(self, &work, reply) {
            Verdict::Good(reply) => self.finish(work, Ok(reply), trace),
            Verdict::Failed(mut failure) => {
                self.note_wanting(&mut failure, &work);
                self.finish(work, Err(failure), trace);
            }
            Verdict::Again(mut failure, again) => {
                self.note_wanting(&mut failure, &work);
                if self.drain.is_stopping() {
                    return self.leave_pending(work, &failure);
                }
                self.record_retry(&mut work, &failure, false);
                (self.observer)(&Event::AttemptFailedWillRetry {
                    id: &work.id(),
                    failure: &failure,
                    after: Duration::ZERO,
                });
                match failure.kind {
                    FailureKind::SchemaMismatch => work.asked.misfits += 1,
                    _ => work.asked.raises += 1,
                }
                work.cap = again.cap.or(work.cap);
                work.go_on(&self.endpoint.name, again.request);
                work.worst_cost = self.worst_cost(&work);
                self.queue.push_retry(now, work);
            }
        }
    }

    /// An answer from earlier as this item would have it; `None` when it will not do.
    pub(super) fn accepts(&self, work: &Work, reply: Reply) -> Option<Reply> {
        match judge(self, work, reply) {
            Verdict::Good(reply) => Some(reply),
            Verdict::Failed(_) | Verdict::Again(..) => None,
        }
    }

    fn note_wanting(&mut self, failure: &mut Failure, work: &Work) {
        failure.attempts = work.tries.attempts;
        *self.failed_attempts.entry(failure.kind).or_default() += 1;
    }
}

fn judge(engine: &Dispatcher<'_>, work: &Work, reply: Reply) -> Verdict {
    let cut = reply.finish_reason == FinishReason::Length;
    match engine.settings.on_length {
        OnLength::Error if cut => Verdict::Failed(too_long(&reply)),
        OnLength::Retry if cut => judge_cut(engine, work, &reply),
        _ => judge_shape(engine, work, reply),
    }
}

/// A cut answer is asked for again while there is more room to give.
fn judge_cut(engine: &Dispatcher<'_>, work: &Work, reply: &Reply) -> Verdict {
    let failure = too_long(reply);
    if work.asked.raises >= MOST_RAISES {
        return Verdict::Failed(failure);
    }
    let used = reply.usage.map(|usage| usage.output_tokens);
    let most = engine.model.and_then(|model| model.max_output_tokens);
    match provider::raise_cap(engine.endpoint, &work.request, used, most) {
        Some((request, cap)) => {
            let cap = Some(cap);
            Verdict::Again(failure, Again { request, cap })
        }
        None => Verdict::Failed(failure),
    }
}

/// An answer that is to fit a schema; tool calls are not its text and are left as they are.
fn judge_shape(engine: &Dispatcher<'_>, work: &Work, mut reply: Reply) -> Verdict {
    let Some(wanted) = &engine.settings.schema else {
        return Verdict::Good(reply);
    };
    if reply.tool_calls.is_some() {
        return Verdict::Good(reply);
    }
    let text = reply.text.as_deref().unwrap_or_default();
    let mismatch = match wanted.schema.check(text) {
        Ok(parsed) => {
            reply.parsed = Some(parsed);
            return Verdict::Good(reply);
        }
        Err(mismatch) => mismatch,
    };
    if reply.finish_reason == FinishReason::Length {
        return Verdict::Failed(too_long(&reply));
    }
    let failure = paid_for(
        FailureKind::SchemaMismatch,
        mismatch.message.clone(),
        &reply,
    );
    if work.asked.misfits >= wanted.retries {
        return Verdict::Failed(failure);
    }
    let said = mismatch.request();
    match provider::follow_up(engine.endpoint, &work.request, &reply, &said) {
        Some(request) => Verdict::Again(failure, Again { request, cap: None }),
        None => Verdict::Failed(failure),
    }
}

fn too_long(reply: &Reply) -> Failure {
    let message = match reply.usage {
        Some(usage) => format!(
            "the cap on output tokens cut the answer after {} tokens",
            usage.output_tokens
        ),
        None => "the cap on output tokens cut the answer".into(),
    };
    paid_for(FailureKind::Length, message, reply)
}

fn paid_for(kind: FailureKind, message: String, reply: &Reply) -> Failure {
    Failure {
        usage: reply.usage.map(Box::new),
        ..Failure::new(kind, message)
    }
}
