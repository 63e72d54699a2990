//! Reads one message of any dialect's form.
//!
//! Owns what a message may hold besides its parts. What has no counterpart in other dialects is
//! refused by name.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object::{Object, Place, written};
use super::parts;
use crate::fields;
use crate::message::Role;
use crate::outcome::Failure;
use crate::provider::turn::{Call, Given, NO_OBJECT, Piece, Text, Turn, object};

/// Reads a message.
///
/// # Errors
/// When it says what other dialects cannot; the message names the place.
pub(super) fn message(raw: &RawValue, at: usize) -> Result<Turn<'_>, Failure> {
    let mut object = Object::of(raw, Place { at, part: None })?;
    let turn = |role, pieces| Turn { role, pieces, at };
    if object.get("parts").is_some() {
        let role = gemini_role(&mut object)?;
        let pieces = parts::gemini(&mut object)?;
        object.end()?;
        return Ok(turn(role, pieces));
    }
    match &*object.string("type")? {
        "" | "message" => {}
        "function_call" => {
            let piece = Piece::Call(item_call(&mut object)?);
            end_item(object)?;
            return Ok(turn(Role::Assistant, vec![piece]));
        }
        "function_call_output" => {
            let piece = Piece::Given(Given {
                id: object.string("call_id")?,
                name: Cow::Borrowed(""),
                content: result_text(&mut object, "output")?,
                is_error: false,
            });
            end_item(object)?;
            return Ok(turn(Role::User, vec![piece]));
        }
        kind => return Err(no_counterpart(object.place, "an item", kind)),
    }
    let (role, pieces) = match &*object.string("role")? {
        "system" | "developer" => (Role::System, parts::content(&mut object)?),
        "user" => (Role::User, parts::content(&mut object)?),
        "assistant" => {
            let mut pieces = parts::content(&mut object)?;
            pieces.extend(calls(&mut object)?);
            (Role::Assistant, pieces)
        }
        "tool" | "function" => {
            let given = Given {
                id: object.string("tool_call_id")?,
                name: object.string("name")?,
                content: result_text(&mut object, "content")?,
                is_error: false,
            };
            (Role::User, vec![Piece::Given(given)])
        }
        "" => return Err(object.place.invalid("the message has no role")),
        role => {
            let why = format!("the role {role:?} is not known");
            return Err(object.place.invalid(why));
        }
    };
    end_item(object)?;
    Ok(turn(role, pieces))
}

/// Ends an item of a response that may be sent back as it came: its key and its state are the
/// provider's own.
fn end_item(mut object: Object<'_>) -> Result<(), Failure> {
    if object.get("status").is_some() {
        object.take("id");
        object.take("status");
    }
    object.end()
}

/// A failure that says that only one dialect has this.
pub(super) fn no_counterpart(place: Place, what: &str, kind: &str) -> Failure {
    place.invalid(format!(
        "{what} of the type {kind:?} cannot be translated into another dialect"
    ))
}

fn gemini_role(object: &mut Object<'_>) -> Result<Role, Failure> {
    Ok(match &*object.string("role")? {
        "" | "user" | "function" => Role::User,
        "model" | "assistant" => Role::Assistant,
        "system" => Role::System,
        role => {
            let why = format!("the role {role:?} is not known");
            return Err(object.place.invalid(why));
        }
    })
}

/// The calls of an assistant's chat message.
fn calls<'a>(message: &mut Object<'a>) -> Result<Vec<Piece<'a>>, Failure> {
    let mut pieces = Vec::new();
    for (at, raw) in message.list("tool_calls")?.into_iter().enumerate() {
        let mut call = Object::of(raw, message.place.part("tool_calls", at))?;
        match &*call.string("type")? {
            "" | "function" => {}
            kind => return Err(no_counterpart(call.place, "a tool call", kind)),
        }
        // Some servers write the number that belongs to a stream.
        call.take("index");
        let id = call.string("id")?;
        let mut function = call.object("function")?;
        function.place = call.place;
        pieces.push(Piece::Call(named_call(id, &mut function)?));
        function.end()?;
        call.end()?;
    }
    // The older way to call a single function.
    if message.get("function_call").is_some() {
        let mut function = message.object("function_call")?;
        let call = named_call(Cow::Borrowed(""), &mut function)?;
        function.end()?;
        pieces.push(Piece::Call(call));
    }
    Ok(pieces)
}

fn named_call<'a>(id: Cow<'a, str>, function: &mut Object<'a>) -> Result<Call<'a>, Failure> {
    Ok(Call {
        id,
        name: function.string("name")?,
        arguments: arguments(function, "arguments")?,
    })
}

fn item_call<'a>(item: &mut Object<'a>) -> Result<Call<'a>, Failure> {
    let id = item.string("call_id")?;
    named_call(id, item)
}

/// Arguments as an object, or as a string that holds one.
pub(super) fn arguments<'a>(call: &mut Object<'a>, name: &str) -> Result<Cow<'a, str>, Failure> {
    let no_object = |place: Place| place.invalid(NO_OBJECT);
    let Some(raw) = call.take(name) else {
        return Ok(Cow::Borrowed("{}"));
    };
    let Some(text) = fields::as_str(raw) else {
        return object(raw.get()).ok_or_else(|| no_object(call.place));
    };
    // Models write nothing when a tool takes no arguments.
    if text.trim().is_empty() {
        return Ok(Cow::Borrowed("{}"));
    }
    let is_object = text.trim_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    match is_object {
        true => Ok(text),
        false => Err(no_object(call.place)),
    }
}

/// What a tool gave back: a text, or texts, each on lines of its own.
pub(super) fn result_text<'a>(
    object: &mut Object<'a>,
    name: &'static str,
) -> Result<Text<'a>, Failure> {
    let empty = Text::Plain(Cow::Borrowed(""));
    let Some(raw) = object.take(name) else {
        return Ok(empty);
    };
    if let Some(text) = written(raw) {
        return Ok(text);
    }
    let list: Vec<&RawValue> =
        fields::decode(raw).map_err(|_| object.not(name, "a string or an array"))?;
    let mut texts = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let place = object.place.part(name, at);
        match parts::part(raw, place)? {
            Piece::Text(text) => texts.push(text),
            Piece::Image(_) | Piece::Call(_) | Piece::Given(_) => {
                return Err(place.invalid("only texts of a tool's result can be translated"));
            }
        }
    }
    if texts.len() <= 1 {
        return Ok(texts.pop().unwrap_or(empty));
    }
    let texts: Vec<_> = texts.iter().map(Text::plain).collect();
    Ok(Text::Plain(Cow::Owned(texts.join("\n"))))
}
