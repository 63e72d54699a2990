//! Records that are whole requests: bodies by themselves, and the files of other tools.
//!
//! Owns how each of them wraps a body, and how they are told by their shape. Changes no byte of a
//! body, except that a cookbook's `metadata` is never part of it.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::format::Requests;
use super::record::{CUSTOM_ID, Record};
use super::rules::{Draft, Rules};
use super::{BodyModel, paths};
use crate::endpoint::Dialect;
use crate::fields::{self, Member, push_json_str};
use crate::item::{Content, RawRequest, Request};

/// The member of a cookbook's line that is not sent.
const METADATA: &str = "metadata";

/// What a record says, before its request is put together.
struct Found<'a> {
    custom_id: Option<String>,
    body: Cow<'a, str>,
    path: Option<String>,
    dialect: Option<Dialect>,
    fields: String,
}

/// Makes an item of a record that is a whole request.
pub(super) fn draft(rules: &Rules, kind: Requests, record: &Record<'_>) -> Draft {
    let Record::Json { members, text, .. } = record else {
        return Draft::unreadable("not a JSON object".to_owned());
    };
    if text.is_empty() {
        return Draft::unreadable("not a JSON object".to_owned());
    }
    let found = match kind {
        Requests::Bodies => rules.custom_id(record).map(|custom_id| Found {
            custom_id,
            ..Found::of(Cow::Borrowed(*text))
        }),
        Requests::OpenAiBatch => openai(members),
        Requests::AnthropicBatch => anthropic(members),
        Requests::Cookbook => rules.custom_id(record).map(|custom_id| Found {
            custom_id,
            ..cookbook(members, text)
        }),
    };
    let custom_id = || string(members, CUSTOM_ID).ok();
    match found.and_then(|found| checked(rules, found, kind)) {
        Ok(found) => Draft {
            request: request(rules, &found),
            custom_id: found.custom_id,
            fields: found.fields,
            kept_messages: false,
        },
        Err(why) => Draft {
            custom_id: custom_id().filter(|_| kind.is_batch()),
            ..Draft::unreadable(why)
        },
    }
}

impl<'a> Found<'a> {
    fn of(body: Cow<'a, str>) -> Found<'a> {
        Found {
            custom_id: None,
            body,
            path: None,
            dialect: None,
            fields: String::new(),
        }
    }
}

fn request(rules: &Rules, found: &Found<'_>) -> Result<Request, String> {
    let body = RawValue::from_string(found.body.clone().into_owned())
        .map_err(|error| super::record::reason(&error))?;
    Ok(Request {
        shared: Arc::clone(rules.parameters()),
        system: None,
        content: Content::Raw(RawRequest {
            path: found.path.clone(),
            dialect: found.dialect,
            body,
        }),
    })
}

/// Looks at the model that the body names, and at what no file of results could hold.
fn checked<'a>(rules: &Rules, found: Found<'a>, kind: Requests) -> Result<Found<'a>, String> {
    if kind != Requests::Bodies && asks_for_stream(&found.body) {
        return Err("the request asks for a stream, which its format has no place for".to_owned());
    }
    let named = RawRequest::model_of(&found.body);
    match (rules.body_model(), named) {
        (BodyModel::Any, _) => {}
        (_, None) => return Err("the request names no model".to_owned()),
        (BodyModel::Is(wanted), Some(named)) if *wanted != named => {
            return Err(format!(
                "the request names another model than the first one, which is {wanted:?}: \
                 a run is for one model"
            ));
        }
        (BodyModel::Needed | BodyModel::Is(_), Some(_)) => {}
    }
    Ok(found)
}

fn asks_for_stream(body: &str) -> bool {
    let members = fields::members(body).unwrap_or_default();
    find(&members, "stream").is_some_and(|stream| stream.get() == "true")
}

/// A line of an OpenAI Batch file.
fn openai<'a>(members: &[Member<'a>]) -> Result<Found<'a>, String> {
    let custom_id = string(members, CUSTOM_ID)?;
    let method = string(members, "method")?;
    if method != "POST" {
        return Err("the method is not \"POST\"".to_owned());
    }
    let url = string(members, "url")?;
    let dialect = paths::dialect_of(&url).ok_or_else(|| {
        let known = paths::known();
        format!("the url {:?} is none of {known}", shortened(&url))
    })?;
    Ok(Found {
        custom_id: Some(custom_id),
        path: Some(url),
        dialect: Some(dialect),
        ..Found::of(Cow::Borrowed(object(members, "body")?))
    })
}

/// A request of an Anthropic Message Batch.
fn anthropic<'a>(members: &[Member<'a>]) -> Result<Found<'a>, String> {
    Ok(Found {
        custom_id: Some(string(members, CUSTOM_ID)?),
        ..Found::of(Cow::Borrowed(object(members, "params")?))
    })
}

/// A body with `metadata` that is not sent; both are repeated in the row.
fn cookbook<'a>(members: &[Member<'a>], text: &'a str) -> Found<'a> {
    let metadata = find(members, METADATA);
    let body = match metadata {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(without(members, METADATA)),
    };
    let mut fields = String::with_capacity(body.len() + 32);
    let mut push = |name: &str, json: &str| {
        fields.push_str(name);
        // A line end between values is whitespace to JSON.
        fields.extend(json.chars().filter(|c| *c != '\r'));
    };
    push("\"request\":", &body);
    if let Some(metadata) = metadata {
        push(",\"metadata\":", metadata.get());
    }
    Found {
        fields,
        ..Found::of(body)
    }
}

/// The object without the members of a name; the values stand as they were written.
fn without(members: &[Member<'_>], name: &str) -> String {
    let mut out = vec![b'{'];
    for (member, value) in members.iter().filter(|(member, _)| member != name) {
        if out.len() > 1 {
            out.push(b',');
        }
        push_json_str(&mut out, member);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    // Only whole strings and ASCII were written.
    String::from_utf8(out).unwrap_or_default()
}

/// The member of this name; of several the last.
fn find<'a>(members: &[Member<'a>], name: &str) -> Option<&'a RawValue> {
    let mut members = members.iter();
    members
        .rfind(|(member, _)| member == name)
        .map(|(_, value)| *value)
}

fn string(members: &[Member<'_>], name: &str) -> Result<String, String> {
    let value = find(members, name).ok_or_else(|| format!("`{name}` is missing"))?;
    match fields::as_str(value) {
        Some(text) if text.is_empty() => Err(format!("`{name}` is empty")),
        Some(text) => Ok(text.into_owned()),
        None => Err(format!("`{name}` is no string")),
    }
}

fn object<'a>(members: &[Member<'a>], name: &str) -> Result<&'a str, String> {
    let value = find(members, name).ok_or_else(|| format!("`{name}` is missing"))?;
    match value.get().starts_with('{') {
        true => Ok(value.get()),
        false => Err(format!("`{name}` is no object")),
    }
}

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    /// Longer than any path that a provider has.
    const SHOWN: usize = 60;
    text.chars().take(SHOWN).collect()
}

/// Tells the lines of other tools by their shape.
pub(super) fn shape_of(record: &Record<'_>) -> Option<Requests> {
    let Record::Json { members, .. } = record else {
        return None;
    };
    let has = |name| find(members, name).is_some();
    let is_object = |name| find(members, name).is_some_and(|value| value.get().starts_with('{'));
    let is_text = |name| find(members, name).is_some_and(|value| value.get().starts_with('"'));
    if is_text("url") && is_object("body") && (has(CUSTOM_ID) || has("method")) {
        return Some(Requests::OpenAiBatch);
    }
    (members.len() == 2 && has(CUSTOM_ID) && is_object("params"))
        .then_some(Requests::AnthropicBatch)
}

/// What a record says about the model and the path of its request.
pub(super) fn model_and_path(
    kind: Requests,
    record: &Record<'_>,
) -> (Option<String>, Option<String>) {
    let Record::Json { members, text, .. } = record else {
        return (None, None);
    };
    let body = match kind {
        Requests::Bodies | Requests::Cookbook => Some(*text),
        Requests::OpenAiBatch => object(members, "body").ok(),
        Requests::AnthropicBatch => object(members, "params").ok(),
    };
    let model = body.and_then(RawRequest::model_of).map(Cow::into_owned);
    let url = (kind == Requests::OpenAiBatch).then(|| string(members, "url").ok());
    (model, url.flatten())
}
