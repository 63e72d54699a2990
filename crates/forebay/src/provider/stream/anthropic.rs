//! Events of the Anthropic messages dialect.
//!
//! Owns how deltas add up to blocks, and the usage, which the last events give anew. A stream is
//! whole when it says `message_stop`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Delta as Tell, Step, filled, malformed, object, push_member, push_text, reported};
use crate::fields;
use crate::outcome::Failure;
use crate::provider::errors::Context;
use crate::provider::json::Scalar;

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(borrow, default)]
    content_block: Option<BlockStart<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    text: Scalar<'a>,
    #[serde(borrow, default)]
    id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What changes in a block, or at the end in the message.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Scalar<'a>,
    #[serde(borrow, default)]
    thinking: Scalar<'a>,
    #[serde(borrow, default)]
    partial_json: Scalar<'a>,
    #[serde(borrow, default)]
    stop_reason: Scalar<'a>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
}

/// What has come of an answer.
#[derive(Default)]
pub(super) struct Pieces {
    model: Option<String>,
    /// The usage of the beginning, and the newest one.
    usage: [Option<Box<RawValue>>; 2],
    blocks: BTreeMap<u64, Block>,
    stop_reason: Option<String>,
    stop_details: Option<Box<RawValue>>,
    is_over: bool,
}

enum Block {
    Text(String),
    ToolUse(ToolUse),
    /// Thoughts, and what servers did themselves: no part of a row.
    Other,
}

struct ToolUse {
    id: String,
    name: String,
    /// The input that the block began with, which is empty as a rule.
    first: Option<Box<RawValue>>,
    input: String,
}

impl Pieces {
    /// Adds one event.
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        name: &[u8],
        data: &[u8],
        on: &mut dyn FnMut(Tell<'_>),
    ) -> Result<Step, Failure> {
        let told: Told<'_> = object(context, data)?;
        let kind = told.kind.text().map_or(name, str::as_bytes);
        match kind {
            b"error" => return Err(reported(context, data)),
            b"message_start" => {
                if let Some(message) = told.message {
                    self.model = message.model.text().map(str::to_owned);
                    self.usage[0] = filled(message.usage).map(ToOwned::to_owned);
                }
                return Ok(Step::Idle);
            }
            b"ping" => return Ok(Step::Idle),
            b"content_block_start" => {
                self.begin(context, told, on)?;
                return Ok(Step::Idle);
            }
            b"content_block_delta" => {
                let at = told.index.count().unwrap_or(0);
                let place = self.place(at);
                let block = self.blocks.get_mut(&at);
                let block = block.ok_or_else(|| {
                    malformed(
                        context,
                        "the stream goes on with a block that it never began",
                    )
                })?;
                if let Some(delta) = told.delta {
                    block.add(&delta, place, on);
                }
            }
            b"content_block_stop" => {
                let at = told.index.count().unwrap_or(0);
                if let Some(Block::ToolUse(tool)) = self.blocks.get(&at)
                    && tool.is_told_at_once()
                {
                    on(Tell::ToolCall {
                        index: self.place(at),
                        id: "",
                        name: "",
                        arguments: tool.first(),
                    });
                }
            }
            b"message_delta" => self.add_end(told),
            b"message_stop" => {
                self.is_over = true;
                return Ok(Step::Over);
            }
            // What the versions to come add.
            _ => {}
        }
        Ok(Step::More)
    }

    /// Which of the tool calls a block is.
    fn place(&self, at: u64) -> usize {
        let before = self.blocks.range(..at).map(|(_, block)| block);
        before.filter(|b| matches!(b, Block::ToolUse(_))).count()
    }

    /// Begins a block.
    fn begin(
        &mut self,
        context: &Context<'_>,
        told: Told<'_>,
        on: &mut dyn FnMut(Tell<'_>),
    ) -> Result<(), Failure> {
        let block = told.content_block.map_or(Block::Other, Block::begin);
        let at = told.index.count().unwrap_or(0);
        if self.blocks.contains_key(&at) {
            return Err(malformed(context, "the stream begins a block twice"));
        }
        match &block {
            Block::Text(text) if !text.is_empty() => on(Tell::Text(text)),
            Block::ToolUse(tool) => on(Tell::ToolCall {
                index: self.place(at),
                id: &tool.id,
                name: &tool.name,
                arguments: "",
            }),
            Block::Text(_) | Block::Other => {}
        }
        self.blocks.insert(at, block);
        Ok(())
    }

    fn add_end(&mut self, told: Told<'_>) {
        if let Some(usage) = filled(told.usage) {
            self.usage[1] = Some(usage.to_owned());
        }
        if let Some(delta) = told.delta {
            if let Some(reason) = delta.stop_reason.text() {
                self.stop_reason = Some(reason.to_owned());
            }
            if let Some(details) = filled(delta.stop_details) {
                self.stop_details = Some(details.to_owned());
            }
        }
    }

    /// The body of the plain answer; `None` when it is not all there.
    ///
    /// # Errors
    /// When the input of a tool is no JSON.
    pub(super) fn body(self, context: &Context<'_>) -> Result<Option<Vec<u8>>, Failure> {
        if !self.is_over {
            return Ok(None);
        }
        let mut out = b"{".to_vec();
        if let Some(model) = &self.model {
            push_text(&mut out, "model", model);
        }
        if let Some(reason) = &self.stop_reason {
            push_text(&mut out, "stop_reason", reason);
        }
        if let Some(details) = &self.stop_details {
            push_member(&mut out, "stop_details", details.get().as_bytes());
        }
        push_member(&mut out, "usage", b"{");
        self.write_usage(&mut out);
        out.push(b'}');
        // A tool's input may be cut only where the whole answer is.
        let may_be_cut = self.stop_reason.as_deref() == Some("max_tokens");
        push_member(&mut out, "content", b"[");
        for block in self.blocks.values() {
            block.write(&mut out, may_be_cut).ok_or_else(|| {
                malformed(context, "the input of a tool in the stream is no JSON")
            })?;
        }
        if out.ends_with(b",") {
            out.pop();
        }
        out.extend_from_slice(b"]}");
        Ok(Some(out))
    }

    /// Writes the counts: they are totals, so that the newest of each name counts.
    fn write_usage(&self, out: &mut Vec<u8>) {
        let [first, newest] = &self.usage;
        let members = |usage: &'_ Option<Box<RawValue>>| -> Vec<(String, String)> {
            let text = usage.as_ref().map_or("{}", |usage| usage.get());
            let members = fields::members(text).unwrap_or_default();
            let filled = members
                .into_iter()
                .filter(|(_, value)| value.get() != "null");
            filled
                .map(|(name, value)| (name.into_owned(), value.get().to_owned()))
                .collect()
        };
        let newest = members(newest);
        let older = members(first).into_iter();
        let older = older.filter(|(name, _)| newest.iter().all(|(newer, _)| newer != name));
        for (name, value) in older.collect::<Vec<_>>().iter().chain(&newest) {
            push_member(out, name, value.as_bytes());
        }
    }
}

impl Block {
    fn begin(start: BlockStart<'_>) -> Block {
        let text = |scalar: &Scalar<'_>| scalar.text().unwrap_or_default().to_owned();
        match start.kind.text() {
            Some("text") => Block::Text(text(&start.text)),
            Some("tool_use") => Block::ToolUse(ToolUse {
                id: text(&start.id),
                name: text(&start.name),
                first: start.input.map(ToOwned::to_owned),
                input: String::new(),
            }),
            _ => Block::Other,
        }
    }

    /// Adds to the block, which is the tool call at this place if it is one.
    fn add(&mut self, delta: &Delta<'_>, place: usize, on: &mut dyn FnMut(Tell<'_>)) {
        match self {
            Block::Text(text) => {
                let more = delta.text.text().unwrap_or_default();
                text.push_str(more);
                on(Tell::Text(more));
            }
            Block::ToolUse(tool) => {
                let more = delta.partial_json.text().unwrap_or_default();
                tool.input.push_str(more);
                on(Tell::ToolCall {
                    index: place,
                    id: "",
                    name: "",
                    arguments: more,
                });
            }
            Block::Other => {
                if let Some(text) = delta.thinking.text() {
                    on(Tell::Reasoning(text));
                }
            }
        }
    }

    /// Appends the block and a comma; `None` when it cannot be written.
    fn write(&self, out: &mut Vec<u8>, may_be_cut: bool) -> Option<()> {
        match self {
            Block::Text(text) => {
                out.extend_from_slice(b"{\"type\":\"text\"");
                push_text(out, "text", text);
            }
            Block::ToolUse(tool) => {
                out.extend_from_slice(b"{\"type\":\"tool_use\"");
                push_text(out, "id", &tool.id);
                push_text(out, "name", &tool.name);
                tool.write_input(out, may_be_cut)?;
            }
            Block::Other => return Some(()),
        }
        out.extend_from_slice(b"},");
        Some(())
    }
}

impl ToolUse {
    /// Whether the block began with the whole input, and no delta brought any.
    fn is_told_at_once(&self) -> bool {
        self.input.trim().is_empty()
    }

    fn first(&self) -> &str {
        self.first.as_ref().map_or("{}", |input| input.get())
    }

    fn write_input(&self, out: &mut Vec<u8>, may_be_cut: bool) -> Option<()> {
        if self.is_told_at_once() {
            push_member(out, "input", self.first().as_bytes());
        } else if serde_json::from_str::<&RawValue>(&self.input).is_ok() {
            push_member(out, "input", self.input.trim().as_bytes());
        } else if may_be_cut {
            push_text(out, "input", &self.input);
        } else {
            return None;
        }
        Some(())
    }
}
