//! Events of the OpenAI responses dialect.
//!
//! Owns which events tell something, and where the whole response stands. A stream is whole when
//! it ends with one of the three events that hold the response as a plain answer would.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Delta, Step, filled, object, push_member, reported};
use crate::fields;
use crate::outcome::Failure;
use crate::provider::errors::Context;
use crate::provider::json::{self, Scalar};
use crate::provider::reply::has_items;

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_index: Scalar<'a>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Scalar<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    call_id: Scalar<'a>,
    #[serde(borrow, default)]
    name: Scalar<'a>,
    // A custom tool takes a text instead.
    #[serde(borrow, default)]
    arguments: Scalar<'a>,
    #[serde(borrow, default)]
    input: Scalar<'a>,
}

/// What has come of a response.
#[derive(Default)]
pub(super) struct Pieces {
    /// The items that are done, for servers whose last event leaves them out.
    items: Vec<Box<RawValue>>,
    /// The places of the calls in the output.
    calls: Vec<u64>,
    response: Option<Box<RawValue>>,
}

impl Pieces {
    /// Adds one event.
    pub(super) fn add(
        &mut self,
        context: &Context<'_>,
        name: &[u8],
        data: &[u8],
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Step, Failure> {
        let told: Told<'_> = object(context, data)?;
        let kind = told.kind.text().map_or(name, str::as_bytes);
        let delta = told.delta.text().unwrap_or_default();
        match kind {
            b"error" => return Err(reported(context, data)),
            b"response.output_text.delta" => on(Delta::Text(delta)),
            b"response.reasoning_summary_text.delta" | b"response.reasoning_text.delta" => {
                on(Delta::Reasoning(delta));
            }
            b"response.output_item.added" => {
                self.begin(&told, on);
                return Ok(Step::Idle);
            }
            b"response.function_call_arguments.delta"
            | b"response.custom_tool_call_input.delta" => {
                let place = told.output_index.count().unwrap_or(0);
                if let Some(index) = self.calls.iter().position(|call| *call == place) {
                    on(Delta::ToolCall {
                        index,
                        id: "",
                        name: "",
                        arguments: delta,
                    });
                }
            }
            b"response.output_item.done" => {
                self.items.extend(told.item.map(ToOwned::to_owned));
            }
            b"response.completed" | b"response.incomplete" | b"response.failed" => {
                self.response = filled(told.response).map(ToOwned::to_owned);
                return Ok(Step::Over);
            }
            // They come before the model writes, and again and again while it thinks.
            b"response.created"
            | b"response.queued"
            | b"response.in_progress"
            | b"response.content_part.added"
            | b"response.reasoning_summary_part.added"
            | b"keepalive" => return Ok(Step::Idle),
            // Parts and their ends, which the last event repeats, and what servers do themselves.
            _ => {
                // A gateway that says what is wrong in its own way.
                if kind.is_empty() && is_error(data) {
                    return Err(reported(context, data));
                }
            }
        }
        Ok(Step::More)
    }

    /// Tells the beginning of a call.
    fn begin(&mut self, told: &Told<'_>, on: &mut dyn FnMut(Delta<'_>)) {
        let item: Option<Item<'_>> = told.item.and_then(json::object);
        let Some(item) = item else { return };
        if !matches!(item.kind.text(), Some("function_call" | "custom_tool_call")) {
            return;
        }
        let arguments = item.arguments.text().or(item.input.text());
        on(Delta::ToolCall {
            index: self.calls.len(),
            id: item.call_id.text().unwrap_or_default(),
            name: item.name.text().unwrap_or_default(),
            arguments: arguments.unwrap_or_default(),
        });
        let place = told.output_index.count();
        self.calls.push(place.unwrap_or(self.calls.len() as u64));
    }

    /// The body of the plain answer; `None` when it is not all there.
    pub(super) fn body(self) -> Option<Vec<u8>> {
        let response = self.response?;
        let json = response.get();
        let members = fields::members(json).unwrap_or_default();
        let output = members.iter().find(|(name, _)| name == "output");
        if self.items.is_empty() || output.is_some_and(|(_, output)| has_items(output)) {
            return Some(json.as_bytes().to_vec());
        }
        let mut out = b"{".to_vec();
        for (name, value) in members.iter().filter(|(name, _)| name != "output") {
            push_member(&mut out, name, value.get().as_bytes());
        }
        let items: Vec<&str> = self.items.iter().map(|item| item.get()).collect();
        push_member(
            &mut out,
            "output",
            format!("[{}]", items.join(",")).as_bytes(),
        );
        out.push(b'}');
        Some(out)
    }
}

#[derive(Deserialize)]
struct Reported<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

fn is_error(data: &[u8]) -> bool {
    let told: Result<Reported<'_>, _> = serde_json::from_slice(data);
    told.is_ok_and(|told| super::holds_error(told.error))
}
