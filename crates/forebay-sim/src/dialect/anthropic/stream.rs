//! Writes the events of a streamed message.
//!
//! Owns their fields and order. Never knows when they are due.
//!
//! ```text
//! message_start  content_block_start  ping  content_block_delta*  content_block_stop
//! message_delta  message_stop
//! ```

use serde::Serialize;

use super::answer::{self, Answer, Block, StopDetails, Usage};
use crate::dialect::{Completion, Frames, Step};
use crate::script::Oddity;

/// The output tokens that a message's start tells; the true number comes at its end.
const FIRST_TOKENS: u64 = 1;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Answer<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block<'a>,
    },
    Ping,
    ContentBlockDelta {
        index: u32,
        delta: Delta<'a>,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: End<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    MessageStop,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta<'a> {
    TextDelta { text: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
struct End<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    stop_details: Option<StopDetails>,
}

pub(in crate::dialect) fn frames(frames: &mut Frames, completion: &Completion<'_>, step: Step<'_>) {
    match step {
        Step::Open => open(frames, completion),
        Step::Text(text) => {
            if !answer::is_bare(completion) && completion.oddity != Some(Oddity::EmptyText) {
                delta(frames, completion, text);
            }
        }
        Step::Close => close(frames, completion),
        Step::Error(error) => frames.event("error", &super::error(error, completion.id)),
    }
}

fn open(frames: &mut Frames, completion: &Completion<'_>) {
    let mut message = answer::opening(completion);
    if let Some(usage) = &mut message.usage {
        usage.output_tokens = FIRST_TOKENS;
    }
    frames.event("message_start", &Event::MessageStart { message });
    let nothing = answer::no_arguments();
    let name = calls(completion);
    if !answer::is_bare(completion) {
        let content_block = match name {
            Some(name) => answer::tool_use(completion, name, nothing),
            None => Block::Text { text: "" },
        };
        let index = 0;
        let start = Event::ContentBlockStart {
            index,
            content_block,
        };
        frames.event("content_block_start", &start);
    }
    frames.event("ping", &Event::Ping);
    if name.is_some() {
        delta(frames, completion, "");
    }
}

/// The function that the message's block calls.
fn calls<'a>(completion: &'a Completion<'_>) -> Option<&'a str> {
    completion
        .function
        .as_deref()
        .filter(|_| !answer::is_bare(completion) && completion.oddity != Some(Oddity::EmptyText))
}

fn delta(frames: &mut Frames, completion: &Completion<'_>, text: &str) {
    let delta = match calls(completion) {
        Some(_) => Delta::InputJsonDelta { partial_json: text },
        None => Delta::TextDelta { text },
    };
    let event = Event::ContentBlockDelta { index: 0, delta };
    frames.event("content_block_delta", &event);
}

fn close(frames: &mut Frames, completion: &Completion<'_>) {
    if !answer::is_bare(completion) {
        let stop = Event::ContentBlockStop { index: 0 };
        frames.event("content_block_stop", &stop);
    }
    if completion.oddity == Some(Oddity::NoFinish) {
        return;
    }
    let end = Event::MessageDelta {
        delta: End {
            stop_reason: answer::stop_reason(completion),
            stop_sequence: completion.stop_sequence.as_deref(),
            stop_details: answer::stop_details(completion.end),
        },
        usage: answer::usage(completion),
    };
    frames.event("message_delta", &end);
    if completion.oddity != Some(Oddity::NoTerminator) {
        frames.event("message_stop", &Event::MessageStop);
    }
}
