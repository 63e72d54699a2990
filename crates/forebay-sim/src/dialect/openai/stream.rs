//! Writes the chunks of a streamed chat completion.
//!
//! Owns their fields and order. Never knows when they are due.

use serde::Serialize;

use super::answer::{ToolCall, Usage, finish_reason};
use super::said::Said;
use crate::dialect::{Completion, Frames, Id, Step};
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
    /// Null at the start of what is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Fragment<'a>; 1]>,
}

/// A piece of a call; only the first has more than arguments.
#[derive(Serialize)]
struct Fragment<'a> {
    index: u32,
    #[serde(flatten)]
    piece: Piece<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Piece<'a> {
    First(ToolCall<'a>),
    Further { function: Arguments<'a> },
}

#[derive(Serialize)]
struct Arguments<'a> {
    arguments: &'a str,
}

pub(in crate::dialect) fn frames(
    frames: &mut Frames,
    completion: &Completion<'_>,
    step: Step<'_>,
    usage: bool,
) {
    let stream = Stream { completion, usage };
    match step {
        Step::Open if completion.oddity == Some(Oddity::NoChoices) => {
            frames.data(&stream.chunk(Vec::new()));
        }
        Step::Open => stream.each(frames, |index| choice(index, stream.opening(index), None)),
        Step::Text(text) => {
            if Said::is_told(completion) {
                stream.each(frames, |index| choice(index, stream.delta(text), None));
            }
        }
        Step::Close => stream.close(frames),
        Step::Error(error) => frames.data(&super::error(error)),
    }
}

#[derive(Clone, Copy)]
struct Stream<'a> {
    completion: &'a Completion<'a>,
    /// Whether a chunk of its own tells it.
    usage: bool,
}

impl<'a> Stream<'a> {
    /// Adds a chunk for each choice.
    fn each(self, frames: &mut Frames, choice: impl Fn(u32) -> Choice<'a>) {
        for index in 0..self.completion.details.choices() {
            frames.data(&self.chunk(vec![choice(index)]));
        }
    }

    fn opening(self, index: u32) -> Delta<'a> {
        let opening = Delta {
            role: Some("assistant"),
            content: Some(None),
            ..Delta::default()
        };
        match Said::of(self.completion) {
            Said::Nothing => opening,
            Said::Text(_) => Delta {
                content: Some(Some("")),
                ..opening
            },
            Said::Refusal(_) => Delta {
                refusal: Some(""),
                ..opening
            },
            Said::Call { name, .. } => {
                let id = self.completion.id ^ (u64::from(index) << 48);
                let piece = Piece::First(ToolCall::new(id, name, ""));
                Delta {
                    tool_calls: Some([Fragment { index: 0, piece }]),
                    ..opening
                }
            }
        }
    }

    fn delta(self, text: &'a str) -> Delta<'a> {
        match Said::of(self.completion) {
            Said::Nothing => Delta::default(),
            Said::Text(_) => Delta {
                content: Some(Some(text)),
                ..Delta::default()
            },
            Said::Refusal(_) => Delta {
                refusal: Some(text),
                ..Delta::default()
            },
            Said::Call { .. } => {
                let function = Arguments { arguments: text };
                let piece = Piece::Further { function };
                Delta {
                    tool_calls: Some([Fragment { index: 0, piece }]),
                    ..Delta::default()
                }
            }
        }
    }

    fn close(self, frames: &mut Frames) {
        let oddity = self.completion.oddity.as_ref();
        if oddity == Some(&Oddity::NoFinish) {
            return;
        }
        if oddity != Some(&Oddity::NoChoices) {
            let reason = Some(finish_reason(self.completion));
            self.each(frames, |index| choice(index, Delta::default(), reason));
        }
        if oddity == Some(&Oddity::NoTerminator) {
            return;
        }
        if self.usage
            && let Some(usage) = Usage::of(self.completion)
        {
            let mut bill = self.chunk(Vec::new());
            bill.usage = Some(Some(usage));
            frames.data(&bill);
        }
        frames.line("data: [DONE]");
    }

    fn chunk(self, choices: Vec<Choice<'a>>) -> Chunk<'a> {
        Chunk {
            id: Id {
                prefix: "chatcmpl-",
                number: self.completion.id,
            },
            object: "chat.completion.chunk",
            created: self.completion.wall.as_secs(),
            model: &self.completion.model,
            service_tier: "default",
            system_fingerprint: "fp_forebaysim",
            choices,
            usage: self.usage.then_some(None),
        }
    }
}

fn choice<'a>(index: u32, delta: Delta<'a>, finish_reason: Option<&'static str>) -> Choice<'a> {
    Choice {
        index,
        delta,
        logprobs: (),
        finish_reason,
    }
}
