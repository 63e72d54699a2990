//! Tells the shape of the answer in words, for servers that have no member for it.
//!
//! Owns the place of the system prompt in each dialect's body.

use serde_json::value::RawValue;

use super::body::{invalid, push_message, text_of};
use super::edit::{Edit, led_by, longer};
use crate::endpoint::Dialect;
use crate::fields::{self, push_json_str};
use crate::message::AnswerSchema;
use crate::outcome::Failure;

/// Adds the schema to the end of a body's system prompt.
///
/// # Errors
/// When the body has no place for a system prompt.
pub(super) fn instruct(
    dialect: Dialect,
    body: Vec<u8>,
    schema: &AnswerSchema,
) -> Result<Vec<u8>, Failure> {
    let words = format!(
        "Answer with JSON only, without any other text. The JSON has to fit this JSON Schema:\n{}",
        schema.schema.get()
    );
    add(dialect, &body, &words)
        .ok_or_else(|| invalid("the request has no place for a schema in words"))
}

fn add(dialect: Dialect, body: &[u8], words: &str) -> Option<Vec<u8>> {
    let body = Edit::of(body)?;
    match dialect {
        Dialect::Chat => {
            let messages = to_messages(body.get("messages")?, words)?;
            Some(body.with("messages", &messages))
        }
        Dialect::Responses => {
            let text = body.get("instructions").and_then(text_of);
            Some(body.with("instructions", &joined(text, words)))
        }
        Dialect::Anthropic => {
            let system = match body.get("system") {
                Some(blocks) if blocks.get().starts_with('[') => longer(blocks, &block(words))?,
                system => joined(system.and_then(text_of), words),
            };
            Some(body.with("system", &system))
        }
        Dialect::Gemini => {
            let name = ["systemInstruction", "system_instruction"]
                .into_iter()
                .find(|name| body.get(name).is_some())
                .unwrap_or("systemInstruction");
            let system = body
                .get(name)
                .map_or("{\"parts\":[]}", |system| system.get());
            let system = Edit::of(system.as_bytes())?;
            let parts = longer(system.get("parts")?, &part(words))?;
            Some(body.with(name, &system.with("parts", &parts)))
        }
        Dialect::Embeddings => None,
    }
}

/// Adds to the first message when that is the system's, as many servers take only one; else puts
/// one before the others.
fn to_messages(messages: &RawValue, words: &str) -> Option<Vec<u8>> {
    let list: Vec<&RawValue> = fields::decode(messages).ok()?;
    let first = list
        .first()
        .and_then(|first| Edit::of(first.get().as_bytes()));
    if let Some(first) = first
        && let Some("system" | "developer") = first.get("role").and_then(fields::as_str).as_deref()
    {
        let content = match first.get("content") {
            Some(parts) if parts.get().starts_with('[') => longer(parts, &block(words))?,
            content => joined(content.and_then(text_of), words),
        };
        let mut out = vec![b'['];
        out.extend(first.with("content", &content));
        for message in &list[1..] {
            out.push(b',');
            out.extend_from_slice(message.get().as_bytes());
        }
        out.push(b']');
        return Some(out);
    }
    let mut system = Vec::with_capacity(words.len() + 64);
    push_message(&mut system, "system", words);
    led_by(messages, &system)
}

fn joined(text: Option<String>, words: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(words.len() + 64);
    match text {
        Some(text) => push_json_str(&mut out, &format!("{text}\n\n{words}")),
        None => push_json_str(&mut out, words),
    }
    out
}

fn block(words: &str) -> Vec<u8> {
    let mut out = b"{\"type\":\"text\",\"text\":".to_vec();
    push_json_str(&mut out, words);
    out.push(b'}');
    out
}

fn part(words: &str) -> Vec<u8> {
    let mut out = b"{\"text\":".to_vec();
    push_json_str(&mut out, words);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(dialect: Dialect, body: Value) -> Value {
        let schema = RawValue::from_string("{\"type\":\"object\"}".into()).unwrap();
        let schema = AnswerSchema::new("x", schema.into());
        let body = instruct(dialect, body.to_string().into(), &schema).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[track_caller]
    fn ends_with_the_schema(text: &Value, start: &str) {
        let text = text.as_str().unwrap();
        assert!(
            text.starts_with(start) && text.ends_with("\n{\"type\":\"object\"}"),
            "{text}"
        );
    }

    #[test]
    fn the_schema_ends_the_system_prompt_of_each_dialect() {
        let user = json!({"role": "user", "content": "hi"});
        let chat = told(Dialect::Chat, json!({"messages": [user]}));
        ends_with_the_schema(&chat["messages"][0]["content"], "Answer with JSON");
        assert_eq!(chat["messages"][1], user);
        let system = json!({"role": "system", "content": "Be brief."});
        let chat = told(Dialect::Chat, json!({"messages": [system, user]}));
        ends_with_the_schema(&chat["messages"][0]["content"], "Be brief.\n\nAnswer");
        assert_eq!(chat["messages"].as_array().unwrap().len(), 2);
        let parts =
            json!({"role": "developer", "content": [{"type": "text", "text": "Be brief."}]});
        let chat = told(Dialect::Chat, json!({"messages": [parts, user]}));
        ends_with_the_schema(&chat["messages"][0]["content"][1]["text"], "Answer");

        let claude = told(Dialect::Anthropic, json!({"messages": [user]}));
        ends_with_the_schema(&claude["system"], "Answer");
        let claude = told(
            Dialect::Anthropic,
            json!({"system": "Be brief.", "messages": [user]}),
        );
        ends_with_the_schema(&claude["system"], "Be brief.\n\nAnswer");
        let claude = told(
            Dialect::Anthropic,
            json!({"system": [{"type": "text", "text": "a"}]}),
        );
        ends_with_the_schema(&claude["system"][1]["text"], "Answer");

        let responses = told(
            Dialect::Responses,
            json!({"input": "hi", "instructions": "Be brief."}),
        );
        ends_with_the_schema(&responses["instructions"], "Be brief.\n\nAnswer");
        let gemini = told(Dialect::Gemini, json!({"contents": []}));
        ends_with_the_schema(&gemini["systemInstruction"]["parts"][0]["text"], "Answer");
        let gemini = told(
            Dialect::Gemini,
            json!({"systemInstruction": {"parts": [{"text": "a"}]}, "contents": []}),
        );
        ends_with_the_schema(&gemini["systemInstruction"]["parts"][1]["text"], "Answer");
    }
}
