//! Writes the chunks of a streamed chat completion.
//!
//! Owns their fields and order. Never knows when they are due.

use serde::Serialize;

use super::answer::{Usage, finish_reason};
use crate::dialect::{Completion, End, Frames, Id, Step};
use crate::script::Oddity;

#[derive(Serialize)]
struct Chunk<'a> {
    id: Id<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: Vec<Choice<'a>>,
    /// Absent unless usage was asked for; then null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
}

pub(in crate::dialect) fn frames(
    frames: &mut Frames,
    completion: &Completion<'_>,
    step: Step<'_>,
    usage: bool,
) {
    let refused = completion.end == End::Refused;
    match step {
        Step::Open => {
            let opening = Delta {
                role: Some("assistant"),
                content: (!refused).then_some(""),
                refusal: refused.then_some(""),
            };
            frames.data(&chunk(completion, usage, vec![choice(opening, None)]));
        }
        Step::Text(text) => {
            let delta = Delta {
                content: (!refused).then_some(text),
                refusal: refused.then_some(text),
                ..Delta::default()
            };
            frames.data(&chunk(completion, usage, vec![choice(delta, None)]));
        }
        Step::Close => close(frames, completion, usage),
        Step::Error(error) => frames.data(&super::error(error)),
    }
}

fn close(frames: &mut Frames, completion: &Completion<'_>, usage: bool) {
    if completion.oddity == Some(Oddity::NoFinish) {
        return;
    }
    let reason = finish_reason(completion.end);
    let last = vec![choice(Delta::default(), Some(reason))];
    frames.data(&chunk(completion, usage, last));
    if completion.oddity == Some(Oddity::NoTerminator) {
        return;
    }
    if usage && completion.oddity != Some(Oddity::NoUsage) {
        let mut bill = chunk(completion, usage, Vec::new());
        bill.usage = Some(Some(Usage::of(completion)));
        frames.data(&bill);
    }
    frames.line("data: [DONE]");
}

fn chunk<'a>(completion: &'a Completion<'_>, usage: bool, choices: Vec<Choice<'a>>) -> Chunk<'a> {
    Chunk {
        id: Id {
            prefix: "chatcmpl-",
            number: completion.id,
        },
        object: "chat.completion.chunk",
        created: completion.wall.as_secs(),
        model: &completion.model,
        service_tier: "default",
        system_fingerprint: "fp_forebaysim",
        choices,
        usage: usage.then_some(None),
    }
}

fn choice<'a>(delta: Delta<'a>, finish_reason: Option<&'static str>) -> Choice<'a> {
    Choice {
        index: 0,
        delta,
        logprobs: (),
        finish_reason,
    }
}
