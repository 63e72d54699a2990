//! What holds for any conversation.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::outcome::Failure;

fn any_text() -> impl Strategy<Value = String> {
    "\\PC{0,12}|[\"\\\\\n\u{0}{}\\[\\],]{0,6}"
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => any_text().prop_map(Part::Text),
        1 => Just(png()),
        1 => any_text().prop_map(|url| link(&format!("https://h/{url}"))),
        1 => any_text().prop_map(Image::Url).prop_map(Part::Image),
        2 => ("[a-c]?", "[fg]", any_text()).prop_map(|(id, name, text)| {
            call(&id, &name, &json!({"x": text}).to_string())
        }),
        2 => ("[a-c]?", "[fg]?", any_text()).prop_map(|(id, name, text)| result(&id, &name, &text)),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(vec![Role::User, Role::User, Role::Assistant, Role::System]);
    let parts = prop::collection::vec(any_part(), 0..4);
    (role, parts).prop_map(|(role, parts)| Message { role, parts })
}

/// Conversations that every dialect can say.
fn sayable() -> impl Strategy<Value = Vec<Message>> {
    let texts = || prop::collection::vec(any_text(), 1..3);
    let exchange = (texts(), any::<bool>(), texts(), any::<bool>());
    let exchange = exchange.prop_map(|(asked, image, said, calls)| {
        let parts = |texts: Vec<String>| texts.into_iter().map(Part::Text).collect::<Vec<_>>();
        let mut messages = vec![message(Role::User, parts(asked))];
        if image {
            messages[0].parts.push(png());
        }
        let mut answer = message(Role::Assistant, parts(said));
        if calls {
            answer.parts.push(call("k", "f", "{\"a\":1}"));
            messages.extend([answer, message(Role::User, vec![result("k", "f", "done")])]);
        } else {
            messages.push(answer);
        }
        messages
    });
    prop::collection::vec(exchange, 1..4).prop_map(|exchanges| exchanges.concat())
}

/// All strings of a JSON value, joined.
fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| strings(value, out)),
        Value::Object(object) => object.values().for_each(|value| strings(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn checked(dialect: Dialect, request: &Request) -> Result<Option<Value>, Failure> {
    let Ok(encoded) = encode(&endpoint(dialect), request) else {
        return Ok(None);
    };
    let again = encode(&endpoint(dialect), request)?;
    assert_eq!(encoded, again, "the same request gives the same bytes");
    Ok(Some(serde_json::from_slice(&encoded.body).unwrap()))
}

proptest! {
    #[test]
    fn any_conversation_is_json_with_all_its_texts_or_a_failure(
        messages in prop::collection::vec(any_message(), 0..4),
        system in prop::option::of(any_text()),
    ) {
        let mut texts: Vec<String> = Vec::new();
        for part in messages.iter().flat_map(|message| &message.parts) {
            match part {
                Part::Text(text) => texts.push(text.clone()),
                Part::ToolResult(result) => texts.push(result.content.clone()),
                Part::Image(_) | Part::ToolCall(_) => {}
            }
        }
        texts.extend(system.clone());
        let mut request = conversation(messages);
        request.system = system;
        for dialect in DIALECTS {
            if let Some(body) = checked(dialect, &request).unwrap() {
                let mut found = Vec::new();
                strings(&body, &mut found);
                for text in &texts {
                    let held = found.iter().any(|found| found.contains(text));
                    // What is a JSON object goes to Gemini as one.
                    let as_object = serde_json::from_str::<Value>(text).is_ok();
                    prop_assert!(held || as_object, "{dialect:?}: {text:?} in {body}");
                }
            }
        }
    }

    #[test]
    fn what_every_dialect_can_say_is_said_by_every_dialect(messages in sayable()) {
        let request = conversation(messages);
        for dialect in DIALECTS {
            prop_assert!(encode(&endpoint(dialect), &request).is_ok());
        }
    }

    /// What one dialect's endpoint gets is read, for another's endpoint, as the same conversation.
    #[test]
    fn chat_messages_come_back_from_any_dialect(conversed in sayable()) {
        let neutral = conversation(conversed);
        let chat = value(Dialect::Chat, &neutral)["messages"].clone();
        for (dialect, name) in [
            (Dialect::Responses, "input"),
            (Dialect::Anthropic, "messages"),
            (Dialect::Gemini, "contents"),
        ] {
            let there = messages(&value(dialect, &neutral)[name].to_string());
            let mut back = value(Dialect::Chat, &there)["messages"].clone();
            let mut straight = chat.clone();
            if dialect == Dialect::Responses {
                // Its items stand apart where a chat message has both text and calls.
                (back, straight) = (apart(back), apart(straight));
            }
            prop_assert_eq!(&back, &straight, "{:?}", dialect);
        }
    }

    #[test]
    fn any_array_of_messages_is_json_or_a_failure(list in prop::collection::vec(any_raw_message(), 1..4)) {
        let request = messages(&Value::Array(list).to_string());
        for dialect in DIALECTS {
            checked(dialect, &request).unwrap();
        }
    }
}

/// Messages of the assistant cut into one for the text and one for the calls.
fn apart(messages: Value) -> Value {
    let mut out = Vec::new();
    for message in messages.as_array().unwrap() {
        let has_calls = message.get("tool_calls").is_some();
        if has_calls && !message["content"].is_null() {
            let mut said = message.clone();
            said.as_object_mut().unwrap().remove("tool_calls");
            let mut calls = message.clone();
            calls["content"] = Value::Null;
            out.extend([said, calls]);
        } else {
            out.push(message.clone());
        }
    }
    Value::Array(out)
}

/// Messages with members and parts of all forms, mixed at will.
fn any_raw_message() -> impl Strategy<Value = Value> {
    let part = prop::sample::select(vec![
        json!({"type": "text", "text": "a"}),
        json!({"type": "input_text", "text": "b"}),
        json!({"type": "image_url", "image_url": {"url": format!("data:;base64,{PNG_BASE64}")}}),
        json!({"type": "image_url", "image_url": 3}),
        json!({"type": "image", "source": {"type": "base64", "data": PNG_BASE64}}),
        json!({"type": "image", "source": []}),
        json!({"type": "tool_use", "id": "1", "name": "f", "input": {}}),
        json!({"type": "tool_result", "tool_use_id": "1", "content": []}),
        json!({"type": "x"}),
        json!({"text": "c"}),
        json!({"functionCall": {"name": "f"}}),
        json!({"functionResponse": {"name": "f", "response": {"output": 1}}}),
        json!({"inlineData": {"data": PNG_BASE64}}),
        json!("d"),
        json!(null),
        json!([[]]),
    ]);
    let parts = prop::collection::vec(part, 0..3).prop_map(Value::Array);
    let body = prop_oneof![
        parts,
        Just(json!("text")),
        Just(json!(null)),
        Just(json!(7))
    ];
    let role = prop::sample::select(vec!["user", "assistant", "system", "tool", "model", "x"]);
    let name = prop::sample::select(vec!["content", "parts", "tool_calls", "output"]);
    let more = prop::sample::select(vec![
        json!({}),
        json!({"type": "function_call", "call_id": "1", "name": "f"}),
        json!({"type": "function_call_output", "call_id": "1"}),
        json!({"tool_call_id": "1"}),
        json!({"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}),
        json!({"function_call": {"name": "f"}}),
    ]);
    (role, name, body, more).prop_map(|(role, name, body, mut message)| {
        message["role"] = json!(role);
        message[name] = body;
        message
    })
}
