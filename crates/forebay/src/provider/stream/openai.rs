//! Chunks of the OpenAI chat completions dialect.
//!
//! Owns how deltas add up. A stream is whole when each of its choices has a reason for its end;
//! `[DONE]` adds nothing to that, and a usage chunk may be missing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pattern::Pattern;
use super::{
    Delta as Told, Step, filled, holds_error, note, object, push_member, push_text, reported,
};
use crate::outcome::Failure;
use crate::provider::errors::Context;
use crate::provider::json::{Content, Scalar};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    object: Scalar<'a>,
    #[serde(borrow, default)]
    choices: Option<Vec<Option<ChoiceChunk<'a>>>>,
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChoiceChunk<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    // Gateways that stream a plain answer as one event.
    #[serde(borrow, default)]
    message: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Scalar<'a>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow, default)]
    refusal: Scalar<'a>,
    // DeepSeek's, xAI's and vLLM's name for thoughts, and OpenRouter's.
    #[serde(borrow, default)]
    reasoning_content: Scalar<'a>,
    #[serde(borrow, default)]
    reasoning: Scalar<'a>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Option<CallChunk<'a>>>>,
    #[serde(borrow, default)]
    function_call: Option<FunctionChunk<'a>>,
}

#[derive(Deserialize)]
struct CallChunk<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    function: Option<FunctionChunk<'a>>,
}

#[derive(Deserialize)]
struct FunctionChunk<'a> {
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    arguments: Scalar<'a>,
}

impl Chunk<'_> {
    /// The text and the index of the choice to which the chunk adds nothing but that.
    fn only_text(&self) -> Option<(u64, &str)> {
        let choices = self.choices.as_ref()?;
        let [Some(choice)] = choices.as_slice() else {
            return None;
        };
        let delta = choice.delta.as_ref()?;
        let text = delta.text()?;
        let adds_more = filled(self.usage).is_some()
            || choice.message.is_some()
            || choice.error.is_some()
            || delta.refusal.text().is_some()
            || delta.reasoning().is_some()
            || delta.tool_calls.is_some()
            || delta.function_call.is_some();
        (!adds_more).then(|| (choice.index.count().unwrap_or(0), text))
    }
}

impl ChoiceChunk<'_> {
    /// Whether it brings anything of the answer.
    fn has_content(&self) -> bool {
        let has = |scalar: &Scalar<'_>| scalar.text().is_some_and(|text| !text.is_empty());
        let delta = self.delta.as_ref().or(self.message.as_ref());
        let is_more = delta.is_some_and(|delta| {
            delta.text().is_some()
                || delta.reasoning().is_some()
                || has(&delta.refusal)
                || delta.tool_calls.is_some()
                || delta.function_call.is_some()
        });
        is_more || has(&self.finish_reason) || holds_error(self.error)
    }
}

impl Delta<'_> {
    fn text(&self) -> Option<&str> {
        self.content.0.as_deref().filter(|text| !text.is_empty())
    }

    fn reasoning(&self) -> Option<&str> {
        let text = self.reasoning_content.text().or(self.reasoning.text());
        text.filter(|text| !text.is_empty())
    }
}

/// What has come of an answer.
#[derive(Default)]
pub(super) struct Pieces {
    model: Option<String>,
    usage: Option<Box<RawValue>>,
    choices: BTreeMap<u64, Choice>,
    /// How an event looks that only adds to the text of the choice of this index.
    pattern: Option<(Pattern, u64)>,
}

#[derive(Default)]
struct Choice {
    content: Option<String>,
    refusal: Option<String>,
    calls: BTreeMap<u64, Call>,
    function: Option<Function>,
    finish_reason: Option<String>,
    error: Option<Box<RawValue>>,
}

#[derive(Default)]
struct Call {
    id: String,
    kind: String,
    function: Function,
}

#[derive(Default)]
struct Function {
    name: String,
    arguments: String,
}

impl Pieces {
    /// Adds one event.
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        data: &[u8],
        on: &mut dyn FnMut(Told<'_>),
    ) -> Result<Step, Failure> {
        if self.add_text(data, on) {
            return Ok(Step::More);
        }
        let chunk: Chunk<'_> = object(context, data)?;
        // Older vLLM servers write an error without a member of that name.
        if holds_error(chunk.error) || chunk.object.text() == Some("error") {
            return Err(reported(context, data));
        }
        if let Some((index, text)) = chunk.only_text()
            && let Some(pattern) = Pattern::of(data, text)
        {
            self.pattern = Some((pattern, index));
        }
        note(&mut self.model, chunk.model.text());
        let mut step = Step::Idle;
        if let Some(usage) = filled(chunk.usage) {
            self.usage = Some(usage.to_owned());
            step = Step::More;
        }
        for choice in chunk.choices.into_iter().flatten().flatten() {
            if choice.has_content() {
                step = Step::More;
            }
            let index = choice.index.count().unwrap_or(0);
            // Only one choice becomes a row.
            let is_told = index == 0;
            self.choices
                .entry(index)
                .or_default()
                .add(choice, &mut |delta| {
                    if is_told {
                        on(delta);
                    }
                });
        }
        Ok(step)
    }

    /// Adds an event that looks like an earlier one apart from its text; `false` when it does not.
    fn add_text(&mut self, data: &[u8], on: &mut dyn FnMut(Told<'_>)) -> bool {
        let Some((pattern, index)) = &self.pattern else {
            return false;
        };
        let Some(text) = pattern.text_of(data) else {
            return false;
        };
        let choice = self.choices.entry(*index).or_default();
        append(&mut choice.content, Some(text));
        if *index == 0 {
            on(Told::Text(text));
        }
        true
    }

    /// The body of the plain answer; `None` when it is not all there.
    pub(super) fn body(self) -> Option<Vec<u8>> {
        let is_whole = !self.choices.is_empty() && self.choices.values().all(Choice::is_over);
        if !is_whole {
            return None;
        }
        let mut out = b"{".to_vec();
        if let Some(model) = &self.model {
            push_text(&mut out, "model", model);
        }
        if let Some(usage) = &self.usage {
            push_member(&mut out, "usage", usage.get().as_bytes());
        }
        push_member(&mut out, "choices", b"[");
        for (at, choice) in self.choices.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            choice.write(&mut out);
        }
        out.extend_from_slice(b"]}");
        Some(out)
    }
}

impl Choice {
    fn add(&mut self, chunk: ChoiceChunk<'_>, on: &mut dyn FnMut(Told<'_>)) {
        if let Some(delta) = chunk.delta.or(chunk.message) {
            if let Some(text) = delta.reasoning() {
                on(Told::Reasoning(text));
            }
            if let Some(text) = delta.text() {
                on(Told::Text(text));
            }
            append(&mut self.content, delta.content.0.as_deref());
            append(&mut self.refusal, delta.refusal.text());
            for call in delta.tool_calls.into_iter().flatten().flatten() {
                self.add_call(&call, on);
            }
            if let Some(function) = delta.function_call {
                let have = self.function.get_or_insert_default();
                let (name, arguments) = have.add(&function);
                on(Told::ToolCall {
                    index: 0,
                    id: "",
                    name,
                    arguments,
                });
            }
        }
        // Some servers write an empty reason into every chunk but the last.
        note(&mut self.finish_reason, chunk.finish_reason.text());
        if let Some(error) = chunk.error.filter(|error| holds_error(Some(error))) {
            self.error = Some(error.to_owned());
        }
    }

    /// Adds a part of a call to the one of its index.
    ///
    /// Without an index, an id begins a call and everything else goes on with the last one.
    fn add_call(&mut self, chunk: &CallChunk<'_>, on: &mut dyn FnMut(Told<'_>)) {
        let id = chunk.id.text().unwrap_or_default();
        let last = self.calls.last_key_value();
        let index = chunk.index.count().unwrap_or_else(|| match last {
            None => 0,
            Some((last, call)) if id.is_empty() || call.id == id => *last,
            Some((last, _)) => last + 1,
        });
        let place = self.calls.range(..index).count();
        let call = self.calls.entry(index).or_default();
        let is_new_id = !id.is_empty() && call.id != id;
        if is_new_id {
            id.clone_into(&mut call.id);
        }
        if let Some(kind) = chunk.kind.text().filter(|kind| !kind.is_empty()) {
            kind.clone_into(&mut call.kind);
        }
        let function = chunk.function.as_ref();
        let (name, arguments) = function.map_or(("", ""), |chunk| call.function.add(chunk));
        on(Told::ToolCall {
            index: place,
            id: if is_new_id { id } else { "" },
            name,
            arguments,
        });
    }

    fn is_over(&self) -> bool {
        self.finish_reason.is_some() || self.error.is_some()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":{");
        if let Some(content) = &self.content {
            push_text(out, "content", content);
        }
        if let Some(refusal) = &self.refusal {
            push_text(out, "refusal", refusal);
        }
        if !self.calls.is_empty() {
            push_member(out, "tool_calls", b"[");
            for (at, call) in self.calls.values().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                call.write(out);
            }
            out.push(b']');
        }
        if let Some(function) = &self.function {
            push_member(out, "function_call", b"");
            function.write(out);
        }
        out.push(b'}');
        if let Some(reason) = &self.finish_reason {
            push_text(out, "finish_reason", reason);
        }
        if let Some(error) = &self.error {
            push_member(out, "error", error.get().as_bytes());
        }
        out.push(b'}');
    }
}

impl Call {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        push_text(out, "id", &self.id);
        let kind = match self.kind.as_str() {
            "" => "function",
            kind => kind,
        };
        push_text(out, "type", kind);
        push_member(out, "function", b"");
        self.function.write(out);
        out.push(b'}');
    }
}

impl Function {
    /// Adds a part, and gives what is new of the name and of the arguments.
    fn add<'c>(&mut self, chunk: &'c FunctionChunk<'_>) -> (&'c str, &'c str) {
        // Some servers repeat the whole name with every part of the arguments.
        let name = chunk.name.text().filter(|name| *name != self.name);
        let name = name.unwrap_or_default();
        let arguments = chunk.arguments.text().unwrap_or_default();
        self.name.push_str(name);
        self.arguments.push_str(arguments);
        (name, arguments)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        push_text(out, "name", &self.name);
        push_text(out, "arguments", &self.arguments);
        out.push(b'}');
    }
}

fn append(text: &mut Option<String>, more: Option<&str>) {
    if let Some(more) = more {
        text.get_or_insert_default().push_str(more);
    }
}
