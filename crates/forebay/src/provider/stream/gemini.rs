//! Parts of streamed content of the Gemini dialect.
//!
//! Owns how they add up: each is an answer of its own that brings the next part of the content,
//! and the newest counts of tokens. A stream is whole when each candidate has a reason for its
//! end, or when the prompt was blocked; nothing marks its end.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Delta, Step, filled, holds_error, note, object, push_member, push_text, reported};
use crate::fields;
use crate::outcome::Failure;
use crate::provider::errors::Context;
use crate::provider::gemini::{Part, PromptFeedback};
use crate::provider::json::{self, Scalar};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    candidates: Option<Vec<Option<CandidateChunk<'a>>>>,
    #[serde(borrow, default, rename = "promptFeedback")]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "usageMetadata")]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "modelVersion")]
    model: Scalar<'a>,
}

#[derive(Deserialize)]
struct CandidateChunk<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default, rename = "finishReason")]
    finish_reason: Scalar<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

/// What has come of an answer.
#[derive(Default)]
pub(super) struct Pieces {
    model: Option<String>,
    usage: Option<Box<RawValue>>,
    feedback: Option<Box<RawValue>>,
    candidates: BTreeMap<u64, Candidate>,
}

#[derive(Default)]
struct Candidate {
    text: Option<String>,
    /// Parts with calls, as written.
    calls: Vec<Box<RawValue>>,
    finish_reason: Option<String>,
}

impl Pieces {
    /// Adds one part.
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        data: &[u8],
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Step, Failure> {
        let chunk: Chunk<'_> = object(context, data)?;
        if holds_error(chunk.error) {
            return Err(reported(context, data));
        }
        note(&mut self.model, chunk.model.text());
        if let Some(usage) = filled(chunk.usage) {
            self.usage = Some(usage.to_owned());
        }
        let mut step = Step::Idle;
        if let Some(feedback) = filled(chunk.prompt_feedback) {
            self.feedback = Some(feedback.to_owned());
            step = Step::More;
        }
        for candidate in chunk.candidates.into_iter().flatten().flatten() {
            let index = candidate.index.count().unwrap_or(0);
            let is_first = self
                .candidates
                .keys()
                .next()
                .is_none_or(|first| *first >= index);
            let have = self.candidates.entry(index).or_default();
            have.add(candidate, &mut |delta| {
                if is_first {
                    on(delta);
                }
            });
            step = Step::More;
        }
        Ok(step)
    }

    /// Whether the prompt was blocked, so that no candidate comes.
    fn is_blocked(&self) -> bool {
        let feedback = self.feedback.as_deref().and_then(json::object);
        feedback.is_some_and(|feedback: PromptFeedback<'_>| {
            feedback
                .block_reason
                .text()
                .is_some_and(|text| !text.is_empty())
        })
    }

    /// The body of the plain answer; `None` when it is not all there.
    pub(super) fn body(self) -> Option<Vec<u8>> {
        let mut candidates = self.candidates.values();
        let is_whole = match self.candidates.is_empty() {
            true => self.is_blocked(),
            false => candidates.all(|candidate| candidate.finish_reason.is_some()),
        };
        if !is_whole {
            return None;
        }
        let mut out = b"{".to_vec();
        if let Some(model) = &self.model {
            push_text(&mut out, "modelVersion", model);
        }
        for (name, value) in [
            ("usageMetadata", &self.usage),
            ("promptFeedback", &self.feedback),
        ] {
            if let Some(value) = value {
                push_member(&mut out, name, value.get().as_bytes());
            }
        }
        push_member(&mut out, "candidates", b"[");
        for (at, candidate) in self.candidates.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            candidate.write(&mut out);
        }
        out.extend_from_slice(b"]}");
        Some(out)
    }
}

impl Candidate {
    fn add(&mut self, chunk: CandidateChunk<'_>, on: &mut dyn FnMut(Delta<'_>)) {
        let parts = chunk.content.and_then(|content| content.parts);
        for raw in parts.into_iter().flatten() {
            if let Some(part) = json::object::<Part<'_>>(raw) {
                self.add_part(raw, &part, on);
            }
        }
        note(&mut self.finish_reason, chunk.finish_reason.text());
    }

    fn add_part(&mut self, raw: &RawValue, part: &Part<'_>, on: &mut dyn FnMut(Delta<'_>)) {
        if let Some(call) = part.call.and_then(json::object::<Call<'_>>) {
            on(Delta::ToolCall {
                index: self.calls.len(),
                id: call.id.text().unwrap_or_default(),
                name: call.name.text().unwrap_or_default(),
                arguments: call.args.map_or("{}", RawValue::get),
            });
            self.calls.push(raw.to_owned());
        } else if let Some(text) = part.text.text() {
            if part.is_thought() {
                on(Delta::Reasoning(text));
                return;
            }
            if !text.is_empty() {
                on(Delta::Text(text));
            }
            self.text.get_or_insert_default().push_str(text);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"content\":{\"role\":\"model\",\"parts\":[");
        if let Some(text) = &self.text {
            out.extend_from_slice(b"{\"text\":");
            fields::push_json_str(out, text);
            out.push(b'}');
        }
        for (at, call) in self.calls.iter().enumerate() {
            if at > 0 || self.text.is_some() {
                out.push(b',');
            }
            out.extend_from_slice(call.get().as_bytes());
        }
        out.extend_from_slice(b"]}");
        if let Some(reason) = &self.finish_reason {
            push_text(out, "finishReason", reason);
        }
        out.push(b'}');
    }
}
