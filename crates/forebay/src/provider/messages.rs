//! Looks into a JSON array of messages as far as the dialects need it: its roles, and the text
//! of its system messages.
//!
//! Never changes a message: what is passed on is passed on byte for byte.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{invalid, text_of};
use super::json::Scalar;
use crate::fields;
use crate::outcome::Failure;

/// The part of a message that says who speaks.
#[derive(Deserialize)]
struct Speaker<'a> {
    #[serde(borrow, default)]
    role: Scalar<'a>,
}

/// One message: as written, and whether it is a system message.
pub(super) struct Message<'a> {
    /// The message as written.
    pub(super) raw: &'a RawValue,
    /// Whether its role is `system` or `developer`.
    pub(super) is_system: bool,
}

/// The text between the brackets of a messages array.
///
/// # Errors
/// When the value is not an array, or an empty one.
pub(super) fn inside(messages: &RawValue) -> Result<&str, Failure> {
    let inside = messages
        .get()
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| invalid("the messages are not a JSON array"))?;
    match inside.trim().is_empty() {
        true => Err(invalid("the array of messages is empty")),
        false => Ok(inside),
    }
}

/// The messages of an array.
///
/// # Errors
/// When the value is not an array of objects, or is empty.
pub(super) fn list(messages: &RawValue) -> Result<Vec<Message<'_>>, Failure> {
    inside(messages)?;
    let raws: Vec<&RawValue> =
        fields::decode(messages).map_err(|_| invalid("the messages are not a JSON array"))?;
    raws.into_iter()
        .enumerate()
        .map(|(at, raw)| {
            let speaker: Speaker<'_> = raw
                .get()
                .starts_with('{')
                .then(|| fields::decode(raw).ok())
                .flatten()
                .ok_or_else(|| invalid(format!("messages[{at}] is not a JSON object")))?;
            let role = speaker.role.text().unwrap_or_default();
            Ok(Message {
                raw,
                is_system: role == "system" || role == "developer",
            })
        })
        .collect()
}

/// The texts of a system message: its content, or each part of it.
///
/// # Errors
/// When it holds anything but text; the message names its place in the array.
pub(super) fn system_texts(message: &RawValue, at: usize) -> Result<Vec<String>, Failure> {
    let not_text = || {
        invalid(format!(
            "messages[{at}] is a system message with more than text, which this dialect cannot carry; use the parameter \"system\""
        ))
    };
    let members = fields::members(message.get()).map_err(|_| not_text())?;
    // Of a repeated member the last counts, as in most readers of JSON.
    let content = members
        .iter()
        .rev()
        .find(|(name, _)| name == "content")
        .map(|(_, content)| *content)
        .ok_or_else(not_text)?;
    if let Some(text) = text_of(content) {
        return Ok(vec![text]);
    }
    let parts: Vec<&RawValue> = fields::decode(content).map_err(|_| not_text())?;
    parts
        .into_iter()
        .map(|part| part_text(part).ok_or_else(not_text))
        .collect()
}

/// The text of a part that holds nothing else.
fn part_text(part: &RawValue) -> Option<String> {
    let mut text = None;
    for (name, value) in fields::members(part.get()).ok()? {
        match &*name {
            "type" if fields::as_str(value)? == "text" => {}
            "text" => text = text_of(value),
            _ => return None,
        }
    }
    text
}
