//! Reads what a request says, in neutral terms or as people write it.
//!
//! Owns the choice between passing an array of messages on as it is and translating it: messages
//! of the endpoint's own dialect are passed on byte for byte, all others are read.

mod form;
mod object;
mod parts;
mod read;

use serde_json::value::RawValue;

use super::body::{invalid, text_of};
use super::turn::{self, Link, Turn};
use crate::endpoint::Dialect;
use crate::fields;
use crate::item::{Content, Request};
use crate::message::Role;
use crate::outcome::Failure;

/// What a request says.
pub(super) enum Said<'a> {
    /// Messages of the endpoint's own dialect, to be passed on as they are.
    Own {
        array: &'a RawValue,
        list: Vec<Message<'a>>,
    },
    /// Messages to be written.
    Turns(Vec<Turn<'a>>),
}

/// Reads what a request says. The system prompt stands first, unless a JSON array of messages has
/// one of its own, which is meant for this item and goes before that of all items.
///
/// # Errors
/// When the messages are no messages, or when they are of another dialect and say what this one
/// cannot.
pub(super) fn said(dialect: Dialect, request: &Request) -> Result<Said<'_>, Failure> {
    let link = match dialect {
        Dialect::Gemini => Link::Name,
        _ => Link::Id,
    };
    let (mut turns, own_system) = match &request.content {
        Content::Prompt(prompt) => (vec![Turn::text(Role::User, prompt)], false),
        Content::Conversation(messages) => (turn::of_messages(messages)?, false),
        Content::Messages(array) => {
            let list = list(array)?;
            if list.iter().all(|message| message.forms.hold(dialect)) {
                return Ok(Said::Own { array, list });
            }
            let turns = list.iter().enumerate();
            let turns = turns.map(|(at, message)| read::message(message.raw, at));
            let turns = turns.collect::<Result<Vec<_>, _>>()?;
            let own_system = turns.iter().any(|turn| turn.role == Role::System);
            (turns, own_system)
        }
        Content::Raw(_) => return Err(invalid("a raw request cannot be written anew")),
    };
    turn::settle(&mut turns, link)?;
    let mut turns = turn::gather_calls(turns);
    if let Some(system) = request.system.as_deref().filter(|_| !own_system) {
        turns.insert(0, Turn::text(Role::System, system));
    }
    Ok(Said::Turns(turns))
}

/// One message: as written, what it looks like, and whether it is a system message.
pub(super) struct Message<'a> {
    /// The message as written.
    pub(super) raw: &'a RawValue,
    /// Whether its role is `system` or `developer`.
    pub(super) is_system: bool,
    forms: form::Forms,
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
            let (is_system, forms) = form::look(raw)
                .ok_or_else(|| invalid(format!("messages[{at}] is not a JSON object")))?;
            Ok(Message {
                raw,
                is_system,
                forms,
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
