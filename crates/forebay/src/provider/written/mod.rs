//! Tests of writing: what each neutral thing becomes in each dialect, and what is refused.

mod bodies;
mod properties;
mod refused;
mod translated;

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::tests::endpoint;
use super::{encode, read_tools};
use crate::endpoint::Dialect;
use crate::item::{Content, Parameters, Request};
use crate::message::{AnswerSchema, Image, Message, Part, Role, ToolCall, ToolResult};
use crate::outcome::FailureKind;

/// The dialects that generate.
const DIALECTS: [Dialect; 4] = [
    Dialect::Chat,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
];

/// The first bytes of a PNG file, and what they are in base64.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_BASE64: &str = "iVBORw0KGgo=";

const TOOLS: &str =
    r#"[{"name":"weather","description":"It tells.","input_schema":{"type":"object"}}]"#;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn request(content: Content, change: impl FnOnce(&mut Parameters)) -> Request {
    let mut parameters = Parameters {
        model: "m".to_owned(),
        ..Parameters::default()
    };
    change(&mut parameters);
    Request {
        shared: Arc::new(parameters),
        system: None,
        content,
    }
}

fn prompt(change: impl FnOnce(&mut Parameters)) -> Request {
    request(Content::Prompt("hi".to_owned()), change)
}

fn conversation(messages: Vec<Message>) -> Request {
    request(Content::Conversation(messages), |_| {})
}

fn messages(json: &str) -> Request {
    request(Content::Messages(raw(json)), |_| {})
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn png() -> Part {
    Part::Image(Image::from_bytes(PNG).unwrap())
}

fn link(url: &str) -> Part {
    Part::Image(Image::Url(url.to_owned()))
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: raw(arguments),
    })
}

fn result(id: &str, name: &str, content: &str) -> Part {
    Part::ToolResult(ToolResult {
        id: id.to_owned(),
        name: name.to_owned(),
        content: content.to_owned(),
        is_error: false,
    })
}

fn schema() -> AnswerSchema {
    AnswerSchema::new("label", Arc::from(raw(r#"{"type":"string"}"#)))
}

/// A conversation with everything in it that each dialect can say.
fn everything() -> Vec<Message> {
    vec![
        message(Role::System, vec![text("rules")]),
        message(Role::User, vec![text("look"), png()]),
        message(
            Role::Assistant,
            vec![text("so"), call("c1", "weather", r#"{"at": "Rome"}"#)],
        ),
        message(Role::User, vec![result("c1", "weather", "sunny")]),
        Message::text(Role::User, "and?"),
    ]
}

#[track_caller]
fn written(dialect: Dialect, request: &Request) -> String {
    match encode(&endpoint(dialect), request) {
        Ok(encoded) => String::from_utf8(encoded.body.to_vec()).unwrap(),
        Err(failure) => panic!("{dialect:?}: {failure}"),
    }
}

#[track_caller]
fn value(dialect: Dialect, request: &Request) -> Value {
    serde_json::from_str(&written(dialect, request)).unwrap()
}

#[track_caller]
fn refused(dialect: Dialect, request: &Request) -> String {
    let failure = encode(&endpoint(dialect), request).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidItem);
    failure.message
}
